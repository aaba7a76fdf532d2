import type { Status } from "@sharmo-relay/client";
import { expect, it } from "vitest";
import { connectionOf } from "./connection.ts";

const status = (state: Status["state"], rest: Partial<Status> = {}): Status => ({
  state,
  degraded: false,
  role: "solo",
  message: `the SDK on ${state}`,
  ...rest,
});

it("says Live in green only when all is well", () => {
  expect(connectionOf(status("live"), 0)).toMatchObject({ tone: "good", word: "Live" });
  expect(connectionOf(status("live", { degraded: true }), 0)).toMatchObject({
    tone: "busy",
    word: "Live, with trouble",
    explanation: "the SDK on live",
  });
});

it("tells when the next try is due, and since when nothing arrives", () => {
  const live = connectionOf(status("live"), 1_000);
  const first = connectionOf(status("reconnecting", { retryAt: 5_000 }), 2_000, live);
  expect(first).toMatchObject({ word: "Reconnecting", retryAt: 5_000, brokenSince: 2_000 });
  const trying = connectionOf(status("connecting"), 5_000, first);
  expect(trying).toMatchObject({ word: "Connecting", brokenSince: 2_000 });
  const second = connectionOf(status("reconnecting", { retryAt: 9_000 }), 6_000, trying);
  expect(second).toMatchObject({ retryAt: 9_000, brokenSince: 2_000 });
  expect(connectionOf(status("catching_up"), 9_500, second)).not.toHaveProperty("brokenSince");
});

it("does not call a first connection broken", () => {
  expect(connectionOf(status("connecting"), 0)).not.toHaveProperty("brokenSince");
});

it("passes on why the relay refuses", () => {
  expect(connectionOf(status("refused"), 0)).toMatchObject({
    tone: "bad",
    word: "Refused",
    explanation: "the SDK on refused",
  });
});
