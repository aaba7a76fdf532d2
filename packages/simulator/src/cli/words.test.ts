import { describe, expect, it } from "vitest";
import type { Delivery } from "../sender/deliveries.ts";
import { createWatch, describeAnswer, duration, plain } from "./words.ts";

describe("words", () => {
  it("should make one harmless line of what a server answers", () => {
    expect(plain("a\n\tb\x1b[2J\u0007 c\u202e")).toBe("a b [2J c");
    expect(plain("x".repeat(500)).length).toBe(161);
  });

  it("should describe answers by the vendor's shape of errors where they have it", () => {
    const body = '{"code":"invalid_signature","message":"The signature does not match","details":{}}';
    expect(describeAnswer(401, body)).toBe("401 invalid_signature: The signature does not match");
    expect(describeAnswer(502, "<h1>Bad\nGateway</h1>")).toBe("502 <h1>Bad Gateway</h1>");
    expect(describeAnswer(500, "")).toBe("500");
    expect(describeAnswer(undefined, "nothing listens at x:1")).toBe("nothing listens at x:1");
  });

  it("should say durations as people do", () => {
    expect([-5, 840, 42_000, 299_000, 7_199_000].map(duration)).toEqual([
      "0.0 s",
      "0.8 s",
      "42 s",
      "4:59",
      "1:59:59",
    ]);
  });
});

describe("createWatch", () => {
  const delivery = (outcome: Delivery["outcome"]): Delivery => ({
    eventId: "evt_1",
    type: "token.created",
    attempt: 1,
    at: "2025-01-01T00:00:00.000Z",
    tookMs: 1,
    response: "nothing listens at x:1",
    outcome,
    again: false,
  });

  it("should say at once that nothing arrives from the start, once, and when it does", () => {
    const watch = createWatch("http://x:1/", "Again later");
    expect(watch.see(delivery("retrying"))).toBe(
      "http://x:1/ does not accept events: nothing listens at x:1. Again later",
    );
    expect(watch.see(delivery("retrying"))).toBeUndefined();
    expect(watch.see(delivery("delivered"))).toBe("http://x:1/ accepts events again");
  });

  it("should say nothing of single failures later, but of three in a row", () => {
    const watch = createWatch("http://x:1/", "Again later");
    const outcomes = ["delivered", "failed", "retrying", "lost_answer", "retrying", "retrying"] as const;
    for (const outcome of outcomes) expect(watch.see(delivery(outcome))).toBeUndefined();
    expect(watch.see(delivery("retrying"))).toContain("does not accept events");
  });
});
