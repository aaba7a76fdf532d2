import { describe, expect, it } from "vitest";
import { createTokenSource, tokenProblem } from "./token.ts";

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims: unknown) => `${encode({ alg: "HS256" })}.${encode(claims)}.c2ln`;
const good = jwt({ sub: "Zoë", exp: 4_000_000_000 });

const signal = new AbortController().signal;

function relayThatAnswers(status: number, body: unknown) {
  const asked: string[] = [];
  const source = createTokenSource(async (path) => {
    asked.push(path);
    return new Response(JSON.stringify(body), { status });
  });
  return { source, asked };
}

describe("in development", () => {
  it("takes a token from the relay, a new one each time", async () => {
    const { source, asked } = relayThatAnswers(200, { token: "a.b.c", expires_at: "2026-11-24T12:00:00Z" });
    expect(await source.provide("connect", signal)).toBe("a.b.c");
    expect(await source.provide("connect", signal)).toBe("a.b.c");
    expect(asked).toEqual(["/dev/token", "/dev/token"]);
    expect(source.state()).toEqual({ kind: "development" });
  });

  it("asks for one when the relay keeps its tokens for another machine, and says why", async () => {
    const { source } = relayThatAnswers(403, { message: "development tokens are only for this machine" });
    expect(await source.provide("connect", signal)).toBeNull();
    expect(source.state()).toEqual({
      kind: "needed",
      problem: "Development tokens are only for this machine.",
    });
  });

  it("throws while the relay cannot be asked, so that the SDK tries again", async () => {
    for (const [status, body] of [
      [503, {}],
      [200, {}],
      [200, "text"],
    ] as const) {
      const { source } = relayThatAnswers(status, body);
      await expect(source.provide("connect", signal)).rejects.toThrow(`the relay answered ${status}`);
      expect(source.state()).toEqual({ kind: "unknown" });
    }
  });
});

describe("in production", () => {
  it("waits for a pasted token and then uses it", async () => {
    const { source, asked } = relayThatAnswers(404, {});
    expect(await source.provide("connect", signal)).toBeNull();
    expect(source.state()).toEqual({ kind: "needed", problem: undefined });
    expect(await source.provide("connect", signal)).toBeNull();
    expect(source.give(good)).toBeUndefined();
    expect(await source.provide("connect", signal)).toBe(good);
    expect(source.state()).toEqual({ kind: "given" });
    expect(asked).toHaveLength(1);
  });

  it("forgets a token that the relay refuses and says why", async () => {
    const { source } = relayThatAnswers(404, {});
    source.give(good);
    source.refuse("The token has expired.");
    expect(source.state()).toEqual({ kind: "needed", problem: "The token has expired." });
    expect(await source.provide("connect", signal)).toBeNull();
  });

  it("does not take what cannot be a token that works", () => {
    const { source } = relayThatAnswers(404, {});
    expect(source.give("x.y.z")).toContain("not a JWT");
    expect(source.state()).toEqual({ kind: "unknown" });
    expect(tokenProblem("eyJhbGciOi", 0)).toContain("not a JWT");
    expect(tokenProblem(jwt("text"), 0)).toContain("not a JWT");
    expect(tokenProblem(jwt({ sub: "a" }), 0)).toContain("(exp)");
    expect(tokenProblem(jwt({ exp: 100 }), 100_000)).toContain("This token expired at");
    expect(tokenProblem(jwt({ exp: 101 }), 100_000)).toBeUndefined();
  });

  it("forgets a token that has run out", async () => {
    const { source } = relayThatAnswers(404, {});
    source.give(good);
    expect(await source.provide("renew", signal)).toBe(good);
    expect(await source.provide("expired", signal)).toBeNull();
    expect(source.state()).toMatchObject({ kind: "needed", problem: expect.stringContaining("has expired") });
    source.give(good);
    expect(await source.provide("refused", signal)).toBeNull();
    expect(source.state()).toMatchObject({ problem: expect.stringContaining("does not accept this token") });
  });

  it("tells those who listen, until they no longer want to know", () => {
    const { source } = relayThatAnswers(404, {});
    let told = 0;
    const stop = source.subscribe(() => told++);
    source.give(good);
    stop();
    source.refuse("no");
    expect(told).toBe(1);
  });
});
