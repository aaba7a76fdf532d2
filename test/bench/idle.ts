/** What an idle connection costs in memory. */
import { join } from "node:path";
import type { Sample } from "./figures.ts";
import { subscribe } from "./load.ts";
import type { BenchOptions } from "./options.ts";
import { childrenOf, residentBytes, untilQuiet } from "./processes.ts";
import type { Scenario } from "./scenario.ts";
import type { Running, Seat, System } from "./systems.ts";

const collector = join(import.meta.dirname, "peers/collect.mjs");
const collectWithin = 30_000;
const quietWithin = 60_000;
/** Connected and gone before the baseline, so that code and pools that come with the first connections are there. */
const first = 200;

export function idleScenario(options: BenchOptions, systems: readonly System[]): Scenario {
  const clients = options.clients ?? 5_000;
  const load = `${clients.toLocaleString("en-US")} idle`;
  const figure = "kibPerConnection";
  return {
    name: "idle",
    title: `${clients.toLocaleString("en-US")} idle connections`,
    how: `Each has its own token and the headers of a browser, is authenticated and subscribed to one topic. Memory is what is resident of the server after two forced collections (node --expose-gc, on a signal; nchan and nats have nothing to collect), less the same before they came, when ${first} others had come and gone.`,
    cases: systems.map((system) => ({
      system: system.name,
      load,
      run: () => idleMemory(system, clients, []),
    })),
    columns: [
      { figure, title: "KiB / connection", digits: 1 },
      { figure: "heapKibPerConnection", title: "of it heap", digits: 1 },
      { figure: "connectSeconds", title: "all connected after s", digits: 1 },
    ],
    comparisons: [
      {
        what: "memory against naive",
        figure,
        of: { system: "relay", load },
        to: { system: "naive", load },
        as: "ratio",
        atMost: 0.85,
      },
      {
        what: "memory against before",
        figure,
        of: { system: "relay", load },
        to: { system: "before", load },
        as: "ratio",
      },
      {
        what: "memory against raw ws",
        figure,
        of: { system: "relay", load },
        to: { system: "ws", load },
        as: "ratio",
      },
    ],
    chart: { figure, title: "KiB for an idle connection" },
  };
}

export async function idleMemory(
  system: System,
  clients: number,
  clientArgs: readonly string[],
): Promise<Sample> {
  const running = await system.start(
    system.collects ? { nodeArgs: ["--expose-gc", "--import", collector] } : {},
  );
  try {
    await hold(running, first, clientArgs, async () => undefined);
    await untilQuiet(running.pids, quietWithin);
    const memory = (): Promise<Memory> =>
      system.collects ? collected(running) : Promise.resolve(resident(running));
    const before = await memory();
    const began = performance.now();
    return await hold(running, clients, clientArgs, async () => {
      const connectSeconds = (performance.now() - began) / 1_000;
      await untilQuiet(running.pids, quietWithin);
      const after = await memory();
      return {
        figures: {
          kibPerConnection: (after.resident - before.resident) / clients / 1_024,
          ...(system.collects ? { heapKibPerConnection: (after.heap - before.heap) / clients / 1_024 } : {}),
          connectSeconds,
        },
      };
    });
  } finally {
    await running.stop();
  }
}

async function hold<T>(
  running: Running,
  clients: number,
  clientArgs: readonly string[],
  meanwhile: () => Promise<T>,
): Promise<T> {
  const seats = Array.from({ length: clients }, (): Seat => ({ topics: ["token.price_changed"] }));
  const subscribers = await subscribe({
    port: running.port,
    connections: clients,
    lanes: 1,
    laneEvents: 1,
    script: [...(await running.subscribeScript(seats)), ...clientArgs],
    progressFile: join(running.folder, `progress-${clients}`),
    readyWithinMs: 60_000 + clients * 5,
    zlib: clientArgs.includes("--deflate"),
  });
  try {
    const answer = await meanwhile();
    const { closed } = await subscribers.finish();
    if (closed > 0) throw new Error(`${closed} of ${clients} idle connections were closed`);
    return answer;
  } finally {
    await subscribers.stop();
  }
}

interface Memory {
  readonly resident: number;
  readonly heap: number;
}

/** Of the process and those it forked. */
function resident({ program }: Running, heap = 0): Memory {
  const bytes = [program.pid, ...childrenOf(program.pid)].reduce((sum, pid) => sum + residentBytes(pid), 0);
  return { resident: bytes, heap };
}

async function collected(running: Running): Promise<Memory> {
  const { program } = running;
  const shape = /collected (\{.*\})/g;
  const seen = [...program.output().matchAll(shape)].length;
  const deadline = Date.now() + collectWithin;
  program.signal("SIGUSR2");
  for (;;) {
    const answer = [...program.output().matchAll(shape)][seen]?.[1];
    if (answer !== undefined) {
      const { heapUsed } = JSON.parse(answer) as { readonly heapUsed: number };
      return resident(running, heapUsed);
    }
    if (Date.now() > deadline)
      throw new Error(`no collection within ${collectWithin} ms:\n${program.output()}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
