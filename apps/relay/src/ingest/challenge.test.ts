import { describe, expect, it } from "vitest";
import { ChallengeLimit, challengesPerMinute, smallChallengeOf } from "./challenge.ts";

const challengeOf = (text: string) => smallChallengeOf(Buffer.from(text));
const withText = (challenge: string) => JSON.stringify({ type: "webhook.verification", data: { challenge } });

describe("a challenge", () => {
  it("is its exact shape, in any order and with any white space", () => {
    expect(challengeOf('{"type":"webhook.verification","data":{"challenge":"abc"}}')).toBe("abc");
    expect(challengeOf('\n{ "data" : { "challenge" : "abc" } ,\t"type" : "webhook.verification" }\r\n')).toBe(
      "abc",
    );
    expect(challengeOf('{"t\\u0079pe":"webhook.verification","data":{"challenge":"\\u0061"}}')).toBe("a");
  });

  it("has a text of 1 to 512 characters, whatever they are", () => {
    for (const text of [
      "x",
      "x".repeat(512),
      "\u0000".repeat(512),
      "湖".repeat(512),
      "\ud800",
      '"\\</script>',
    ]) {
      expect(challengeOf(withText(text))).toBe(text);
    }
    for (const text of ["", "x".repeat(513)]) expect(challengeOf(withText(text))).toBeUndefined();
    const escaped = "\\u6e56".repeat(512);
    expect(challengeOf(`{"type":"webhook.verification","data":{"challenge":"${escaped}"}}`)).toBe(
      "湖".repeat(512),
    );
  });

  it("is nothing else", () => {
    const others = [
      "",
      "null",
      "[]",
      "{}",
      '"webhook.verification"',
      '{"type":"webhook.verification"}',
      '{"type":"webhook.verification","data":null}',
      '{"type":"webhook.verification","data":[]}',
      '{"type":"webhook.verification","data":"abc"}',
      '{"type":"webhook.verification","data":{}}',
      '{"type":"webhook.verification","data":{"challenge":5}}',
      '{"type":"webhook.verification","data":{"challenge":null}}',
      '{"type":"webhook.verification","data":{"challenge":["abc"]}}',
      '{"type":"webhook.verification","data":{"challenge":"abc","x":1}}',
      '{"type":"webhook.verification","data":{"challenge":"abc","__proto__":1}}',
      '{"type":"webhook.verification","data":{"challenge":"abc"},"id":"evt_1"}',
      '{"type":"webhook.verification","data":{"challenge":"abc"},"__proto__":{}}',
      '{"type":"webhook.verification","challenge":"abc"}',
      '{"type":"webhook.verification2","data":{"challenge":"abc"}}',
      '{"type":["webhook.verification"],"data":{"challenge":"abc"}}',
      '{"__proto__":{"type":"webhook.verification"},"data":{"challenge":"abc"}}',
      '[{"type":"webhook.verification","data":{"challenge":"abc"}}]',
      '{"type":"webhook.verification","data":{"challenge":"abc"}}{}',
      '\ufeff{"type":"webhook.verification","data":{"challenge":"abc"}}',
    ];
    for (const text of others) expect([text, challengeOf(text)]).toEqual([text, undefined]);
  });

  it("has no key twice, not even with the same value or written differently", () => {
    const twice = [
      '{"type":"webhook.verification","type":"webhook.verification","data":{"challenge":"abc"}}',
      '{"type":"token.created","type":"webhook.verification","data":{"challenge":"abc"}}',
      '{"type":"webhook.verification","data":{"challenge":"abc"},"data":{"challenge":"abc"}}',
      '{"type":"webhook.verification","data":{"challenge":"a","challenge":"abc"}}',
      '{"type":"webhook.verification","data":{"challenge":"a","ch\\u0061llenge":"abc"}}',
      '{"type":"webhook.verification","d\\u0061ta":{},"data":{"challenge":"abc"}}',
    ];
    for (const text of twice) expect([text, challengeOf(text)]).toEqual([text, undefined]);
  });

  it("is small: a large body of a stranger is not even read", () => {
    expect(challengeOf(withText("abc").padEnd(4096))).toBe("abc");
    expect(challengeOf(withText("abc").padEnd(4097))).toBeUndefined();
  });
});

describe("the limit of challenges", () => {
  const taken = (limit: ChallengeLimit, address: string, nowMs: number, times: number) =>
    Array.from({ length: times }, () => limit.take(address, nowMs));

  it("allows 60 a minute and address and says when the next minute begins", () => {
    const limit = new ChallengeLimit();
    expect(taken(limit, "a", 1_000, 60)).toEqual(Array(60).fill(undefined));
    expect(limit.take("a", 1_000)).toBe(60);
    expect(limit.take("a", 31_500)).toBe(30);
    expect(limit.take("a", 60_999)).toBe(1);
    expect(limit.take("b", 60_999)).toBeUndefined();
    expect(limit.take("a", 61_000)).toBeUndefined();
  });

  it("goes on when the clock is set back", () => {
    const limit = new ChallengeLimit();
    taken(limit, "a", 10_000_000, 61);
    expect(limit.take("a", 1_000)).toBeUndefined();
  });

  it("is bounded: addresses beyond the table share one count", () => {
    const limit = new ChallengeLimit(2);
    expect([limit.take("a", 0), limit.take("b", 0)]).toEqual([undefined, undefined]);
    const strangers = Array.from({ length: challengesPerMinute + 1 }, (_, i) =>
      limit.take(`stranger ${i}`, 0),
    );
    expect(strangers.filter((wait) => wait !== undefined)).toHaveLength(1);
    expect(limit.take("a", 0)).toBeUndefined();
  });
});
