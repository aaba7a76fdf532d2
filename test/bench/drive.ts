/** One measurement of deliveries: subscribers, a warm-up, then a load while CPU and deliveries are counted. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Sample } from "./figures.ts";
import { publish, type Received, subscribe, untilDelivered } from "./load.ts";
import type { Rate } from "./options.ts";
import { cpuSeconds, untilQuiet } from "./processes.ts";
import type { Seat, System } from "./systems.ts";

/** Connections of the publisher; each posts its next event once its last is answered. */
const publishers = 64;
/** With a saturated load: events that are not delivered to all yet. */
const window = 512;
const warmUpSeconds = 2;
const quietWithin = 120_000;
const patience = 15_000;

export interface Drive {
  readonly system: System;
  readonly seats: readonly Seat[];
  readonly rate: Rate;
  readonly seconds: number;
  /** Events are about so many tokens in turn; each token's events are one order. 1: all are about one. */
  readonly tokens?: number;
  /** So many events are due together. */
  readonly burst?: number;
  /** Clients that get one event. */
  readonly perEvent: number;
  /** More of wsload's command line. */
  readonly clientArgs?: readonly string[];
}

export async function drive(plan: Drive): Promise<Sample> {
  const { system, seats, rate, seconds, tokens = 1, burst = 1, perEvent, clientArgs = [] } = plan;
  const running = await system.start();
  try {
    const lanes = tokens === 1 ? publishers : tokens;
    const connections = tokens === 1 ? publishers : commonDivisor(tokens, publishers);
    const perSecond = rate === "saturated" ? 50_000 : rate;
    const progressFile = join(running.folder, "progress");
    const subscribers = await subscribe({
      port: running.port,
      connections: seats.length,
      lanes,
      laneEvents: Math.ceil((perSecond * seconds) / lanes) + 1,
      script: [...(await running.subscribeScript(seats)), ...clientArgs],
      progressFile,
      readyWithinMs: 60_000 + seats.length * 5,
      zlib: clientArgs.includes("--deflate"),
    });
    try {
      const posts = {
        port: running.publishPort,
        connections,
        lanes,
        tokens,
        burst,
        script: running.publishScript,
      };
      const few = Math.max(connections, Math.floor(500_000 / perEvent / connections) * connections);
      if (rate === "saturated") await publish({ ...posts, events: Math.min(few, window), warmUp: true });
      else await publish({ ...posts, events: rate * warmUpSeconds, rate, warmUp: true });
      await untilQuiet(running.pids, quietWithin);

      await subscribers.mark();
      const before = cpuSeconds(running.pids());
      const began = performance.now();
      const published =
        rate === "saturated"
          ? await publish({ ...posts, seconds, window: { events: window, progressFile, perEvent } })
          : await publish({ ...posts, events: wholeTurns(rate * seconds, tokens), rate });
      await untilDelivered(
        subscribers,
        published.sent * perEvent,
        published.refused === 0 ? patience : 2_000,
      );
      const cpu = cpuSeconds(running.pids()) - before;
      const took = (performance.now() - began) / 1_000;
      // what comes twice comes a little later
      await sleep(200);
      const received = await subscribers.finish();
      const fault = faultIn(received, { ...published, perEvent });
      return {
        figures: {
          perCpuSecond: received.unique / cpu,
          cpuPerEventUs: (cpu / published.sent) * 1e6,
          cpuPerDeliveryUs: (cpu / received.unique) * 1e6,
          cpu,
          deliveriesPerSecond: received.unique / took,
          eventsPerSecond: published.perSecond,
          p50: received.latencyMs.p50,
          p99: received.latencyMs.p99,
          answerP50: published.answerMs.p50,
          answerP99: published.answerMs.p99,
          lateP99: published.lateMs.p99,
          bytesPerDelivery: received.bytes / received.unique,
          deliveriesPerRead: received.unique / received.reads,
          clientCpu: received.clientCpuSeconds,
        },
        ...(fault === undefined ? {} : { fault }),
      };
    } finally {
      await subscribers.stop();
    }
  } finally {
    await running.stop();
  }
}

/**
 * What must not happen; undefined if each event came once and in order to all that it is for. A webhook that was
 * refused is not lost, its sender has it still; it may have been taken all the same.
 */
export function faultIn(
  received: Pick<Received, "unique" | "duplicate" | "disordered" | "closed">,
  { sent, refused, perEvent }: { readonly sent: number; readonly refused: number; readonly perEvent: number },
): string | undefined {
  const least = (sent - refused) * perEvent;
  const most = sent * perEvent;
  const faults = [
    received.unique < least ? `lost ${least - received.unique} of ${least} deliveries` : "",
    received.unique > most ? `delivered ${received.unique - most} that nobody posted` : "",
    received.duplicate === 0 ? "" : `repeated ${received.duplicate}`,
    received.disordered === 0 ? "" : `disordered ${received.disordered}`,
    received.closed === 0 ? "" : `closed ${received.closed} connections`,
    refused === 0 ? "" : `refused ${refused} of ${sent} webhooks`,
  ].filter((fault) => fault !== "");
  return faults.length === 0 ? undefined : faults.join(", ");
}

function wholeTurns(events: number, tokens: number): number {
  return Math.max(tokens, Math.floor(events / tokens) * tokens);
}

/** The largest number of connections up to `most` among which the lanes can be dealt evenly. */
function commonDivisor(lanes: number, most: number): number {
  for (let connections = Math.min(lanes, most); connections > 1; connections--) {
    if (lanes % connections === 0) return connections;
  }
  return 1;
}
