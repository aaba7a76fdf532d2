import { createRandom } from "@sharmo-relay/simulator";
import { describe, expect, it } from "vitest";
import { logKinds } from "./options.ts";
import { endOf, isDeath, isFailover, knownFor, lanes, type PlanOptions, planFaults } from "./plan.ts";

const options = (log: PlanOptions["log"]): PlanOptions => ({
  durationMs: 30 * 60_000,
  log,
  nodes: log === "embedded" ? 1 : 3,
  clients: 15,
  empty: false,
});
const planOf = (seed: string, log: PlanOptions["log"]): ReturnType<typeof planFaults> =>
  planFaults(options(log), createRandom(seed));

describe.each(logKinds)("a plan for %s", (log) => {
  it("is the same for the same seed, and another for another", () => {
    expect(planOf("1", log)).toEqual(planOf("1", log));
    expect(planOf("1", log)).not.toEqual(planOf("2", log));
  });

  it("does one fault at a time in each lane, and is over in time", () => {
    for (const lane of lanes) {
      const faults = planOf("3", log).filter((fault) => fault.lane === lane);
      const forks = log === "sentinel" || log === "cluster";
      expect(faults.length > 10).toBe(lane !== "failover" || forks);
      for (const [n, fault] of faults.entries()) {
        expect(endOf(fault)).toBeLessThanOrEqual(faults[n + 1]?.at ?? options(log).durationMs);
      }
    }
  });

  it("lets no node die near a failover that can lose what only nodes know", () => {
    for (const seed of ["4", "5", "6"]) {
      const plan = planOf(seed, log);
      const deaths = plan.filter(isDeath);
      expect(deaths.length).toBeGreaterThan(20);
      for (const failover of plan.filter(isFailover)) {
        for (const death of deaths) {
          const apart = death.at > failover.at ? death.at - endOf(failover) : failover.at - endOf(death);
          expect(
            apart,
            `${death.kind} at ${death.at}, ${failover.kind} at ${failover.at}`,
          ).toBeGreaterThanOrEqual(knownFor);
        }
      }
    }
  });
});

describe("a plan in which Redis comes back empty", () => {
  it("lets no node die before, nor soon after", () => {
    const plan = planFaults({ ...options("redis"), empty: true }, createRandom("1"));
    const emptied = plan.filter(({ kind }) => kind === "log_empty");
    expect(emptied).toHaveLength(1);
    for (const death of plan.filter(isDeath)) {
      expect(death.at).toBeGreaterThanOrEqual(Math.max(...emptied.map(endOf)) + knownFor);
    }
  });
});
