import { describe, expect, it } from "vitest";
import { readTopics } from "./open.ts";

function read(topics: unknown): readonly string[] | string {
  const result = readTopics(topics, 3);
  return result.ok ? result.topics.map((topic) => topic.name) : result.error.code;
}

describe("a list of topics", () => {
  it("is read the same the second time", () => {
    const asked = ["token.created?token_id=tok_1", "trade.*", "trade.*"];
    expect(read(asked)).toEqual(["token.created?token_id=tok_1", "trade.*"]);
    expect(read([...asked])).toEqual(["token.created?token_id=tok_1", "trade.*"]);
  });

  it("is kept once for all who ask for the same", () => {
    const [one, other] = [readTopics(["token.*", "*"], 3), readTopics(["token.*", "*"], 3)];
    expect(one.ok && other.ok && one.topics === other.topics).toBe(true);
  });

  it("is not taken for another that looks alike", () => {
    expect(read(["a.b", "c.d"])).toEqual(["a.b", "c.d"]);
    expect(read(["a.b c.d"])).toBe("invalid_topic");
    expect(read(["a.b", "c.d", ""])).toBe("invalid_topic");
    expect(read(["c.d", "a.b"])).toEqual(["c.d", "a.b"]);
  });

  it("is of strings, whatever else prints the same", () => {
    expect(read(["a.b"])).toEqual(["a.b"]);
    expect(read([["a.b"]])).toBe("invalid_topic");
    expect(read([{ toString: () => "a.b" }])).toBe("invalid_topic");
  });

  it("is measured anew against what is allowed", () => {
    const asked = ["a.b", "c.d", "e.f"];
    expect(readTopics(asked, 3).ok).toBe(true);
    expect(readTopics(asked, 2)).toMatchObject({ ok: false, error: { code: "too_many_topics" } });
  });
});
