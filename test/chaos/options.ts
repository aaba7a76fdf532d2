/** The command line of a chaos run. */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";

export const logKinds = ["embedded", "redis", "sentinel", "cluster"] as const;
export type LogKind = (typeof logKinds)[number];

export interface ChaosOptions {
  readonly seed: string;
  /** How long faults are done. */
  readonly minutes: number;
  readonly log: LogKind;
  readonly nodes: number;
  /** Events a second. */
  readonly rate: number;
  /** Redis loses all it has, once and early. */
  readonly empty: boolean;
  /** Where the ledger goes as JSON. */
  readonly json?: string;
  /** Where the output of the nodes goes; without it, to a folder that stays only if there are violations. */
  readonly output?: string;
}

export const usage = `Usage: npm run chaos -- [options]

Posts events to real relays as Sharmo does, breaks things, and checks at the end that nothing was lost, nothing came
twice and nothing came out of order. The exit code is 1 if anything did.

  --seed TEXT      the same seed does the same faults at the same times (default: a random one, which is printed)
  --minutes M      how long faults are done (default: 1)
  --log LOG        ${logKinds.join(", ")} (default: embedded)
  --nodes K        relays on the log, 1 to 5 (default: 2; embedded always has 1)
  --rate R         events a second, 1 to 200 (default: 40)
  --empty          Redis comes back empty once, early: only what the relays remember can be put back
  --json FILE      writes faults, figures and violations to a file
  --output FOLDER  keeps what the relays wrote
  --help

Ctrl-C ends it early; what was done until then is checked all the same.
`;

export type Parsed =
  | { readonly kind: "run"; readonly options: ChaosOptions }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly message: string };

const known = ["seed", "minutes", "log", "nodes", "rate", "json", "output"] as const;
type Name = (typeof known)[number];

export function parseOptions(args: readonly string[]): Parsed {
  const texts: Partial<Record<Name, string>> = {};
  let empty = false;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean" },
        empty: { type: "boolean" },
        ...Object.fromEntries(known.map((name) => [name, { type: "string" as const }])),
      },
    });
    if (values.help === true) return { kind: "help" };
    empty = values.empty === true;
    for (const name of known) {
      const text: unknown = (values as Record<string, unknown>)[name];
      if (typeof text === "string") texts[name] = text;
    }
  } catch (error) {
    return { kind: "wrong", message: error instanceof Error ? error.message : String(error) };
  }

  const { seed = String(randomInt(1, 1_000_000)), log = "embedded", json, output } = texts;
  const problems: string[] = [];
  const number = (name: Name, fallback: number, min: number, max: number, whole: boolean): number => {
    const text = texts[name];
    const value = text === undefined ? fallback : Number(text);
    if (text?.trim() !== "" && value >= min && value <= max && (!whole || Number.isInteger(value)))
      return value;
    problems.push(
      `--${name}: expected a ${whole ? "whole " : ""}number from ${min} to ${max}, not "${text}"`,
    );
    return fallback;
  };
  const kind = logKinds.find((one) => one === log);
  if (kind === undefined) problems.push(`--log: expected one of ${logKinds.join(", ")}, not "${log}"`);
  if (seed === "") problems.push("--seed: expected a text, for example 42");
  const minutes = number("minutes", 1, 0.1, 24 * 60, false);
  const rate = number("rate", 40, 1, 200, false);
  const nodes = number("nodes", kind === "embedded" ? 1 : 2, 1, 5, true);
  if (kind === "embedded" && nodes > 1) problems.push("--nodes: the embedded log has one node");
  if (empty && kind !== "redis") problems.push("--empty: goes with --log redis only");
  if (kind === undefined || problems.length > 0) return { kind: "wrong", message: problems.join("\n") };
  const files = { ...(json === undefined ? {} : { json }), ...(output === undefined ? {} : { output }) };
  return { kind: "run", options: { seed, minutes, log: kind, nodes, rate, empty, ...files } };
}
