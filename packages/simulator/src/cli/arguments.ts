/** Reads the command line. Throws a SimulatorError with one line for the person. */
import { parseArgs } from "node:util";
import { isEventType, isRoutableType } from "@sharmo-relay/protocol";
import { type Style, styles } from "../serialise.ts";
import { type Scheme, schemes } from "../sign.ts";
import {
  type CommandName,
  commands,
  defaultUrl,
  isCommandName,
  type OptionName,
  options,
} from "./options.ts";
import type { SecretSources } from "./secret.ts";
import {
  exampleOf,
  readChoice,
  readEdits,
  readNumber,
  readObject,
  readTime,
  readUrl,
  usageError,
} from "./values.ts";

interface Target {
  readonly url: string;
  readonly secret: SecretSources;
  readonly scheme: Scheme;
}

export interface RunArguments extends Target {
  readonly command: "run";
  readonly rate: number;
  readonly burst: number;
  readonly count?: number;
  /** With it, or with a start, events carry simulated times and are the same each time. */
  readonly seed?: string;
  readonly start?: number;
  readonly tokens: number;
  readonly timeScale: number;
  readonly duplicates: number;
  readonly late: number;
  readonly style: Style;
  readonly inFlight: number;
  readonly quiet: boolean;
}

export interface RegisterArguments extends Target {
  readonly command: "register";
  readonly signed: boolean;
}

export interface SendArguments extends Target {
  readonly command: "send";
  readonly type: string;
  readonly data?: string;
  readonly edits: ReadonlyMap<string, string>;
  readonly id?: string;
  readonly createdAt?: string;
}

export type Arguments =
  | RunArguments
  | RegisterArguments
  | SendArguments
  | { readonly command: "types" }
  | { readonly command: "version" }
  | { readonly command: "help"; readonly about?: CommandName };

export function readArguments(args: readonly string[]): Arguments {
  const [first, ...rest] = args;
  if (first === undefined || first === "--help" || first === "-h" || first === "help")
    return { command: "help" };
  if (first === "--version") return { command: "version" };
  if (!isCommandName(first)) {
    const names = Object.keys(commands).join(", ");
    throw usageError(`expected a command: ${names}; for example sharmo-simulator run --help`);
  }

  const given = split(first, rest);
  if (given.has("help")) return { command: "help", about: first };
  if (given.has("version")) return { command: "version" };
  const mostPositionals = first === "send" ? 1 : 0;
  if (given.positionals.length > mostPositionals) {
    // Not shown: a secret typed in the wrong place would stand here.
    const place = mostPositionals === 0 ? `after ${first}` : "after the event type";
    throw usageError(`expected only options ${place}; see sharmo-simulator ${first} --help`);
  }
  switch (first) {
    case "run":
      return readRun(given);
    case "register":
      return {
        command: "register",
        ...readTarget(given),
        signed: given.has("signed") || given.has("secret") || given.has("secret-file"),
      };
    case "send":
      return readSend(given);
    case "types":
      return { command: "types" };
  }
}

interface Given {
  readonly positionals: readonly string[];
  has(name: OptionName): boolean;
  text(name: OptionName): string | undefined;
  texts(name: OptionName): readonly string[];
}

function split(command: CommandName, args: readonly string[]): Given {
  const names: readonly OptionName[] = [...commands[command].options, "help", "version"];
  const known = names.map((name) => {
    const option = options[name];
    const type: "string" | "boolean" = option.value === undefined ? "boolean" : "string";
    return [name, { type, multiple: true, ...(name === "help" ? { short: "h" } : {}) }] as const;
  });
  const { values, positionals } = parse(command, args, Object.fromEntries(known));
  const all = (name: OptionName): readonly (string | boolean)[] => {
    const value = values[name];
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
  };
  const texts = (name: OptionName): string[] => all(name).filter((value) => typeof value === "string");

  for (const name of names) {
    const option = options[name];
    if (all(name).length > 1 && option.multiple !== true) throw usageError(`--${name} is given twice`);
  }
  return { positionals, has: (name) => all(name).length > 0, text: (name) => texts(name)[0], texts };
}

function parse(
  command: CommandName,
  args: readonly string[],
  known: Record<string, { type: "string" | "boolean"; multiple: true; short?: string }>,
): { values: Record<string, string | boolean | (string | boolean)[] | undefined>; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options: known, allowPositionals: true, strict: true });
  } catch (error) {
    // Its messages run over several sentences; only the option's name is taken from them.
    const message = error instanceof Error ? error.message : "";
    const name = /--([a-z-]+)/.exec(message)?.[1];
    const option = Object.keys(known).find((candidate) => candidate === name) as OptionName | undefined;
    const help = `see sharmo-simulator ${command} --help`;
    if (option === undefined) {
      throw usageError(
        `${command} has no option ${name === undefined ? "of this name" : `--${name}`}; ${help}`,
      );
    }
    const takesValue = known[option]?.type === "string";
    throw usageError(
      takesValue ? `--${option}: expected a value; ${exampleOf(option)}` : `--${option} takes no value`,
    );
  }
}

function readTarget(given: Given): Target {
  const secret = given.text("secret");
  const file = given.text("secret-file");
  return {
    url: readUrl("url", given.text("url") ?? defaultUrl),
    secret: { ...(secret === undefined ? {} : { secret }), ...(file === undefined ? {} : { file }) },
    scheme: readChoice("scheme", given.text("scheme"), schemes) ?? "body",
  };
}

function readRun(given: Given): RunArguments {
  const number = (name: OptionName, min: number, max: number): number | undefined =>
    readNumber(name, given.text(name), { min, max });
  const whole = (name: OptionName, max: number): number | undefined =>
    readNumber(name, given.text(name), { min: 1, max, whole: true });
  const seed = given.text("seed");
  const start = readTime("start", given.text("start"));
  const count = whole("count", 1_000_000_000);
  return {
    command: "run",
    ...readTarget(given),
    rate: number("rate", 0.01, 100_000) ?? 5,
    burst: whole("burst", 10_000) ?? 1,
    ...(count === undefined ? {} : { count }),
    ...(seed === undefined ? {} : { seed }),
    ...(start === undefined ? {} : { start }),
    tokens: whole("tokens", 1_000) ?? 12,
    timeScale: number("time-scale", 0.01, 1_000_000) ?? 1,
    duplicates: number("duplicates", 0, 1) ?? 0.02,
    late: number("late", 0, 1) ?? 0.02,
    style: readChoice("style", given.text("style"), styles) ?? "json",
    inFlight: whole("in-flight", 1_000) ?? 8,
    quiet: given.has("quiet"),
  };
}

function readSend(given: Given): SendArguments {
  const type = given.positionals[0];
  const data = readObject("data", given.text("data"));
  const id = given.text("id");
  const createdAt = given.text("created-at");
  const sets = given.texts("set");
  readTime("created-at", createdAt);
  if (data !== undefined && sets.length > 0)
    throw usageError("--set edits the sample data: expected it or --data");
  if (type === undefined || !isRoutableType(type)) {
    throw usageError("expected an event type, for example sharmo-simulator send token.price_changed");
  }
  if (!isEventType(type) && data === undefined) {
    throw usageError(`there is no sample of ${type}: expected --data, or a type that "types" lists`);
  }
  return {
    command: "send",
    ...readTarget(given),
    type,
    ...(data === undefined ? {} : { data }),
    edits: readEdits("set", sets),
    ...(id === undefined ? {} : { id }),
    ...(createdAt === undefined ? {} : { createdAt }),
  };
}
