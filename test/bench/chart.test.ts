import { describe, expect, it } from "vitest";
import { panelsOf, svgOf } from "./chart.ts";

const bars = [
  { label: "relay, 50/s", median: 200, low: 150, high: 400, strong: true },
  { label: 'a < "b" & c', median: 100, low: 100, high: 100 },
];

describe("the chart", () => {
  it("draws a bar for each, as long as its median against the largest of the panel", () => {
    const lengths = [...svgOf([{ title: "t", bars }]).matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(
      ([, width]) => Number(width),
    );
    expect(lengths).toHaveLength(2);
    expect((lengths[0] ?? 0) / (lengths[1] ?? 1)).toBeCloseTo(2, 1);
  });

  it("leaves room for the longest range and the figure behind it", () => {
    const svg = svgOf([{ title: "t", bars }]);
    const ends = [...svg.matchAll(/H([\d.]+)"/g)].map(([, x]) => Number(x));
    expect(ends).toHaveLength(1);
    expect(ends[0]).toBeLessThan(760 - 80);
  });

  it("shows a range where there is one", () => {
    expect(svgOf([{ title: "t", bars }]).match(/class="range"/g)).toHaveLength(1);
  });

  it("is well-formed whatever the labels are", () => {
    const svg = svgOf([{ title: "x < y", bars }]);
    expect(svg).toContain("a &lt; &quot;b&quot; &amp; c");
    const open = [...svg.matchAll(/<([a-z]+)(?=[\s>])[^>]*?(\/?)>/g)].filter(([, , self]) => self === "");
    const close = [...svg.matchAll(/<\/([a-z]+)>/g)];
    expect(open.map(([, name]) => name).sort()).toEqual(close.map(([, name]) => name).sort());
    expect(svg.replaceAll(/&(amp|lt|gt|quot);/g, "")).not.toContain("&");
  });

  it("draws nothing for figures of zero but the bars themselves", () => {
    const svg = svgOf([{ title: "t", bars: [{ label: "none", median: 0, low: 0, high: 0 }] }]);
    expect(svg).toContain('width="0.0"');
    expect(svg).not.toContain("NaN");
  });

  it("has a panel for each scenario with a chart, without rows that came to nothing", () => {
    const scenario = {
      name: "fanout",
      title: "T",
      how: "",
      cases: [],
      columns: [],
      comparisons: [],
    } as const;
    const rows = [
      { system: "relay", load: "50/s", samples: [{ figures: { x: 3 } }] },
      { system: "naive", load: "50/s", samples: [{ figures: {}, fault: "failed" }] },
    ];
    expect(
      panelsOf([
        { scenario, rows },
        { scenario: { ...scenario, chart: { figure: "x", title: "X" } }, rows },
      ]),
    ).toEqual([
      { title: "X: T", bars: [{ label: "relay, 50/s", median: 3, low: 3, high: 3, strong: true }] },
    ]);
  });
});
