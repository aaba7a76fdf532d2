/** Full jitter: a random part of a bound that doubles with each failure, so that clients do not come back together. */
export interface Backoff {
  /** Bound of the first delay, in milliseconds. */
  readonly base: number;
  /** No delay is longer, in milliseconds. */
  readonly cap: number;
}

export const connectBackoff: Backoff = { base: 500, cap: 20_000 };
/** For what a quick retry does not mend: refused tokens, a failing token provider. */
export const slowBackoff: Backoff = { base: 1_000, cap: 30_000 };

/** Milliseconds to wait after `failures` failures before this one; `random` is from [0, 1). */
export function delayAfter(failures: number, { base, cap }: Backoff, random: number): number {
  return random * Math.min(cap, base * 2 ** failures);
}
