import { expect } from "vitest";
import { aMinuteOfChaos } from "./minute.test-suite.ts";

aMinuteOfChaos("embedded", "1", ({ faults }) => {
  expect(faults.counts.node_kill).toBeGreaterThan(0);
});
