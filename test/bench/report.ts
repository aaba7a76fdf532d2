/** The tables of a run, for a terminal and as Markdown. */
import { faultOf, ratioOf, type Sample, type Spread, spreadOfFigure } from "./figures.ts";
import type { Measured, Progress, Row } from "./run.ts";
import type { Comparison } from "./scenario.ts";

export function progressLine({
  elapsedMs,
  scenario,
  round,
  rounds,
  system,
  load,
  done,
  all,
}: Progress): string {
  const seconds = Math.round(elapsedMs / 1_000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return `${clock}  ${done}/${all}  ${scenario}, round ${round} of ${rounds}: ${system}, ${load}`;
}

interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Medians, with the range below it in parentheses where there are several rounds. */
export function figuresTable({ scenario, rows }: Measured): Table {
  return {
    head: ["load", "system", ...scenario.columns.map(({ title }) => title), "lost, repeated, disordered"],
    rows: rows
      .filter(({ samples }) => samples.length > 0)
      .map(({ system, load, samples }) => [
        load,
        system,
        ...scenario.columns.map(({ figure, digits }) => spreadText(spreadOfFigure(samples, figure), digits)),
        faultOf(samples) ?? "none",
      ]),
  };
}

/** Comparisons of what was measured; those with a system that is not here are left out. */
export function comparisonsTable({ scenario, rows }: Measured): Table {
  return {
    head: ["what", "measured", "wanted", ""],
    rows: scenario.comparisons.flatMap((comparison) => {
      const line = compared(comparison, rows);
      return line === undefined ? [] : [line];
    }),
  };
}

function compared(comparison: Comparison, rows: readonly Row[]): readonly string[] | undefined {
  const { what, figure, of, to, as, atLeast, atMost, unit = "" } = comparison;
  const own = samplesOf(rows, of);
  const other = to === undefined ? own : samplesOf(rows, to);
  if (own === undefined || other === undefined) return undefined;
  const fault = faultOf(own);
  const otherFault = faultOf(other);
  const wanted = wantedText(comparison);
  if (fault !== undefined || otherFault !== undefined) {
    const [who, why] = fault === undefined ? [to?.system ?? of.system, otherFault] : [of.system, fault];
    return [what, `refused: ${who}, ${why}`, wanted, "✗"];
  }
  const spread =
    as === "ratio" ? ratioSpread(own, other, comparison) : differenceSpread(own, other, comparison);
  if (typeof spread === "string") return [what, `refused: ${spread}`, wanted, "✗"];
  const met =
    (atLeast === undefined || spread.median >= atLeast) && (atMost === undefined || spread.median <= atMost);
  const suffix = as === "ratio" ? " times" : unit === "" ? "" : ` ${unit}`;
  const digits = as === "ratio" ? 2 : figure === "" ? 0 : 1;
  return [what, `${spreadText(spread, digits)}${suffix}`, wanted, wanted === "" ? "" : met ? "✓" : "✗"];
}

function ratioSpread(
  own: readonly Sample[],
  other: readonly Sample[],
  { figure, to }: Comparison,
): Spread | string {
  const ratio = ratioOf(own, figure, other, to?.figure ?? figure);
  return ratio.kind === "refused" ? ratio.why : ratio;
}

function differenceSpread(
  own: readonly Sample[],
  other: readonly Sample[],
  comparison: Comparison,
): Spread | string {
  const mine = spreadOfFigure(own, comparison.figure);
  if (mine === undefined) return "nothing to compare";
  if (comparison.as === "value" || comparison.to === undefined) return mine;
  const theirs = spreadOfFigure(other, comparison.to.figure ?? comparison.figure);
  if (theirs === undefined) return "nothing to compare";
  return {
    median: mine.median - theirs.median,
    low: mine.low - theirs.high,
    high: mine.high - theirs.low,
  };
}

function samplesOf(
  rows: readonly Row[],
  { system, load }: { readonly system: string; readonly load: string },
): readonly Sample[] | undefined {
  const samples = rows.find((row) => row.system === system && row.load === load)?.samples;
  return samples === undefined || samples.length === 0 ? undefined : samples;
}

function wantedText({ as, atLeast, atMost, unit = "" }: Comparison): string {
  const suffix = as === "ratio" || unit === "" ? "" : ` ${unit}`;
  const parts = [
    atLeast === undefined ? "" : `at least ${atLeast}${suffix}`,
    atMost === undefined ? "" : `at most ${atMost}${suffix}`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function spreadText(spread: Spread | undefined, digits: number): string {
  if (spread === undefined) return "–";
  const text = (value: number): string => numberText(value, digits);
  const { median, low, high } = spread;
  return low === high ? text(median) : `${text(median)} (${text(low)}–${text(high)})`;
}

/** Large numbers short: 155 k, 6.20 M. */
export function numberText(value: number, digits: number): string {
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (Math.abs(value) >= 1e4) return `${Math.round(value / 1e3)} k`;
  return value.toFixed(digits);
}

export function textOf(measured: readonly Measured[]): string {
  return measured
    .flatMap((one) => {
      const { title, how } = one.scenario;
      const comparisons = comparisonsTable(one);
      return [
        `${title}\n${how}\n`,
        columns(figuresTable(one)),
        ...(comparisons.rows.length === 0 ? [] : [columns(comparisons)]),
      ];
    })
    .join("\n");
}

function columns({ head, rows }: Table): string {
  const all = [head, ...rows];
  const widths = head.map((_, index) => Math.max(...all.map((row) => (row[index] ?? "").length)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

export function markdownOf(measured: readonly Measured[], context: string, chart?: string): string {
  const parts = measured.flatMap((one) => {
    const { title, how } = one.scenario;
    const comparisons = comparisonsTable(one);
    return [
      `## ${title}`,
      how,
      markdownTable(figuresTable(one)),
      ...(comparisons.rows.length === 0 ? [] : [markdownTable(comparisons)]),
    ];
  });
  const image = chart === undefined ? [] : [`![Chart of the figures below](${chart})`];
  return `${[context, ...image, ...parts].join("\n\n")}\n`;
}

function markdownTable({ head, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
