/** The line of a token's last values, as the `d` of one SVG path. */

/** Space above and below the line, so that its stroke is not cut off. */
const margin = 2;

/** Nothing for less than two values; a level line when all are equal. */
export function sparklinePath(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return "";
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const step = width / (values.length - 1);
  const span = high - low;
  const room = height - 2 * margin;
  const points = values.map((value, index) => {
    const share = span === 0 ? 0.5 : (high - value) / span;
    return `${round(index * step)} ${round(margin + share * room)}`;
  });
  return `M${points.join("L")}`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
