/** One chaos run: starts everything, breaks it by the plan, brings it to rest, and has the ledger judge. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createRandom } from "@sharmo-relay/simulator";
import { castSize, takeSeats } from "./cast.ts";
import type { Client } from "./client.ts";
import { type Engine, startEngine } from "./engine.ts";
import { Faults, type FaultsDone } from "./faults.ts";
import type { History, Incident, Posted } from "./history.ts";
import { judge } from "./ledger.ts";
import { Node } from "./nodes.ts";
import type { ChaosOptions } from "./options.ts";
import { type Fault, planFaults } from "./plan.ts";
import { bringToRest } from "./rest.ts";
import { Sender } from "./sender.ts";
import type { Verdict } from "./verdict.ts";

export interface Progress {
  readonly elapsedMs: number;
  readonly phase: "faults" | "rest";
  readonly events: number;
  readonly open: number;
  readonly handled: number;
  readonly faults: number;
  readonly nodes: readonly Node["state"][];
}

export interface ChaosControl {
  /** Ends the faults early; all is judged that was done until then. */
  readonly signal?: AbortSignal;
  /** Called about once a second. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface Outcome {
  readonly options: ChaosOptions;
  readonly plan: readonly Fault[];
  readonly faults: FaultsDone;
  readonly history: History;
  readonly verdict: Verdict;
  /** How long faults were done, and how long it took to come to rest, in milliseconds. */
  readonly brokenMs: number;
  readonly restMs: number;
  /** Holds the relays' output; to be removed by whoever does not want it. */
  readonly outputDir: string;
  readonly slowestAnswerMs: number;
}

export async function runChaos(options: ChaosOptions, control: ChaosControl = {}): Promise<Outcome> {
  const { seed, nodes: nodeCount, log, rate, empty } = options;
  const random = createRandom(seed).fork("chaos");
  const outputDir = await folder(options.output);
  const dataDir = await mkdtemp(join(tmpdir(), "sharmo-chaos-data-"));
  const ends: (() => Promise<unknown> | unknown)[] = [() => rm(dataDir, { recursive: true, force: true })];
  const incidents: Incident[] = [];
  try {
    const engine: Engine = await startEngine(log, nodeCount);
    ends.push(() => engine.stop());
    const nodes = Array.from(
      { length: nodeCount },
      (_, index) =>
        new Node({
          index,
          dataDir: join(dataDir, String(index)),
          outputDir,
          env: engine.env(index),
          incidents,
        }),
    );
    ends.push(() => Promise.all(nodes.map((node) => node.close())));
    await Promise.all(nodes.map((node) => node.start()));

    const portOf = (node: number): number => nodes[node]?.port ?? 1;
    const clients: readonly Client[] = await takeSeats(
      { seed, nodes: nodeCount, portOf },
      random.fork("cast"),
    );
    ends.push(() =>
      Promise.all(
        clients.map((client) => {
          client.close();
          return client.seat.wire.close();
        }),
      ),
    );
    const posted = new Map<string, Posted>();
    const sender = new Sender({
      seed,
      rate,
      nodes: nodeCount,
      urlOf: (node) => nodes[node]?.url ?? "",
      posted,
    });
    ends.push(() => sender.finish(0));

    const durationMs = options.minutes * 60_000;
    const plan = planFaults(
      { durationMs, log, nodes: nodeCount, clients: castSize(seed), empty },
      random.fork("plan"),
    );
    const faults = new Faults({ engine, nodes, clients, sender });
    const began = Date.now();
    let phase: Progress["phase"] = "faults";
    const ticker = setInterval(() => {
      for (const node of nodes) node.watch();
      control.onProgress?.({
        elapsedMs: Date.now() - began,
        phase,
        events: posted.size,
        open: sender.open,
        handled: clients
          .flatMap(({ followers }) => followers)
          .reduce((sum, { sights }) => sum + sights.length, 0),
        faults: faults.count,
        nodes: nodes.map(({ state }) => state),
      });
    }, 1_000);
    ends.push(() => clearInterval(ticker));

    for (const client of clients) client.start();
    sender.start();
    await faults.perform(plan, durationMs, control.signal);
    const brokenMs = Date.now() - began;
    phase = "rest";
    for (const client of clients) {
      client.hurry?.();
      client.seat.wire.bytesPerSecond = Number.POSITIVE_INFINITY;
    }

    const followers = clients.flatMap((client) => client.followers);
    const historyOf = (stored: History["stored"]): History => ({
      posted,
      stored,
      followers,
      incidents,
      forks: engine.forks || empty,
    });
    const stored = await bringToRest({
      engine,
      nodes,
      sender,
      incidents,
      judge: (log) => judge(historyOf(log)),
    });
    const history = historyOf(stored);
    const restMs = Date.now() - began - brokenMs;
    const slowest = [...posted.values()].flatMap(({ attempts }) => attempts.map(({ tookMs }) => tookMs));
    return {
      options,
      plan,
      faults: faults.done,
      history,
      verdict: judge(history),
      brokenMs,
      restMs,
      outputDir,
      slowestAnswerMs: slowest.reduce((most, ms) => Math.max(most, ms), 0),
    };
  } finally {
    for (const end of ends.reverse()) {
      try {
        await end();
      } catch (error) {
        console.error(error);
      }
    }
  }
}

/** A given one is made and kept. */
async function folder(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return mkdtemp(join(tmpdir(), "sharmo-chaos-"));
  await mkdir(wanted, { recursive: true });
  return resolve(wanted);
}
