/** A real Redis Cluster: three masters with a replica each; the log lives on one of them. */
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
import { freePort, type RedisServer, startRedis } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

const masterCount = 3;
const slotCount = 16_384;
const nodeTimeoutMs = 1_500;

export async function startCluster(options: GroupOptions = {}): Promise<RedisGroup> {
  const servers: RedisServer[] = [];
  const stop = async () => void (await Promise.all(servers.map((one) => one.stop())));
  let slot = 0;
  try {
    for (const one of await Promise.allSettled(
      Array.from({ length: 2 * masterCount }, () => startNode(options)),
    )) {
      if (one.status === "rejected") throw one.reason;
      servers.push(one.value.server);
      buses.set(one.value.server, one.value.bus);
    }
    slot = Number(await byIndex(servers, 0).cli("CLUSTER", "KEYSLOT", "{sharmo}:log"));
    await join(servers);
  } catch (error) {
    await stop();
    throw error;
  }

  async function master(): Promise<RedisServer | undefined> {
    const named = await Promise.all(servers.map((one) => ownerOf(slot, one)));
    return agreedMaster(servers, named);
  }
  const waiting = { timeoutMs: failoverMs, everyMs: 50 };
  return {
    url: urlOf(options, servers),
    servers,
    sentinels: [],
    master: () => until(master, waiting),
    replicas: async () => replicasOf(await until(master, waiting), servers),
    caughtUp: async () => replicasCaughtUp(await until(master, waiting), 1),
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

/** The ports on which nodes speak with each other. */
const buses = new WeakMap<RedisServer, number>();

async function startNode({
  password,
  appendonly,
  args,
}: GroupOptions): Promise<{ server: RedisServer; bus: number }> {
  const bus = await freePort();
  const server = await startRedis({
    ...(password === undefined ? {} : { password }),
    ...(appendonly === undefined ? {} : { appendonly }),
    args: [
      ...["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", String(bus)],
      ...["--cluster-node-timeout", String(nodeTimeoutMs), "--cluster-replica-validity-factor", "0"],
      ...["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"],
      ...(password === undefined ? [] : ["--masterauth", password]),
      ...(args ?? []),
    ],
  });
  return { server, bus };
}

/** Makes one Cluster of fresh nodes: the first three share the slots, each of the others is a replica of one. */
async function join(servers: readonly RedisServer[]): Promise<void> {
  const masters = servers.slice(0, masterCount);
  for (const [index, server] of servers.entries()) {
    await server.cli("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    if (index >= masterCount) continue;
    const from = Math.floor((index * slotCount) / masterCount);
    const to = Math.floor(((index + 1) * slotCount) / masterCount) - 1;
    await server.cli("CLUSTER", "ADDSLOTSRANGE", String(from), String(to));
  }
  const first = byIndex(servers, 0);
  for (const server of servers.slice(1)) {
    await first.cli("CLUSTER", "MEET", "127.0.0.1", String(server.port), String(buses.get(server)));
  }
  const waiting = { timeoutMs: failoverMs, everyMs: 50 };
  const nodesKnow = (count: number) => async () => {
    const infos = await Promise.all(servers.map((one) => ask(one, "CLUSTER", "INFO")));
    return infos.every(
      (info) => info?.includes(`cluster_known_nodes:${count}\r\n`) && info.includes("cluster_state:ok"),
    );
  };
  await until(nodesKnow(servers.length), waiting);
  for (const [index, master] of masters.entries()) {
    const id = await master.cli("CLUSTER", "MYID");
    await byIndex(servers, masterCount + index).cli("CLUSTER", "REPLICATE", id);
  }
  await Promise.all(masters.map((master, index) => inStep(master, [byIndex(servers, masterCount + index)])));
  // Replicas stand for election only once the others know them as such.
  await until(async () => {
    const views = await Promise.all(servers.map((one) => ask(one, "CLUSTER", "NODES")));
    return views.every((view) => view?.match(/ (myself,)?slave /g)?.length === masterCount);
  }, waiting);
}

/** The port of the slot's master in the eyes of one node; undefined if it does not answer. */
async function ownerOf(slot: number, server: RedisServer): Promise<number | undefined> {
  const nodes = (await ask(server, "CLUSTER", "NODES"))?.split("\n") ?? [];
  for (const line of nodes) {
    const [, address = "", flags = "", , , , , , ...ranges] = line.split(" ");
    if (!flags.includes("master") || flags.includes("fail")) continue;
    const owns = ranges.some((range) => {
      const [from, to = from] = range.split("-").map(Number);
      return from !== undefined && to !== undefined && from <= slot && slot <= to;
    });
    if (owns) return Number(/:(\d+)@/.exec(address)?.[1]);
  }
  return undefined;
}

function byIndex(servers: readonly RedisServer[], index: number): RedisServer {
  const server = servers[index];
  if (server === undefined) throw new Error(`the Cluster has no node ${index}`);
  return server;
}

/** Half of the nodes are named: the others must be learned. */
function urlOf({ password }: GroupOptions, servers: readonly RedisServer[]): string {
  const hosts = servers
    .slice(0, masterCount)
    .map(({ port }) => `127.0.0.1:${port}`)
    .join(",");
  return `redis+cluster://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}${hosts}`;
}
