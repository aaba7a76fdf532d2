/** The command line of a bench run. */
import { parseArgs } from "node:util";

const scenarioNames = ["fanout", "rooms", "idle", "ingest", "recovery", "compression"] as const;
export type ScenarioName = (typeof scenarioNames)[number];

const logKinds = ["redis", "embedded"] as const;
export type LogKind = (typeof logKinds)[number];

/** All that can be measured here or elsewhere; which of them a scenario has is its own affair. */
const systemNames = ["relay", "naive", "ws", "nchan", "nats", "csr", "koa", "http"] as const;
export type SystemName = (typeof systemNames)[number];

/** Events a second, or as many as come through. */
export type Rate = number | "saturated";

export interface BenchOptions {
  readonly scenarios: readonly ScenarioName[];
  readonly rounds: number;
  /** How long each load lasts. */
  readonly seconds: number;
  /** Absent: each scenario's own. */
  readonly clients?: number;
  readonly rates?: readonly Rate[];
  /** Only these, by name; absent: all that are here. */
  readonly systems?: readonly SystemName[];
  /** Of the relay. */
  readonly log: LogKind;
  /** Another tree with a built relay, measured in place of this one. */
  readonly relay?: string;
  /** A tree with a built relay that is measured too, as `before`. */
  readonly against?: string;
  /** More of the relay's environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly json?: string;
  readonly markdown?: string;
  readonly svg?: string;
}

export const usage = `Usage: npm run bench -- [${scenarioNames.join("|")} …] [options]

Measures the built relay beside other ways to do the same, in alternating rounds: servers on one core, clients on
another. Without a name: fanout, rooms, idle, ingest and recovery. The exit code is 1 if a system lost, repeated or
disordered an event; no ratio is printed for it.

  --rounds N         rounds, 1 to 50 (default: 5)
  --seconds S        how long each load lasts, 1 to 60 (default: 5)
  --clients N        clients in fanout, rooms, idle, recovery and compression (default: each scenario's own)
  --rates LIST       of fanout, events a second, for example 50,500,saturated (default: 50,200,500,2000,saturated)
  --systems LIST     only these, for example relay,naive (default: all that are here)
  --log LOG          the relay's log: ${logKinds.join(" or ")} (default: redis)
  --relay FOLDER     measures the built relay of another tree instead of this one's
  --against FOLDER   measures the built relay of another tree too, as "before"
  --env NAME=VALUE   for the relay; may be given several times
  --json FILE        writes every sample
  --markdown FILE    writes the tables, with a chart beside it
  --svg FILE         writes the chart
  --install-peers    installs nginx with nchan and nats-server from the system's packages (as root, Debian) and ends
  --help
`;

export type Parsed =
  | { readonly kind: "run"; readonly options: BenchOptions }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly message: string };

const texts = {
  rounds: { type: "string" },
  seconds: { type: "string" },
  clients: { type: "string" },
  rates: { type: "string" },
  systems: { type: "string" },
  log: { type: "string" },
  relay: { type: "string" },
  against: { type: "string" },
  json: { type: "string" },
  markdown: { type: "string" },
  svg: { type: "string" },
} as const;
type Name = keyof typeof texts;

/** Compression takes a build of the clients with zlib, so it runs only by name. */
const usual: readonly ScenarioName[] = ["fanout", "rooms", "idle", "ingest", "recovery"];

export function parseOptions(args: readonly string[]): Parsed {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...texts,
        help: { type: "boolean" },
        env: { type: "string", multiple: true },
      },
    });
    if (values.help === true) return { kind: "help" };
    return read(values, positionals, values.env ?? []);
  } catch (error) {
    return { kind: "wrong", message: error instanceof Error ? error.message : String(error) };
  }
}

function read(
  values: Partial<Record<Name, string>>,
  names: readonly string[],
  settings: readonly string[],
): Parsed {
  const problems: string[] = [];
  const number = (name: Name, min: number, max: number): number | undefined => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
    problems.push(`--${name}: expected a whole number from ${min} to ${max}, not "${text}"`);
    return undefined;
  };
  const rounds = number("rounds", 1, 50) ?? 5;
  const seconds = number("seconds", 1, 60) ?? 5;
  const clients = number("clients", 1, 50_000);
  const scenarios = scenarioNames.filter((name) => names.includes(name));
  for (const name of names) {
    if (!scenarioNames.some((one) => one === name))
      problems.push(`"${name}": expected one of ${scenarioNames.join(", ")}`);
  }
  const rates = listOf(values.rates)?.map((text) => {
    const rate = Number(text);
    if (text === "saturated") return "saturated";
    if (Number.isInteger(rate) && rate >= 1 && rate <= 20_000) return rate;
    problems.push(`--rates: expected whole numbers from 1 to 20000 or "saturated", not "${text}"`);
    return 1;
  });
  const systems = listOf(values.systems)?.flatMap((text) => {
    const name = systemNames.find((one) => one === text);
    if (name === undefined)
      problems.push(`--systems: expected some of ${systemNames.join(", ")}, not "${text}"`);
    return name === undefined ? [] : [name];
  });
  const log = logKinds.find((one) => one === (values.log ?? "redis"));
  if (log === undefined) problems.push(`--log: expected ${logKinds.join(" or ")}, not "${values.log}"`);
  const env: Record<string, string> = {};
  for (const setting of settings) {
    const at = setting.indexOf("=");
    if (at > 0) env[setting.slice(0, at)] = setting.slice(at + 1);
    else problems.push(`--env: expected NAME=VALUE, not "${setting}"`);
  }
  if (log === undefined || problems.length > 0) return { kind: "wrong", message: problems.join("\n") };
  return {
    kind: "run",
    options: {
      scenarios: scenarios.length === 0 ? usual : scenarios,
      rounds,
      seconds,
      log,
      env,
      ...(clients === undefined ? {} : { clients }),
      ...(rates === undefined ? {} : { rates }),
      ...(systems === undefined ? {} : { systems }),
      ...given(values, "relay", "against", "json", "markdown", "svg"),
    },
  };
}

function given<K extends Name>(
  values: Partial<Record<Name, string>>,
  ...names: readonly K[]
): Partial<Record<K, string>> {
  const found: Partial<Record<K, string>> = {};
  for (const name of names) {
    const text = values[name];
    if (text !== undefined) found[name] = text;
  }
  return found;
}

function listOf(text: string | undefined): string[] | undefined {
  return text
    ?.split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}
