/** A whole run: every case once a round, the order turned around each time, and what came of it. */
import { cpus } from "node:os";
import type { Sample } from "./figures.ts";
import type { Case, Scenario } from "./scenario.ts";

export interface Progress {
  readonly elapsedMs: number;
  readonly scenario: string;
  readonly round: number;
  readonly rounds: number;
  readonly system: string;
  readonly load: string;
  readonly done: number;
  readonly all: number;
}

/** One line of a table. */
export interface Row {
  readonly system: string;
  readonly load: string;
  readonly samples: readonly Sample[];
}

export interface Measured {
  readonly scenario: Scenario;
  readonly rows: readonly Row[];
}

export interface RunOptions {
  readonly rounds: number;
  /** What is under way is finished, nothing new begun. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** A case that came to nothing: its round counts as one with a fault. */
  readonly onFailure?: (what: string) => void;
}

export async function measure(scenarios: readonly Scenario[], options: RunOptions): Promise<Measured[]> {
  const { rounds, signal, onProgress, onFailure } = options;
  const began = Date.now();
  const samples = new Map<Case, Sample[]>();
  const all = scenarios.reduce((sum, { cases }) => sum + cases.length, 0) * rounds;
  let done = 0;
  for (const scenario of scenarios) {
    for (let round = 1; round <= rounds; round++) {
      const order = round % 2 === 1 ? scenario.cases : scenario.cases.toReversed();
      for (const one of order) {
        if (signal?.aborted === true) break;
        const { system, load } = one;
        onProgress?.({
          elapsedMs: Date.now() - began,
          scenario: scenario.name,
          round,
          rounds,
          system,
          load,
          done,
          all,
        });
        const sample = await run(one, onFailure);
        samples.set(one, [...(samples.get(one) ?? []), sample]);
        done += 1;
      }
    }
  }
  return scenarios.map((scenario) => ({
    scenario,
    rows: scenario.cases.map((one) => ({
      system: one.system,
      load: one.load,
      samples: samples.get(one) ?? [],
    })),
  }));
}

async function run(one: Case, onFailure: RunOptions["onFailure"]): Promise<Sample> {
  try {
    return await one.run();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    onFailure?.(`${one.system}, ${one.load}: ${message}`);
    return { figures: {}, fault: `failed: ${message.split("\n")[0] ?? ""}` };
  }
}

/** What the figures were taken on, for whoever compares. */
export function machine(): string {
  const [first] = cpus();
  return `${cpus().length} cores (${first?.model.trim() ?? "unknown"}), Node ${process.versions.node}, Linux, loopback`;
}
