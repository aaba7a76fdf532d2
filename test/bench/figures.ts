/** Medians, ranges and ratios of samples; no ratio for a system that did not deliver each event once and in order. */

/** What one round of one case gave. */
export interface Sample {
  readonly figures: Readonly<Record<string, number>>;
  /** What was lost, repeated or disordered, or why there are no figures; undefined if all was delivered once and in order. */
  readonly fault?: string;
}

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export type Ratio =
  | ({ readonly kind: "ratio" } & Spread)
  /** `why` names the round and what was wrong with it. */
  | { readonly kind: "refused"; readonly why: string };

export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const [low] = sorted;
  const high = sorted.at(-1);
  if (low === undefined || high === undefined) return undefined;
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? high;
  const lower = sorted[Math.ceil(middle) - 1] ?? low;
  return { median: (lower + upper) / 2, low, high };
}

/** Of one figure over all rounds that have it. */
export function spreadOfFigure(samples: readonly Sample[], figure: string): Spread | undefined {
  return spreadOf(samples.map(({ figures }) => figures[figure] ?? Number.NaN));
}

/** The first round with a fault, for people; undefined if there is none. */
export function faultOf(samples: readonly Sample[]): string | undefined {
  const round = samples.findIndex(({ fault }) => fault !== undefined);
  const fault = samples[round]?.fault;
  return fault === undefined ? undefined : `round ${round + 1} ${fault}`;
}

/**
 * One figure of a system against one of another: the median is that of the medians, the range that of the rounds,
 * each against the same round of the other.
 */
export function ratioOf(
  samples: readonly Sample[],
  figure: string,
  others: readonly Sample[],
  otherFigure: string = figure,
): Ratio {
  const refused = (why: string): Ratio => ({ kind: "refused", why });
  const fault = faultOf(samples);
  if (fault !== undefined) return refused(fault);
  const otherFault = faultOf(others);
  if (otherFault !== undefined) return refused(`the other's ${otherFault}`);
  const own = spreadOfFigure(samples, figure);
  const other = spreadOfFigure(others, otherFigure);
  if (own === undefined || other === undefined || other.median === 0) return refused("nothing to compare");
  const rounds = spreadOf(
    samples.map(({ figures }, round) => {
      const value = others[round]?.figures[otherFigure];
      return value === undefined || value === 0 ? Number.NaN : (figures[figure] ?? Number.NaN) / value;
    }),
  );
  const median = own.median / other.median;
  return { kind: "ratio", median, low: rounds?.low ?? median, high: rounds?.high ?? median };
}
