/** Reads the values of options. Every message says what was expected and gives an example. */
import { SimulatorError } from "../errors.ts";
import { type OptionName, options } from "./options.ts";

const longestShown = 60;

export function usageError(message: string): SimulatorError {
  return new SimulatorError("usage", message);
}

/** Names the option, what was expected instead of `given`, and an example. */
function badValue(name: OptionName, expected: string, given: string): SimulatorError {
  const shown = given.length > longestShown ? `${given.slice(0, longestShown)}…` : given;
  return usageError(`--${name}: expected ${expected}, got ${JSON.stringify(shown)}; ${exampleOf(name)}`);
}

export function exampleOf(name: OptionName): string {
  return `for example --${name} ${options[name].example ?? ""}`.trimEnd();
}

export interface Range {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
}

export function readNumber(name: OptionName, text: string | undefined, range: Range): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?$|^\.\d+$/.test(text) ? Number(text) : Number.NaN;
  const fits = value >= range.min && value <= range.max && (range.whole !== true || Number.isInteger(value));
  if (fits) return value;
  const kind = range.whole === true ? "a whole number" : "a number";
  throw badValue(name, `${kind} from ${range.min} to ${range.max}`, text);
}

export function readChoice<T extends string>(
  name: OptionName,
  text: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const choice = choices.find((known) => known === text);
  if (choice === undefined) throw badValue(name, `one of ${choices.join(", ")}`, text);
  return choice;
}

/** An absolute time with zone, in milliseconds since 1970. */
export function readTime(name: OptionName, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const withZone = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const time = withZone ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw badValue(name, "a time with zone", text);
  return time;
}

export function readUrl(name: OptionName, text: string): string {
  if (!URL.canParse(text)) throw badValue(name, "an http or https URL", text);
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw badValue(name, "an http or https URL", text);
  }
  // Not shown again: what is wrong here is that it holds a password.
  if (url.username !== "" || url.password !== "") {
    throw usageError(`--${name}: expected a URL without user name and password; ${exampleOf(name)}`);
  }
  return url.href;
}

/** The text of a JSON object, as it was written. */
export function readObject(name: OptionName, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const value = parsed(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badValue(name, "a JSON object", text);
  }
  return text.trim();
}

/** `key=value` pairs; a value that is no JSON is taken for a plain text. Answers JSON texts. */
export function readEdits(name: OptionName, pairs: readonly string[]): ReadonlyMap<string, string> {
  const edits = new Map<string, string>();
  for (const pair of pairs) {
    const mark = pair.indexOf("=");
    if (mark < 1) throw badValue(name, "KEY=VALUE", pair);
    const value = pair.slice(mark + 1);
    edits.set(pair.slice(0, mark), parsed(value) === undefined ? JSON.stringify(value) : value.trim());
  }
  return edits;
}

/** No JSON text means `undefined`, so that stands for "not JSON". */
function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}
