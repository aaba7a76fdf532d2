/** Many clients that lose their connection at once and come back for what they missed. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Sample } from "./figures.ts";
import { publish } from "./load.ts";
import type { BenchOptions } from "./options.ts";
import { cpuSeconds, untilQuiet } from "./processes.ts";
import type { Case, Comparison, Scenario } from "./scenario.ts";
import { startStorm, type Weathered } from "./storm.ts";
import { naiveSystem, type System, tokenOf } from "./systems.ts";

interface Storm {
  readonly clients: number;
  /** Events a second, and in all: enough to go on while they come back. */
  readonly rate: number;
  readonly events: number;
}

const storms: readonly Storm[] = [
  { clients: 1_000, rate: 20, events: 300 },
  { clients: 5_000, rate: 10, events: 350 },
];
/** Seconds after the first event at which all are cut, and for which they stay away. */
const cutAt = 4;
const away = 2;
const settleMs = 3_000;

export function recoveryScenario(options: BenchOptions, systems: readonly System[]): Scenario {
  const chosen =
    options.clients === undefined
      ? storms
      : [{ ...(storms[0] ?? { rate: 20, events: 300 }), clients: options.clients }];
  const wanted = options.systems === undefined || options.systems.includes("csr");
  const all = [
    ...systems.filter(({ name }) => name === "relay" || name === "before"),
    ...(wanted ? [naiveSystem({ recovery: true })] : []),
  ];
  return {
    name: "recovery",
    title: "Clients that come back all at once",
    how: `All are cut with a TCP reset, come back ${away} s later, and resume: the relay's by cursor, Socket.IO's by connection state recovery in memory (csr). Recovery is the time from a client's first attempt until it has all that was sent until then and is subscribed. CPU is that of the whole storm with its live events, Redis included; Redis commands are the requests beyond what the same time takes without a storm.`,
    cases: chosen.flatMap((storm) =>
      all.map(
        (system): Case => ({ system: system.name, load: loadName(storm), run: () => weather(system, storm) }),
      ),
    ),
    columns: [
      { figure: "recoveryP50", title: "recovery p50 ms", digits: 0 },
      { figure: "recoveryP99", title: "recovery p99 ms", digits: 0 },
      { figure: "cpu", title: "server CPU s", digits: 2 },
      { figure: "commandsPerClient", title: "Redis commands / client", digits: 2 },
      { figure: "refusals", title: "refused attempts", digits: 0 },
      { figure: "clientStallMs", title: "client's own stall ms", digits: 0 },
    ],
    comparisons: chosen.flatMap(comparisonsOf),
    chart: { figure: "recoveryP99", title: "Recovery, p99 in ms" },
  };
}

function comparisonsOf(storm: Storm): Comparison[] {
  const load = loadName(storm);
  const of = { system: "relay", load };
  const against = (what: string, figure: string, system: string, atMost?: number): Comparison => ({
    what: `${load}: ${what}`,
    figure,
    of,
    to: { system, load },
    as: "ratio",
    ...(atMost === undefined ? {} : { atMost }),
  });
  return [
    against("p99 against csr", "recoveryP99", "csr", storm.clients >= 5_000 ? 0.33 : 0.5),
    against("CPU against csr", "cpu", "csr", 0.75),
    against("p99 against before", "recoveryP99", "before"),
    against("CPU against before", "cpu", "before"),
    {
      what: `${load}: Redis commands for a returning client`,
      figure: "commandsPerClient",
      of,
      as: "value",
      atMost: 0.1,
    },
  ];
}

async function weather(system: System, { clients, rate, events }: Storm): Promise<Sample> {
  const running = await system.start();
  try {
    const tokensFile = join(running.folder, "tokens");
    const tokens = await Promise.all(Array.from({ length: clients }, (_, index) => tokenOf(index)));
    await writeFile(tokensFile, `${tokens.join("\n")}\n`);
    const commands = await running.redis?.session();
    const commandsSoFar = async (): Promise<number> =>
      requestsIn((await commands?.("INFO", "commandstats")) ?? "");
    const storm = await startStorm({
      port: running.port,
      clients,
      events,
      tokensFile,
      resume: system.name === "csr" ? "csr" : "cursor",
      cutAt,
      away,
      timeoutSeconds: events / rate + 120,
    });
    try {
      const cpuBefore = cpuSeconds(running.pids());
      const began = performance.now();
      const first = { at: began, commands: await commandsSoFar() };
      // one connection: each event is posted once the last was answered, so its number is its place in the order
      const published = publish({
        port: running.port,
        connections: 1,
        lanes: 1,
        events,
        rate,
        stampSent: true,
        script: running.publishScript,
      });
      // until just before the cut: what the same time takes without a storm
      await sleep((cutAt - 0.5) * 1_000);
      const calm = { at: performance.now(), commands: await commandsSoFar() };
      const { sent, refused } = await published;
      const seen = await storm.finish();
      const last = { at: performance.now(), commands: await commandsSoFar() };
      const cpu = cpuSeconds(running.pids()) - cpuBefore;
      await untilQuiet(running.pids, settleMs * 10);
      const perMs = (calm.commands - first.commands) / (calm.at - first.at);
      const extra = last.commands - calm.commands - perMs * (last.at - calm.at);
      const fault = faultIn(seen, sent === events ? refused : events - sent);
      return {
        figures: {
          recoveryP50: seen.recoveryMs.p50,
          recoveryP99: seen.recoveryMs.p99,
          cpu,
          refusals: seen.refusals,
          clientStallMs: seen.clientStallMs,
          ...(commands === undefined ? {} : { commandsPerClient: Math.max(0, extra) / clients }),
        },
        ...(fault === undefined ? {} : { fault }),
      };
    } finally {
      await storm.stop();
    }
  } finally {
    await running.stop();
  }
}

/** What was asked of Redis. What a script does within it is in the same statistics and counts as the one request. */
const requests = ["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro", "info", "ping"];

export function requestsIn(commandStats: string): number {
  return [...commandStats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)]
    .filter(([, command]) => requests.includes(command ?? ""))
    .reduce((sum, [, , calls]) => sum + Number(calls), 0);
}

function faultIn(seen: Weathered, refused: number): string | undefined {
  const faults = [
    seen.missing === 0 ? "" : `lost ${seen.missing} deliveries`,
    seen.duplicate === 0 ? "" : `repeated ${seen.duplicate}`,
    seen.disordered === 0 ? "" : `disordered ${seen.disordered}`,
    seen.neverBack === 0 ? "" : `${seen.neverBack} clients never came back`,
    refused === 0 ? "" : `refused ${refused} webhooks`,
  ].filter((fault) => fault !== "");
  return faults.length === 0 ? undefined : faults.join(", ");
}

function loadName({ clients }: Storm): string {
  return `${clients.toLocaleString("en-US")} at once`;
}
