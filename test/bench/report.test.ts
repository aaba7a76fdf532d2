import { describe, expect, it } from "vitest";
import type { Sample } from "./figures.ts";
import { comparisonsTable, figuresTable, markdownOf, numberText, textOf } from "./report.ts";
import type { Measured } from "./run.ts";
import type { Comparison } from "./scenario.ts";

const of = { system: "relay", load: "50/s" };
const to = { system: "naive", load: "50/s" };

function measured(comparisons: readonly Comparison[], rows: Record<string, readonly Sample[]>): Measured {
  return {
    scenario: {
      name: "fanout",
      title: "A title",
      how: "How it was done.",
      cases: [],
      columns: [{ figure: "x", title: "x / s", digits: 1 }],
      comparisons,
    },
    rows: Object.entries(rows).map(([system, samples]) => ({ system, load: "50/s", samples })),
  };
}

const x = (...values: readonly number[]): Sample[] => values.map((value) => ({ figures: { x: value } }));
const lossy: Sample[] = [{ figures: { x: 9 }, fault: "lost 1 of 2 deliveries" }];

describe("the table of a scenario", () => {
  it("has medians with their range, and what was wrong", () => {
    const table = figuresTable(measured([], { relay: x(1, 2, 4), naive: lossy, ws: [] }));
    expect(table.rows).toEqual([
      ["50/s", "relay", "2.0 (1.0–4.0)", "none"],
      ["50/s", "naive", "9.0", "round 1 lost 1 of 2 deliveries"],
    ]);
  });

  it("says whether what is wanted is met", () => {
    const wanted: Comparison[] = [
      { what: "enough", figure: "x", of, to, as: "ratio", atLeast: 2 },
      { what: "too little", figure: "x", of, to, as: "ratio", atLeast: 2.1 },
      { what: "above", figure: "x", of, to, as: "difference", atMost: 1, unit: "ms" },
      { what: "itself", figure: "x", of, as: "value", atMost: 25, unit: "ms" },
      { what: "for information", figure: "x", of, to, as: "ratio" },
      {
        what: "with a system that is not here",
        figure: "x",
        of,
        to: { system: "nats", load: "50/s" },
        as: "ratio",
      },
    ];
    expect(comparisonsTable(measured(wanted, { relay: x(4, 6), naive: x(2, 3) })).rows).toEqual([
      ["enough", "2.00 times", "at least 2", "✓"],
      ["too little", "2.00 times", "at least 2.1", "✗"],
      ["above", "2.5 (1.0–4.0) ms", "at most 1 ms", "✗"],
      ["itself", "5.0 (4.0–6.0) ms", "at most 25 ms", "✓"],
      ["for information", "2.00 times", "", ""],
    ]);
  });

  it.each(["ratio", "difference"] as const)("has no %s where an event was lost, only who lost it", (as) => {
    const comparison: Comparison = { what: "a against b", figure: "x", of, to, as, atLeast: 1 };
    const rows = [
      comparisonsTable(measured([comparison], { relay: lossy, naive: x(1) })).rows,
      comparisonsTable(measured([comparison], { relay: x(1), naive: lossy })).rows,
    ].flat();
    expect(rows.map(([, figure, , mark]) => [figure, mark])).toEqual([
      ["refused: relay, round 1 lost 1 of 2 deliveries", "✗"],
      ["refused: naive, round 1 lost 1 of 2 deliveries", "✗"],
    ]);
  });

  it("is text for a terminal and a table in Markdown", () => {
    const one = measured([{ what: "a | b", figure: "x", of, to, as: "ratio" }], { relay: x(4), naive: x(2) });
    expect(textOf([one])).toContain("50/s  relay   4.0    none\n");
    const markdown = markdownOf([one], "On a machine.", "chart.svg");
    expect(markdown).toContain("![Chart of the figures below](chart.svg)");
    expect(markdown).toContain("| 50/s | relay | 4.0 | none |");
    expect(markdown).toContain("| a \\| b | 2.00 times |  |  |");
  });

  it("writes large numbers short", () => {
    expect([0.129, 9_999, 155_400, 6_204_000].map((value) => numberText(value, 2))).toEqual([
      "0.13",
      "9999.00",
      "155 k",
      "6.20 M",
    ]);
  });
});
