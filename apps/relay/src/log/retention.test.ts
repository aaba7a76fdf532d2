import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  defaultRetention,
  longestAge,
  parseRetention,
  printRetention,
  readRetention,
  ruleFor,
  shortestAge,
} from "./retention.ts";

const hour = 3_600_000;

function parsed(text: string) {
  const result = parseRetention(text);
  if (!result.ok) throw new Error(result.message);
  return result.retention;
}

describe("RELAY_RETENTION", () => {
  it("gives each named type its rule and all others the default", () => {
    const retention = parsed("*=7d,token.price_changed=24h,token.price_updated=24h/500000");
    expect(ruleFor(retention, "token.price_changed")).toEqual({ maxAgeMs: 24 * hour });
    expect(ruleFor(retention, "token.price_updated")).toEqual({ maxAgeMs: 24 * hour, maxCount: 500_000 });
    expect(ruleFor(retention, "user.registered")).toEqual({ maxAgeMs: 168 * hour });
  });

  it("knows seconds, minutes, hours and days, and ignores white space between parts", () => {
    const retention = parsed("a.s=90s , a.m=30m,a.h=2h, a.d=1d/5");
    expect(Object.fromEntries(retention.types)).toEqual({
      "a.s": { maxAgeMs: 90_000 },
      "a.m": { maxAgeMs: 1_800_000 },
      "a.h": { maxAgeMs: 2 * hour },
      "a.d": { maxAgeMs: 24 * hour, maxCount: 5 },
    });
  });

  it("keeps the seven days of a type that nothing is said of", () => {
    expect(parsed("token.price_changed=24h").default).toEqual(defaultRetention.default);
  });

  it.each([
    ["", /"": expected <type>=<age>/],
    ["7d", /"7d": expected <type>=<age>/],
    ["*=7d,,a.b=1h", /"": expected/],
    ["*=7", /"\*=7": expected an age such as 90s/],
    ["*=7w", /expected an age/],
    ["*=-1d", /expected an age/],
    ["*=1.5d", /expected an age/],
    ["*=0s", /an age of zero/],
    ["*=7d/0", /a count of zero/],
    ["*=7d/", /expected an age/],
    ["*=7d/1e3", /expected an age/],
    ["*=99999d", /at most 3650d/],
    ["token.*=7d", /"token\.\*=7d": expected \* or an event name/],
    ["Token.created=7d", /expected \* or an event name/],
    ["relay.cursor=7d", /expected \* or an event name/],
    ["*=7d,*=8d", /\* is named twice/],
    ["a.b=1d,a.b=1d", /a\.b is named twice/],
  ])("refuses %j and says which part and why", (text, message) => {
    const result = parseRetention(text);
    expect(result).toEqual({ ok: false, message: expect.stringMatching(message) });
  });

  it("says the shortest and the longest age of all", () => {
    const retention = parsed("*=7d,a.short=10m,a.long=30d");
    expect([shortestAge(retention), longestAge(retention)]).toEqual([hour / 6, 720 * hour]);
    expect([shortestAge(defaultRetention), longestAge(defaultRetention)]).toEqual([168 * hour, 168 * hour]);
  });

  it("is read back as it was printed", () => {
    const rule = fc.oneof(
      fc.record({ maxAgeMs: fc.integer({ min: 1 }) }),
      fc.record({ maxAgeMs: fc.integer({ min: 1 }), maxCount: fc.integer({ min: 1 }) }),
    );
    const types = fc
      .array(fc.tuple(fc.constantFrom("a.b", "c.d", "e.f"), rule))
      .map((entries) => new Map(entries));
    fc.assert(
      fc.property(fc.record({ default: rule, types }), (retention) => {
        expect(readRetention(printRetention(retention))).toEqual(retention);
      }),
    );
    for (const text of [
      "",
      "null",
      "7",
      "{}",
      '{"default":[1]}',
      '{"default":["a"],"types":{}}',
      '{"default":[1],"types":{"a.b":1}}',
    ]) {
      expect(readRetention(text)).toBeUndefined();
    }
  });
});
