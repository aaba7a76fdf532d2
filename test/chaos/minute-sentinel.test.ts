import { expect } from "vitest";
import { aMinuteOfChaos } from "./minute.test-suite.ts";

aMinuteOfChaos("sentinel", "11", ({ faults, verdict }) => {
  expect(faults.counts.failover_lossy).toBeGreaterThan(0);
  expect(verdict.figures.putBack).toBeGreaterThan(0);
});
