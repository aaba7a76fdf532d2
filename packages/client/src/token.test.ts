import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createTokens, expiryOf, type Tokens } from "./token.ts";
import type { TokenProvider, TokenReason } from "./types.ts";

const jwt = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.y`;
const lasting = (seconds: number): string => jwt({ exp: Date.now() / 1_000 + seconds, name: "Łódź ?>" });

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const create = (provider: TokenProvider, random = 0.5): Tokens =>
  createTokens(provider, Date.now, () => random);

describe("the end of a token", () => {
  test("is its `exp`, whatever else it says", () => {
    expect(expiryOf(jwt({ exp: 1_700_000_000, sub: "Łódź???>>>~~~" }))).toBe(1_700_000_000_000);
  });
  test("is never, as far as can be told, if it has none that can be read", () => {
    for (const text of ["", "opaque", "a.b.c", jwt({}), jwt({ exp: "soon" }), "x.bnVsbA.y"]) {
      expect(expiryOf(text)).toBe(Number.POSITIVE_INFINITY);
    }
  });
});

describe("the token provider", () => {
  test("has one call in flight, which answers all who ask", async () => {
    const reasons: TokenReason[] = [];
    let answer = (_: string): void => {};
    const tokens = create(({ reason }) => {
      reasons.push(reason);
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    const asked = [tokens.get("connect"), tokens.get(undefined), tokens.get("renew")];
    expect(tokens.renewalDue()).toBe(false);
    const token = lasting(60);
    answer(token);
    expect(await Promise.all(asked)).toEqual([token, token, token]);
    expect(reasons).toEqual(["connect"]);
    expect(tokens.text).toBe(token);
  });

  test("is asked again only with a reason, or when the token has ended", async () => {
    const provider = vi.fn(() => lasting(10));
    const tokens = create(provider);
    await tokens.get("connect");
    await tokens.get(undefined);
    expect(provider).toHaveBeenCalledTimes(1);
    await tokens.get("refused");
    expect(provider).toHaveBeenCalledTimes(2);
    vi.setSystemTime(Date.now() + 10_000);
    await tokens.get(undefined);
    expect(provider).toHaveBeenLastCalledWith(expect.objectContaining({ reason: "expired" }));
  });

  test("is due for renewal at about 80 % of the life, not all clients at once", async () => {
    for (const [random, part] of [
      [0, 0.75],
      [0.5, 0.8],
      [1, 0.85],
    ] as const) {
      const tokens = create(() => lasting(100), random);
      await tokens.get("connect");
      vi.setSystemTime(Date.now() + part * 100_000 - 1);
      expect(tokens.renewalDue()).toBe(false);
      vi.setSystemTime(Date.now() + 1);
      expect(tokens.renewalDue()).toBe(true);
      tokens.renewAfter(500);
      expect(tokens.renewalDue()).toBe(false);
    }
  });

  test("gives no token that has ended", async () => {
    const tokens = create(() => lasting(0));
    await expect(tokens.get("connect")).rejects.toThrow("expired");
    expect(tokens.text).toBe("");
  });

  test("may throw, reject, or give null", async () => {
    const answers: (() => Promise<string | null> | string | null)[] = [
      () => {
        throw new Error("at once");
      },
      () => Promise.reject(new Error("later")),
      () => null,
      () => lasting(60),
    ];
    const tokens = create(() => answers.shift()?.() ?? null);
    await expect(tokens.get("connect")).rejects.toThrow("at once");
    await expect(tokens.get("connect")).rejects.toThrow("later");
    expect(await tokens.get("connect")).toBeNull();
    expect(await tokens.get(undefined)).toBe(tokens.text);
  });

  test("that never answers is given up, with its signal aborted", async () => {
    let signal: AbortSignal | undefined;
    const tokens = create((request) => {
      signal = request.signal;
      return new Promise(() => {});
    });
    const asked = expect(tokens.get("connect")).rejects.toThrow("no answer");
    await vi.advanceTimersByTimeAsync(30_000);
    await asked;
    expect(signal?.aborted).toBe(true);
  });

  test("whose user is gone is not listened to any more", async () => {
    const answers: ((token: string) => void)[] = [];
    const tokens = create(() => new Promise((resolve) => answers.push(resolve)));
    const old = expect(tokens.get("connect")).rejects.toThrow("no longer wanted");
    tokens.forget();
    const next = tokens.get("connect");
    answers[0]?.(lasting(50));
    const token = lasting(60);
    answers[1]?.(token);
    await old;
    expect(await next).toBe(token);
    expect(tokens.text).toBe(token);
    expect(vi.getTimerCount()).toBe(0);
  });
});
