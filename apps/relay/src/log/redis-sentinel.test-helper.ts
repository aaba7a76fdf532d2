/** A real master with replicas, watched by three real Sentinels that put a replica in its place when it is gone. */
import {
  agreedMaster,
  ask,
  failoverMs,
  type GroupOptions,
  inStep,
  type RedisGroup,
  replicasCaughtUp,
  replicasOf,
} from "./redis-group.test-helper.ts";
import { type RedisServer, startRedis } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

export interface SentinelOptions extends GroupOptions {
  /** Default 2. */
  readonly replicas?: number;
  /** Of the Sentinels themselves. */
  readonly sentinelPassword?: string;
}

export const masterName = "sharmo";
const sentinelCount = 3;
/** As short as leaves a busy machine alive; a failover takes 1 to 3 s. */
const downAfterMs = 1_000;

export async function startSentinel(options: SentinelOptions = {}): Promise<RedisGroup> {
  const servers: RedisServer[] = [];
  const sentinels: RedisServer[] = [];
  const stop = async () => {
    // The Sentinels first: they would act on what they see.
    await Promise.all(sentinels.map((one) => one.stop()));
    await Promise.all(servers.map((one) => one.stop()));
  };
  try {
    const first = await startRedis(dataServer(options));
    servers.push(first);
    const replicaOf = ["--replicaof", "127.0.0.1", String(first.port)];
    const replicas = await Promise.all(
      Array.from({ length: options.replicas ?? 2 }, () => startRedis(dataServer(options, replicaOf))),
    );
    servers.push(...replicas);
    await inStep(first, replicas);
    const config = configOf(options, first.port);
    sentinels.push(
      ...(await Promise.all(
        Array.from({ length: sentinelCount }, () =>
          startRedis({
            sentinel: config,
            ...(options.sentinelPassword === undefined ? {} : { password: options.sentinelPassword }),
          }),
        ),
      )),
    );
    await Promise.all(sentinels.map(hurry));
    await until(() => acquainted(sentinels, replicas.length), { timeoutMs: failoverMs, everyMs: 50 });
  } catch (error) {
    await stop();
    throw error;
  }

  async function master(): Promise<RedisServer | undefined> {
    const named = await Promise.all(sentinels.map(namedBy));
    return agreedMaster(servers, named);
  }
  const waiting = { timeoutMs: failoverMs, everyMs: 50 };
  return {
    url: urlOf(options, sentinels),
    servers,
    sentinels,
    master: () => until(master, waiting),
    replicas: async () => replicasOf(await until(master, waiting), servers),
    caughtUp: async () => replicasCaughtUp(await until(master, waiting), servers.length - 1),
    failedOver: (old, { timeoutMs = failoverMs } = {}) =>
      until(
        async () => {
          const now = await master();
          return now !== undefined && now.port !== old.port && now;
        },
        { timeoutMs, everyMs: 50 },
      ),
    stop,
  };
}

function dataServer({ password, appendonly, args }: SentinelOptions, more: readonly string[] = []) {
  return {
    ...(password === undefined ? {} : { password }),
    ...(appendonly === undefined ? {} : { appendonly }),
    args: [
      ...["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"],
      ...(password === undefined ? [] : ["--masterauth", password]),
      ...more,
      ...(args ?? []),
    ],
  };
}

function configOf({ password, sentinelPassword }: SentinelOptions, port: number): string {
  return [
    `sentinel monitor ${masterName} 127.0.0.1 ${port} 2`,
    `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
    `sentinel failover-timeout ${masterName} 2000`,
    `sentinel parallel-syncs ${masterName} 5`,
    ...(password === undefined ? [] : [`sentinel auth-pass ${masterName} ${password}`]),
    ...(sentinelPassword === undefined ? [] : [`sentinel sentinel-pass ${sentinelPassword}`]),
    "",
  ].join("\n");
}

/** Sentinels look every few seconds, and do nothing for 30 s after the machine kept them waiting for two. */
async function hurry(sentinel: RedisServer): Promise<void> {
  const periods = { "info-period": 500, "ping-period": 200, "ask-period": 200, "publish-period": 200 };
  const patience = { "tilt-trigger": 10_000, "tilt-period": 1_000 };
  for (const [name, ms] of Object.entries({ ...periods, ...patience })) {
    await sentinel.cli("SENTINEL", "DEBUG", name, String(ms));
  }
}

/** Whether each Sentinel knows the others and all replicas. */
async function acquainted(sentinels: readonly RedisServer[], replicas: number): Promise<boolean> {
  const known = await Promise.all(sentinels.map((one) => ask(one, "INFO", "sentinel")));
  return known.every((info) => info?.includes(`slaves=${replicas},sentinels=${sentinels.length}`));
}

async function namedBy(sentinel: RedisServer): Promise<number | undefined> {
  const address = await ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName);
  return address === undefined ? undefined : Number(address.split("\n")[1]);
}

function urlOf({ password, sentinelPassword }: SentinelOptions, sentinels: readonly RedisServer[]): string {
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
  const login = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
  const query =
    sentinelPassword === undefined ? "" : `?sentinel_password=${encodeURIComponent(sentinelPassword)}`;
  return `redis+sentinel://${login}${hosts}/${masterName}${query}`;
}
