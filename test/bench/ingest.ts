/** What a webhook costs that is checked, stored and answered, and how long its answer takes while clients listen. */
import { drive } from "./drive.ts";
import type { Sample } from "./figures.ts";
import { publish } from "./load.ts";
import type { BenchOptions, SystemName } from "./options.ts";
import { cpuSeconds, untilQuiet } from "./processes.ts";
import type { Case, Comparison, Scenario } from "./scenario.ts";
import { ingestSystem, relaySystem, type System } from "./systems.ts";

const connections = 64;
const alone = `${connections} connections`;
const warmUpSeconds = 2;
const quietWithin = 60_000;
const listening = { clients: 1_000, rate: 500 } as const;
const meanwhile = `while ${listening.clients.toLocaleString("en-US")} clients get ${listening.rate}/s`;

export function ingestScenario(options: BenchOptions, systems: readonly System[]): Scenario {
  const { env, relay, against, seconds } = options;
  const wanted = (name: SystemName): boolean =>
    options.systems === undefined || options.systems.includes(name);
  const relays = (["redis", "embedded"] as const).flatMap((log) => [
    ...(wanted("relay")
      ? [relaySystem({ name: `relay, ${log}`, log, env, ...(relay === undefined ? {} : { tree: relay }) })]
      : []),
    ...(against === undefined ? [] : [relaySystem({ name: `before, ${log}`, log, env, tree: against })]),
  ]);
  const others = (["koa", "http"] as const).filter(wanted).map(ingestSystem);
  return {
    name: "ingest",
    title: "Receiving webhooks",
    how: `${connections} keep-alive connections post signed webhooks of 350 bytes, each its next once its last is answered. CPU is that of the server, Redis included. koa and http check the HMAC and store nothing. Then fixed rates: the answer's time from when it was sent.`,
    cases: [
      ...[...relays, ...others].map(
        (system): Case => ({ system: system.name, load: alone, run: () => post(system, seconds) }),
      ),
      ...systems
        .filter(({ name }) => name === "relay" || name === "before")
        .map(
          (system): Case => ({
            system: system.name,
            load: meanwhile,
            run: () => postMeanwhile(system, seconds),
          }),
        ),
    ],
    columns: [
      { figure: "cpuPerEventUs", title: "CPU µs / webhook", digits: 1 },
      { figure: "eventsPerSecond", title: "webhooks / s", digits: 0 },
      { figure: "answerP50", title: "answer p50 ms", digits: 1 },
      { figure: "answerP99", title: "answer p99 ms", digits: 1 },
    ],
    comparisons: [
      ...(["redis", "embedded"] as const).flatMap((log): Comparison[] => [
        {
          what: `CPU of the relay on ${log} against Koa + HMAC alone`,
          figure: "cpuPerEventUs",
          of: { system: `relay, ${log}`, load: alone },
          to: { system: "koa", load: alone },
          as: "ratio",
          atMost: 2,
        },
        {
          what: `CPU of the relay on ${log} against before`,
          figure: "cpuPerEventUs",
          of: { system: `relay, ${log}`, load: alone },
          to: { system: `before, ${log}`, load: alone },
          as: "ratio",
        },
      ]),
      {
        what: `answer p99 ${meanwhile}`,
        figure: "answerP99",
        of: { system: "relay", load: meanwhile },
        as: "value",
        atMost: 25,
        unit: "ms",
      },
    ],
    chart: { figure: "cpuPerEventUs", title: "CPU µs for a webhook" },
  };
}

async function post(system: System, seconds: number): Promise<Sample> {
  const running = await system.start();
  try {
    const posts = { port: running.port, connections, lanes: connections, script: running.publishScript };
    await publish({ ...posts, seconds: warmUpSeconds });
    await untilQuiet(running.pids, quietWithin);
    const before = cpuSeconds(running.pids());
    const published = await publish({ ...posts, seconds });
    const cpu = cpuSeconds(running.pids()) - before;
    return {
      figures: {
        cpuPerEventUs: (cpu / published.sent) * 1e6,
        eventsPerSecond: published.perSecond,
        answerP50: published.answerMs.p50,
        answerP99: published.answerMs.p99,
        cpu,
      },
      ...(published.refused === 0 ? {} : { fault: `refused ${published.refused} webhooks` }),
    };
  } finally {
    await running.stop();
  }
}

function postMeanwhile(system: System, seconds: number): Promise<Sample> {
  const { clients, rate } = listening;
  const seats = Array.from({ length: clients }, () => ({ topics: ["token.price_changed"] }));
  return drive({ system, seats, rate, seconds, perEvent: clients });
}
