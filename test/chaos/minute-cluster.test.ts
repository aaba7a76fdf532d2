import { expect } from "vitest";
import { aMinuteOfChaos } from "./minute.test-suite.ts";

aMinuteOfChaos("cluster", "9", ({ faults, verdict }) => {
  expect(faults.counts.failover_lossy).toBeGreaterThan(0);
  expect(verdict.figures.putBack).toBeGreaterThan(0);
});
