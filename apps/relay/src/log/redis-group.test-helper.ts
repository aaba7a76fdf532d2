/** What a Sentinel and a Cluster under test have in common: several real servers, one of which is the log's master. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RedisServer } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

export interface GroupOptions {
  /** Of the servers that hold data, and between them. */
  readonly password?: string;
  /** Keeps append-only files: what was acknowledged outlives `kill` and `restart`. */
  readonly appendonly?: boolean;
  /** More of what stands on the command line of each server that holds data. */
  readonly args?: readonly string[];
}

export interface RedisGroup {
  /** For REDIS_URL. */
  readonly url: string;
  /** Those that hold data, whatever they are at the moment. */
  readonly servers: readonly RedisServer[];
  /** Those that only watch; none in a Cluster. */
  readonly sentinels: readonly RedisServer[];
  /** The one that all who answer name as master of the log, and that says so itself. */
  master(): Promise<RedisServer>;
  /** The replicas that the log's master has now, by its own account. */
  replicas(): Promise<RedisServer[]>;
  /** Resolves when all of the master's replicas run again and have what the master has now. */
  caughtUp(): Promise<void>;
  /**
   * Resolves with the new master when it is another than `old`; rejects after `timeoutMs` (30 s). Who no longer
   * answers has no say in it.
   */
  failedOver(old: RedisServer, options?: { readonly timeoutMs?: number }): Promise<RedisServer>;
  /** Ends all servers and removes their folders. */
  stop(): Promise<void>;
}

/** Servers that fail over find each other again within this time. */
export const failoverMs = 30_000;

/** What a server answers; undefined if it does not, which a hanging one never does. */
export function ask(server: RedisServer, ...args: readonly string[]): Promise<string | undefined> {
  return Promise.race([server.cli(...args).catch(() => undefined), sleep(500, undefined, { ref: false })]);
}

/** The server on which all ports agree and that is a master by its own account; undefined if there is none yet. */
export async function agreedMaster(
  servers: readonly RedisServer[],
  named: readonly (number | undefined)[],
): Promise<RedisServer | undefined> {
  const ports = new Set(named.filter((port) => port !== undefined));
  const [port] = ports;
  if (ports.size !== 1 || port === undefined) return undefined;
  const server = servers.find((one) => one.port === port);
  if (server === undefined) throw new Error(`no server of this group has port ${port}`);
  return (await ask(server, "ROLE"))?.startsWith("master\n") === true ? server : undefined;
}

/** Those of `servers` that are replicas in step with a master, by its own account. */
export async function replicasOf(
  master: RedisServer,
  servers: readonly RedisServer[],
): Promise<RedisServer[]> {
  const info = (await ask(master, "INFO", "replication")) ?? "";
  const ports = [...info.matchAll(/^slave\d+:.*port=(\d+),state=online/gm)].map(([, port]) => Number(port));
  return servers.filter(({ port }) => ports.includes(port));
}

/** Resolves when the master and all of these replicas are in step. */
export async function inStep(master: RedisServer, replicas: readonly RedisServer[]): Promise<void> {
  await until(
    async () => {
      if ((await replicasOf(master, replicas)).length < replicas.length) return false;
      const links = await Promise.all(replicas.map((one) => ask(one, "INFO", "replication")));
      return links.every((info) => info?.includes("master_link_status:up\r\n"));
    },
    { timeoutMs: failoverMs, everyMs: 50 },
  );
}

/** Resolves when so many replicas have what the master has now, by its own account. */
export async function replicasCaughtUp(master: RedisServer, count: number): Promise<void> {
  const info = async () => (await ask(master, "INFO", "replication")) ?? "";
  const offset = Number(/master_repl_offset:(\d+)/.exec(await info())?.[1]);
  await until(
    async () => {
      const replicas = [...(await info()).matchAll(/^slave\d+:.*state=online,offset=(\d+)/gm)];
      return replicas.filter(([, at]) => Number(at) >= offset).length >= count;
    },
    { timeoutMs: failoverMs, everyMs: 50 },
  );
}

/**
 * Writes on the master what none of its replicas will see, and kills the master. The replicas are cut off first: what
 * is on its way to one that merely hangs would reach it later. They are running again when this resolves, and one of
 * them becomes the master next: wait for `failedOver(old)`.
 */
export async function loseWrites<T>(
  group: RedisGroup,
  write: () => Promise<T>,
): Promise<{ readonly old: RedisServer; readonly written: T }> {
  const old = await group.master();
  const replicas = await group.replicas();
  for (const replica of replicas) replica.pause();
  try {
    await old.cli("CLIENT", "KILL", "TYPE", "replica");
    const written = await write();
    await old.kill();
    return { old, written };
  } finally {
    for (const replica of replicas) replica.resume();
  }
}
