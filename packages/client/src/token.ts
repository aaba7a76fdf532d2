/** The client's token: asked for when needed, one call at a time, renewed before it ends. */
import type { TokenProvider, TokenReason } from "./types.ts";

/** A provider that has not answered after this long is asked again; in milliseconds. */
const longestCall = 30_000;

export interface Tokens {
  /** The token at hand, for Socket.IO's handshake. */
  readonly text: string;
  /**
   * A token that has not expired: the one at hand if there is no reason against it, else a new one; null: signed out.
   * Rejects if the provider fails. A call under way answers for all.
   */
  get(reason: TokenReason | undefined): Promise<string | null>;
  /** About 80 % of its life are over, or a failed renewal is to be tried again. */
  renewalDue(): boolean;
  /** The renewal is due after this many milliseconds. */
  renewAfter(ms: number): void;
  /** Another user, or the end: an answer under way is no longer wanted. */
  forget(): void;
}

export function createTokens(provider: TokenProvider, now: () => number, random: () => number): Tokens {
  let token: string | null = null;
  /** In milliseconds since 1970. */
  let expiresAt = 0;
  let renewAt = 0;
  let call: Promise<string | null> | undefined;
  let abort = (_reason: string): void => {};

  const take = (given: string | null): string | null => {
    const end = given === null ? 0 : expiryOf(given);
    if (given !== null && end <= now()) throw new Error("the token has expired");
    token = given;
    expiresAt = end;
    // not all clients at the same moment
    renewAt = now() + (end - now()) * (0.75 + 0.1 * random());
    return given;
  };

  return {
    get text() {
      return token ?? "";
    },
    get(reason) {
      if (call !== undefined) return call;
      if (reason === undefined && expiresAt > now()) return Promise.resolve(token);
      const controller = new AbortController();
      const mine = new Promise<string | null>((resolve, reject) => {
        abort = (why) => {
          reject(new Error(why));
          controller.abort();
        };
        const { signal } = controller;
        Promise.resolve(provider({ reason: reason ?? "expired", signal })).then(resolve, reject);
      })
        .then(take)
        .finally(() => {
          clearTimeout(timer);
          if (call === mine) call = undefined;
        });
      const timer = setTimeout(abort, longestCall, "no answer in time");
      call = mine;
      return mine;
    },
    renewalDue: () => call === undefined && renewAt <= now(),
    renewAfter(ms) {
      renewAt = now() + ms;
    },
    forget() {
      abort("no longer wanted");
      call = undefined;
      expiresAt = 0;
    },
  };
}

/** The `exp` of a JWT in milliseconds; infinite if it cannot be read, since the relay will tell. */
export function expiryOf(token: string): number {
  try {
    const { exp } = JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")));
    if (typeof exp === "number") return exp * 1_000;
  } catch {
    // not a JWT
  }
  return Number.POSITIVE_INFINITY;
}
