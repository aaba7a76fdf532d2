/** What the scenarios have in common: cases that are measured in turns, columns, and the comparisons to be shown. */
import type { Sample } from "./figures.ts";
import type { ScenarioName } from "./options.ts";

/** One system under one load; run once a round, from start to end. */
export interface Case {
  readonly system: string;
  readonly load: string;
  run(): Promise<Sample>;
}

interface Column {
  /** The name of the figure in the samples. */
  readonly figure: string;
  readonly title: string;
  readonly digits: number;
}

/** A figure of one case against that of another, and what it should be. */
export interface Comparison {
  readonly what: string;
  readonly figure: string;
  readonly of: { readonly system: string; readonly load: string };
  /** Absent: the figure itself is what counts. */
  readonly to?: { readonly system: string; readonly load: string; readonly figure?: string };
  /** `difference`: of the medians, in the figure's unit. */
  readonly as: "ratio" | "difference" | "value";
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly unit?: string;
}

export interface Scenario {
  readonly name: ScenarioName;
  readonly title: string;
  /** How it was measured, a sentence or two for the reader of the tables. */
  readonly how: string;
  readonly cases: readonly Case[];
  readonly columns: readonly Column[];
  readonly comparisons: readonly Comparison[];
  /** The figure that the chart shows. */
  readonly chart?: { readonly figure: string; readonly title: string };
}
