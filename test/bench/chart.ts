/** Bars with their range as an SVG, readable on light and dark pages; no library, no script, no font of its own. */
import { spreadOfFigure } from "./figures.ts";
import { numberText } from "./report.ts";
import type { Measured } from "./run.ts";

interface Bar {
  readonly label: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** The one that it is about. */
  readonly strong?: boolean;
}

export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const width = 760;
const labelWidth = 210;
const valueWidth = 150;
const rowHeight = 24;
const barHeight = 14;
const titleHeight = 44;
const margin = 12;

/** One panel for each scenario that has a chart and figures. */
export function panelsOf(measured: readonly Measured[]): Panel[] {
  return measured.flatMap(({ scenario, rows }) => {
    if (scenario.chart === undefined) return [];
    const { figure, title } = scenario.chart;
    const bars = rows.flatMap(({ system, load, samples }): Bar[] => {
      const spread = spreadOfFigure(samples, figure);
      return spread === undefined
        ? []
        : [{ label: `${system}, ${load}`, ...spread, strong: system === "relay" }];
    });
    return bars.length === 0 ? [] : [{ title: `${title}: ${scenario.title}`, bars }];
  });
}

export function svgOf(panels: readonly Panel[]): string {
  let y = margin;
  const parts: string[] = [];
  for (const { title, bars } of panels) {
    parts.push(`<text class="title" x="${margin}" y="${y + 22}">${escapeXml(title)}</text>`);
    y += titleHeight;
    const most = Math.max(...bars.map(({ high }) => high), Number.MIN_VALUE);
    const scale = (value: number): number => (value / most) * (width - labelWidth - valueWidth - 2 * margin);
    for (const bar of bars) {
      parts.push(barOf(bar, y, scale));
      y += rowHeight;
    }
    y += margin;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">
<title>${escapeXml(panels.map(({ title }) => title).join("; "))}</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600; font-size: 14px }
.bar { fill: #9aa4b2 } .strong { fill: #2563eb } .range { stroke: #333; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .bar { fill: #6b7280 } .strong { fill: #60a5fa } .range { stroke: #ddd } }
</style>
${parts.join("\n")}
</svg>
`;
}

function barOf(
  { label, median, low, high, strong = false }: Bar,
  y: number,
  scale: (value: number) => number,
): string {
  const left = labelWidth + margin;
  const middle = y + rowHeight / 2;
  const length = (value: number): string => scale(value).toFixed(1);
  const at = (value: number): string => (left + scale(value)).toFixed(1);
  return [
    `<text x="${left - 8}" y="${middle + 4}" text-anchor="end">${escapeXml(label)}</text>`,
    `<rect class="bar${strong ? " strong" : ""}" x="${left}" y="${middle - barHeight / 2}" width="${length(median)}" height="${barHeight}"/>`,
    ...(low === high ? [] : [`<path class="range" d="M${at(low)} ${middle}H${at(high)}"/>`]),
    `<text x="${(left + scale(high) + 8).toFixed(1)}" y="${middle + 4}">${escapeXml(numberText(median, 1))}</text>`,
  ].join("");
}

function escapeXml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
