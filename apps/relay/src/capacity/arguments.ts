/** Reads the command line of `sharmo-relay capacity`. */
import { parseArgs } from "node:util";
import type { Load } from "./estimate.ts";

export const usage = `Says what a load needs: processes, memory, bandwidth, and Redis.

  sharmo-relay capacity --clients N --rate R [--per-client R] [--size BYTES] [--days D] [--gather MS]

  --clients N      browsers that are connected together
  --rate R         events a second in all
  --per-client R   events a second that one browser follows; default: all of them
  --size BYTES     of an event as Sharmo sends it; default 350
  --days D         how long events are kept; default 7
  --gather MS      RELAY_GATHER_MS; default 10`;

export type Read =
  | { readonly ok: true; readonly load: Load }
  | { readonly ok: false; readonly message: string };

const ranges = {
  clients: { least: 1, most: 1_000_000_000, example: "100000", whole: true },
  rate: { least: 0, most: 1_000_000, example: "50", whole: false },
  "per-client": { least: 0, most: 1_000_000, example: "2.5", whole: false },
  size: { least: 40, most: 16 * 1024 * 1024, example: "350", whole: true },
  days: { least: 0, most: 3_650, example: "7", whole: false },
  gather: { least: 0, most: 1_000, example: "10", whole: true },
} as const;

type Name = keyof typeof ranges;

export function readArguments(args: readonly string[]): Read {
  const names = Object.keys(ranges) as Name[];
  let values: Readonly<Record<string, unknown>>;
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
    ({ values } = parseArgs({ args: [...args], options }));
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
  const read = new Map<Name, number>();
  for (const name of names) {
    const value = values[name];
    if (typeof value !== "string") continue;
    const { least, most, example, whole } = ranges[name];
    const number = /^[0-9]+(\.[0-9]+)?$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most) || (whole && !Number.isInteger(number))) {
      const form = `${whole ? "a whole number" : "a number"} from ${least} to ${most}`;
      return { ok: false, message: `--${name} ${value}: expected ${form}, for example --${name} ${example}` };
    }
    read.set(name, number);
  }
  const [clients, rate] = [read.get("clients"), read.get("rate")];
  if (clients === undefined || rate === undefined) {
    const missing = clients === undefined ? "clients" : "rate";
    return {
      ok: false,
      message: `--${missing} is needed, for example --${missing} ${ranges[missing].example}`,
    };
  }
  const perClient = read.get("per-client") ?? rate;
  if (perClient > rate) {
    return {
      ok: false,
      message: `--per-client ${perClient} is more than all events together, --rate ${rate}`,
    };
  }
  return {
    ok: true,
    load: {
      clients,
      rate,
      perClient,
      eventBytes: read.get("size") ?? 350,
      retentionDays: read.get("days") ?? 7,
      gatherMs: read.get("gather") ?? 10,
    },
  };
}
