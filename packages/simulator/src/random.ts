/**
 * Repeatable randomness: xoshiro128** (Blackman and Vigna, public domain), seeded from a text.
 *
 * Only whole-number arithmetic and the four operations are used, so a seed gives the same values on every
 * machine and Node version; `Math.exp` and `Math.log` promise no such thing.
 */

export interface Random {
  /** From 0 (inclusive) to 1 (exclusive). */
  next(): number;
  /** A whole number from `min` to `max`, both inclusive. */
  integer(min: number, max: number): number;
  /** True with the probability `share`. */
  chance(share: number): boolean;
  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** Bell-shaped around 0 with deviation 1, and never beyond -3 and 3: the sum of three even draws. */
  bell(): number;
  /** `length` characters of `alphabet`. */
  text(alphabet: string, length: number): string;
  /** A stream of its own: the same for the same name, however much was drawn from this one. */
  fork(name: string): Random;
}

export const hexDigits = "0123456789abcdef";
export const idCharacters = "0123456789abcdefghijklmnopqrstuvwxyz";

export function createRandom(seed: string): Random {
  const draw = xoshiro128(seed);
  const next = (): number => draw() / 0x1_0000_0000;
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));

  return {
    next,
    integer,
    chance: (share) => next() < share,
    pick: <T>(items: readonly T[]): T => {
      if (items.length === 0) throw new RangeError("nothing to pick from");
      return items[integer(0, items.length - 1)] as T;
    },
    bell: () => (next() + next() + next() - 1.5) * 2,
    text: (alphabet, length) => {
      let text = "";
      for (let i = 0; i < length; i += 1) text += alphabet.charAt(integer(0, alphabet.length - 1));
      return text;
    },
    // The length keeps ("a", "b/c") and ("a/b", "c") apart.
    fork: (name) => createRandom(`${seed.length}:${seed}/${name}`),
  };
}

/** The generator itself: whole numbers from 0 to 2^32 - 1. */
function xoshiro128(seed: string): () => number {
  let [a, b, c, d] = hash128(seed);
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

/** Spreads a text over the 128 bits of state: FNV-1a, then splitmix32 for each word. Never all zero. */
function hash128(text: string): [number, number, number, number] {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  let second = text.length;
  for (let i = text.length - 1; i >= 0; i -= 1) second = Math.imul(second ^ text.charCodeAt(i), 0x85ebca6b);
  const word = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
  return [word(), word() ^ second, word(), word() | 1];
}
