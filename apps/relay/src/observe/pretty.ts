/** A line of the log for a person: time, level, message, then the rest as `name=value`. */

const colours: Readonly<Record<string, string>> = {
  debug: "90",
  info: "36",
  warn: "33",
  error: "31",
  fatal: "35",
};

export function prettyLine(line: string, coloured: boolean): string {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof fields !== "object" || fields === null) return line;
  const { time, level, msg, ...rest } = fields as Record<string, unknown>;
  const name = String(level);
  const padded = name.toUpperCase().padEnd(5);
  const colour = colours[name];
  const shown = coloured && colour !== undefined ? `\u001b[${colour}m${padded}\u001b[0m` : padded;
  const clock = typeof time === "string" ? time.slice(11, 23) : "";
  const pairs = Object.entries(rest).map(([key, value]) => `${key}=${valueText(value)}`);
  return `${[clock, shown, ...(typeof msg === "string" ? [oneLine(msg)] : []), ...pairs].join(" ")}\n`;
}

function valueText(value: unknown): string {
  if (typeof value === "string") return /^[\w.:/@?*=-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value);
}

/** Escape sequences and line breaks from outside must not reach the terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, " ");
}
