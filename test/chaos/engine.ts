/** The log under the relays, and what can be done to it. */
import { setTimeout as sleep } from "node:timers/promises";
import { startCluster } from "../../apps/relay/src/log/redis-cluster.test-helper.ts";
import { loseWrites, type RedisGroup } from "../../apps/relay/src/log/redis-group.test-helper.ts";
import { startSentinel } from "../../apps/relay/src/log/redis-sentinel.test-helper.ts";
import { type RedisServer, startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { until } from "../../apps/relay/src/log/until.test-helper.ts";
import type { LogKind } from "./options.ts";
import type { Fault } from "./plan.ts";
import { Wire } from "./wire.ts";

export interface Engine {
  /** What a node's environment needs to use it. */
  env(node: number): Readonly<Record<string, string>>;
  /** Does a fault of the log, to its end. */
  perform(fault: Fault): Promise<void>;
  /** All servers run and are in step. */
  settle(): Promise<void>;
  stop(): Promise<void>;
  /** It can lose writes that were acknowledged. */
  readonly forks: boolean;
}

/**
 * Without `fsync`: what Redis has written is in the kernel before it answers, so the death of the process loses
 * nothing. With `everysec` it may put the write itself off while a flush is under way.
 */
const durable = { appendonly: true, args: ["--appendfsync", "no"] };

export async function startEngine(kind: LogKind, nodes: number): Promise<Engine> {
  switch (kind) {
    case "embedded":
      return {
        env: () => ({}),
        perform: () => Promise.resolve(),
        settle: () => Promise.resolve(),
        stop: () => Promise.resolve(),
        forks: false,
      };
    case "redis":
      return startSingle(nodes);
    case "sentinel":
      return groupEngine(await startSentinel(durable));
    case "cluster":
      return groupEngine(await startCluster(durable));
  }
}

/** A connection may hold the port for a moment: one to a server that is down can even end up at itself. */
function restarted(server: RedisServer, keepData = true): Promise<true> {
  return until(
    async () => {
      await server.restart({ keepData });
      return true;
    },
    { timeoutMs: 30_000, everyMs: 200 },
  );
}

/** Brings back what a fault that could not be done to its end has left behind. */
async function up(server: RedisServer): Promise<void> {
  try {
    server.resume();
    await server.cli("PING");
  } catch {
    await restarted(server);
  }
}

async function startSingle(nodes: number): Promise<Engine> {
  const redis = await startRedis(durable);
  const links = await Promise.all(Array.from({ length: nodes }, () => Wire.open(() => redis.port)));
  const linkOf = (node: number): Wire => {
    const link = links[node];
    if (link === undefined) throw new RangeError(`there is no node ${node}`);
    return link;
  };
  return {
    env: (node) => ({ REDIS_URL: `redis://127.0.0.1:${linkOf(node).port}` }),
    async perform(fault) {
      switch (fault.kind) {
        case "link_cut":
          return linkOf(fault.target).cut();
        case "link_dead":
          return linkOf(fault.target).stall();
        case "link_stall":
          linkOf(fault.target).stall();
          await sleep(fault.forMs);
          return linkOf(fault.target).resume();
        case "log_restart":
          await redis.cli("SHUTDOWN", "NOSAVE").catch(() => undefined);
          await sleep(fault.forMs);
          await restarted(redis);
          return;
        case "log_kill":
          await redis.kill();
          await sleep(fault.forMs);
          await restarted(redis);
          return;
        case "log_empty":
          await redis.kill();
          await sleep(fault.forMs);
          await restarted(redis, false);
          return;
        case "log_stop":
          redis.pause();
          await sleep(fault.forMs);
          return redis.resume();
        default:
          return performAny(redis, fault);
      }
    },
    settle: () => up(redis),
    async stop() {
      await Promise.all(links.map((link) => link.close()));
      await redis.stop();
    },
    forks: false,
  };
}

/** On a busy machine servers may take their time to agree. */
const patience = { timeoutMs: 90_000 };

function groupEngine(group: RedisGroup): Engine {
  /** A failover needs somebody who can take over: whatever the last one left behind is mended before the next. */
  async function mend(): Promise<void> {
    for (const server of [...group.servers, ...group.sentinels]) {
      if (server.running) server.resume();
      else await restarted(server);
    }
    await until(
      async () => {
        await group.master();
        await group.caughtUp();
        return true;
      },
      { ...patience, everyMs: 500 },
    );
  }

  return {
    env: () => ({ REDIS_URL: group.url }),
    async perform(fault) {
      switch (fault.kind) {
        case "failover_kill": {
          await mend();
          const old = await group.master();
          await old.kill();
          try {
            await group.failedOver(old, patience);
            await sleep(fault.forMs);
          } finally {
            await restarted(old);
          }
          return;
        }
        case "failover_lossy": {
          await mend();
          const { old } = await loseWrites(group, () => sleep(fault.forMs));
          try {
            await group.failedOver(old, patience);
          } finally {
            await restarted(old);
          }
          return;
        }
        case "failover_hang": {
          await mend();
          const old = await group.master();
          old.pause();
          try {
            await group.failedOver(old, patience);
            await sleep(fault.forMs);
          } finally {
            old.resume();
          }
          return;
        }
        default:
          return performAny(await group.master(), fault);
      }
    },
    settle: mend,
    stop: () => group.stop(),
    forks: true,
  };
}

/** Those of the relays: not the Sentinels', and not the short-lived ones by which faults are done. */
async function killClients(redis: RedisServer): Promise<void> {
  const list = await redis.cli("CLIENT", "LIST");
  for (const line of list.split("\n")) {
    const fields = new Map(line.split(" ").map((field) => [field.split("=")[0], field.split("=")[1]]));
    const id = fields.get("id");
    if (id === undefined) continue;
    const isReplica = /[SM]/.test(fields.get("flags") ?? "");
    const isSentinel = fields.get("name")?.startsWith("sentinel") === true;
    if (isReplica || isSentinel || Number(fields.get("age")) < 1) continue;
    // it may have gone by itself since
    await redis.cli("CLIENT", "KILL", "ID", id).catch(() => undefined);
  }
}

/** What can be done to any Redis. */
async function performAny(redis: RedisServer, fault: Fault): Promise<void> {
  switch (fault.kind) {
    case "pubsub_kill":
      await redis.cli("CLIENT", "KILL", "TYPE", "pubsub");
      return;
    case "clients_kill":
      return killClients(redis);
    case "scripts_flush":
      await redis.cli("SCRIPT", "FLUSH");
      return;
    default:
      throw new Error(`nobody knows how to do ${fault.kind} here`);
  }
}
