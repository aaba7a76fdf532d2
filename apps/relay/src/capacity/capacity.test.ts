import { describe, expect, it, test } from "vitest";
import { readArguments } from "./arguments.ts";
import { type Costs, measured } from "./costs.ts";
import { estimate, type Load, planned } from "./estimate.ts";
import { words } from "./words.ts";

const load: Load = {
  clients: 10_000,
  rate: 50,
  perClient: 10,
  eventBytes: 350,
  retentionDays: 7,
  gatherMs: 10,
};

/** Round numbers, so that results can be checked by hand. */
const costs: Costs = {
  ...measured,
  write: 10e-6,
  frame: 1e-6,
  apply: 20e-6,
  accept: 100e-6,
  ping: 100e-6,
  comeBack: 1e-3,
};

describe("an estimate", () => {
  it("adds up what each client and each event cost, and plans for a part of a core", () => {
    // a client: 10 writes and frames a second 110 µs, pings 4 µs; all: 1.14 s + 5 ms for webhooks
    const { processes, busy, clientsPerProcess } = estimate(load, costs);
    expect(processes).toBe(2);
    expect(clientsPerProcess).toBe(5_000);
    expect(busy).toBeCloseTo(1.145 / 2 + 0.001, 4);
    expect(busy).toBeLessThanOrEqual(planned);
  });

  it("counts fewer writes than events where they gather, and smaller frames", () => {
    const fast = { ...load, rate: 1_000, perClient: 1_000, clients: 1_000 };
    const gathered = estimate(fast, costs);
    const single = estimate({ ...fast, gatherMs: 0 }, costs);
    expect(single.processes).toBeGreaterThan(4 * gathered.processes);
    expect(gathered.bandwidthDeflated / gathered.bandwidthPlain).toBeCloseTo((0.67 + 9 * 0.1) / 10, 5);
    expect(single.bandwidthDeflated / single.bandwidthPlain).toBeCloseTo(0.67, 5);
  });

  it("says what does not fit, however much is added", () => {
    expect(estimate(load, costs).limit).toBeUndefined();
    expect(estimate({ ...load, rate: 20_000 }, costs).limit).toBe("redis_accepts");
    expect(estimate({ ...load, rate: 30_000 }, { ...costs, redisAccepts: 1e6 }).limit).toBe("apply");
    expect(estimate({ ...load, clients: 1e8, rate: 1_000, perClient: 10 }, costs).limit).toBe(
      "redis_messages",
    );
  });

  it("has clients of a lost process come back onto the others, or onto itself", () => {
    const one = estimate({ ...load, clients: 1_000, perClient: 0 }, costs);
    expect(one.processes).toBe(1);
    expect(one.comeBackSeconds).toBeCloseTo(1 / (1 - one.busy), 3);
  });
});

test("the command line is read, and every bad value named with what was expected", () => {
  expect(readArguments(["--clients", "1000", "--rate", "20"])).toEqual({
    ok: true,
    load: { clients: 1_000, rate: 20, perClient: 20, eventBytes: 350, retentionDays: 7, gatherMs: 10 },
  });
  for (const [args, message] of [
    [["--rate", "20"], "--clients is needed"],
    [["--clients", "10"], "--rate is needed"],
    [["--clients", "many", "--rate", "1"], "--clients many: expected a whole number from 1 to"],
    [["--clients", "10", "--rate", "-1"], "--rate"],
    [["--clients", "10", "--rate", "1", "--per-client", "2"], "--per-client 2 is more than all events"],
    [["--clients", "10", "--rate", "1", "--size", "3.5"], "--size 3.5: expected a whole number"],
    [["--clients", "10", "--rate", "1", "--nodes", "3"], "--nodes"],
  ] as const) {
    const read = readArguments(args);
    expect(read.ok ? "" : read.message).toContain(message);
  }
});

test("an estimate reads as a table, with the limit below it", () => {
  const big = { ...load, clients: 1_000_000, perClient: 2 };
  const text = words(big, estimate(big, costs));
  expect(text).toContain("1,000,000, each following 2 of 50 events a second");
  expect(text).toContain("2,000,000 a second");
  expect(text).not.toContain("Does not fit");
  expect(words(load, estimate({ ...load, rate: 20_000 }, costs))).toContain(
    "Does not fit: one Redis cannot accept",
  );
});
