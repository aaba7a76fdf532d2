/** A minute of chaos with a fixed seed, as a test. */
import { rm } from "node:fs/promises";
import { expect, it } from "vitest";
import type { ChaosOptions, LogKind } from "./options.ts";
import { reportOf } from "./report.ts";
import { type Outcome, runChaos } from "./run.ts";

/** Starting, coming to rest and judging included. */
const timeout = 240_000;

/** `more` looks at what the log in use must have come through. */
export function aMinuteOfChaos(log: LogKind, seed: string, more: (outcome: Outcome) => void): void {
  it(`loses nothing, repeats nothing and keeps the order on ${log}, seed ${seed}`, { timeout }, async () => {
    const nodes = log === "embedded" ? 1 : 2;
    const options: ChaosOptions = { seed, minutes: 1, log, nodes, rate: 30, empty: false };
    const outcome = await runChaos(options);
    const { violations, figures } = outcome.verdict;
    if (violations.length > 0) expect.fail(`\n${reportOf(outcome)}`);
    await rm(outcome.outputDir, { recursive: true, force: true });
    // a run in which nothing happened would show nothing
    expect(outcome.faults.list.length).toBeGreaterThan(20);
    expect(figures.accepted).toBeGreaterThan(1_000);
    expect(figures.duplicates).toBeGreaterThan(0);
    expect(figures.recovered).toBeGreaterThan(1_000);
    expect(figures.live).toBeGreaterThan(1_000);
    more(outcome);
  });
}
