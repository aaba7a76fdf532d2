import { expect, it } from "vitest";
import { gapSentence, type Missing } from "./gap.ts";

const at = (hour: number, minute: number) => new Date(2026, 10, 24, hour, minute).getTime();
const prices: Missing = { what: "price changes", certain: false, from: at(14, 2), to: at(14, 5) };

it("says what may be missing, between when, and why", () => {
  expect(gapSentence("retention", [prices])).toBe(
    "Some price changes between 14:02:00 and 14:05:00 may be missing: the relay no longer keeps them.",
  );
});

it("says in one sentence what is missing for one reason", () => {
  const transfers: Missing = { what: "transfers", certain: true, from: at(14, 1), to: at(14, 6) };
  expect(gapSentence("log_lost", [prices, prices, transfers])).toBe(
    "Some price changes and transfers between 14:01:00 and 14:06:00 may be missing: they were lost in a failover.",
  );
});

it("says so when it is certain, and makes do without a beginning", () => {
  const transactions: Missing = { what: "transactions", certain: true, from: undefined, to: at(14, 5) };
  expect(gapSentence("log_lost", [transactions])).toBe(
    "Some transactions before 14:05:00 are missing: they were lost in a failover.",
  );
});
