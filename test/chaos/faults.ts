/** Does the faults of a plan: each lane one after the other, the lanes side by side. */
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "./client.ts";
import type { Engine } from "./engine.ts";
import type { Node } from "./nodes.ts";
import { type Fault, type FaultKind, isDeath, isFailover, knownFor, lanes } from "./plan.ts";
import type { Sender } from "./sender.ts";

export interface FaultsDeps {
  readonly engine: Engine;
  readonly nodes: readonly Node[];
  readonly clients: readonly Client[];
  readonly sender: Sender;
}

export interface FaultsDone {
  readonly counts: Readonly<Partial<Record<FaultKind, number>>>;
  /** Those that could not be done, with why: nothing that a relay could help. */
  readonly undone: readonly string[];
  /** Left out because a failover came closer than the plan could know. */
  readonly skipped: number;
  /** Begun and not done to their end, for reasons of the run and not of the relays. */
  readonly failed: readonly string[];
  /** Each with when it began and ended, in milliseconds since 1970. */
  readonly list: readonly { readonly fault: Fault; readonly from: number; readonly to: number }[];
}

/** How late a fault may be on a busy machine. */
const tooLateMs = 3_000;

const burst = { events: 40, bytes: 150_000, stalledMs: 2_000 };

export class Faults {
  readonly #deps: FaultsDeps;
  readonly #counts: Partial<Record<FaultKind, number>> = {};
  readonly #list: { fault: Fault; from: number; to: number }[] = [];
  readonly #undone: string[] = [];
  readonly #failed: string[] = [];
  #skipped = 0;
  /** Until when no node may die: a failover is under way, or not long over. */
  #fragileUntil = 0;
  /** When the last node that had died was back. */
  #backAt = 0;

  constructor(deps: FaultsDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#list.length;
  }

  get done(): FaultsDone {
    return {
      counts: this.#counts,
      undone: this.#undone,
      skipped: this.#skipped,
      failed: this.#failed,
      list: this.#list,
    };
  }

  /** Resolves when all are over and the time has passed, or soon after the signal. */
  async perform(plan: readonly Fault[], durationMs: number, ended?: AbortSignal): Promise<void> {
    const signal = ended ?? new AbortController().signal;
    setMaxListeners(0, signal);
    const began = performance.now();
    const pause = async (ms: number): Promise<void> => {
      if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => undefined);
    };
    await Promise.all(
      lanes.map(async (lane) => {
        for (const fault of plan.filter((one) => one.lane === lane)) {
          await pause(began + fault.at - performance.now());
          if (signal.aborted) return;
          // a lane that is late leaves out what no longer fits
          if (performance.now() - began > durationMs) return;
          // and what is far too late: else one fault would follow on the heels of the other
          if (performance.now() - began > fault.at + tooLateMs) {
            this.#skipped += 1;
            continue;
          }
          await this.#one(fault, pause, signal);
        }
      }),
    );
    await pause(began + durationMs - performance.now());
  }

  async #one(fault: Fault, pause: (ms: number) => Promise<void>, signal: AbortSignal): Promise<void> {
    if (isDeath(fault) && Date.now() < this.#fragileUntil) {
      this.#skipped += 1;
      return;
    }
    if (isFailover(fault)) {
      this.#fragileUntil = Number.POSITIVE_INFINITY;
      for (let left = this.#knownIn(); left > 0 && !signal.aborted; left = this.#knownIn()) await pause(left);
      if (signal.aborted) return;
    }
    const from = Date.now();
    this.#counts[fault.kind] = (this.#counts[fault.kind] ?? 0) + 1;
    try {
      await this.#do(fault, pause);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#undone.push(`${fault.kind}: ${why}`);
    }
    if (isFailover(fault)) this.#fragileUntil = Date.now() + knownFor;
    this.#list.push({ fault, from, to: Date.now() });
  }

  /** How long until every node has lived long enough to know what a failover can lose. */
  #knownIn(): number {
    if (this.#deps.nodes.some(({ state }) => state === "down")) return 100;
    return Math.max(0, this.#backAt + knownFor - Date.now());
  }

  async #do(fault: Fault, pause: (ms: number) => Promise<void>): Promise<void> {
    const { nodes, clients, engine } = this.#deps;
    if (fault.kind === "burst") return this.#burst();
    switch (fault.lane) {
      case "log":
      case "failover":
        return engine.perform(fault);
      case "node": {
        const node = nodes[fault.target];
        if (node === undefined || node.state !== "up") return;
        if (fault.kind === "node_stop") {
          node.stop();
          await pause(fault.forMs);
          return node.resume();
        }
        await (fault.kind === "node_kill" ? node.kill() : node.drain());
        await pause(fault.forMs);
        await node.start();
        this.#backAt = Date.now();
        return;
      }
      case "client": {
        const client = clients[fault.target];
        return client === undefined ? undefined : doToClient(client, fault, pause);
      }
    }
  }

  /** More than a stalled connection can hold, so that its relay has to stop feeding it. */
  async #burst(): Promise<void> {
    const stalled = this.#deps.clients.filter(({ name }) => name === "stock-all" || name === "sse-all");
    for (const { seat } of stalled) seat.wire.stall();
    this.#deps.sender.burst(burst.events, burst.bytes);
    await sleep(burst.stalledMs);
    for (const { seat } of stalled) seat.wire.resume();
  }
}

async function doToClient(client: Client, fault: Fault, pause: (ms: number) => Promise<void>): Promise<void> {
  const { wire } = client.seat;
  switch (fault.kind) {
    case "client_cut":
      return wire.cut();
    case "client_dead":
      return wire.stall();
    case "client_roam":
      return client.seat.move(fault.to);
    case "client_restart":
      return client.restart(fault.to);
    case "client_stall":
      wire.stall();
      await pause(fault.forMs);
      return wire.resume();
    default:
      throw new Error(`nobody knows how to do ${fault.kind} to a client`);
  }
}
