/** The Redis log in a real Cluster of three masters. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newEvent, upTo } from "./contract.test-harness.ts";
import { eventLogContract } from "./contract.test-suite.ts";
import { startCluster } from "./redis-cluster.test-helper.ts";
import { failoverTests } from "./redis-failover.test-suite.ts";
import type { RedisGroup } from "./redis-group.test-helper.ts";
import { slot } from "./redis-guide.ts";
import { accepted, endWithTest, open, redisHarness } from "./redis-log.test-harness.ts";
import type { RedisServer } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

endWithTest();

describe("a Redis Cluster", () => {
  failoverTests(() => startCluster());
});

describe("in a Redis Cluster", () => {
  let group: RedisGroup;
  beforeAll(async () => {
    group = await startCluster({ password: "p@ss" });
  });
  afterAll(() => group.stop());

  const empty = async () => (await group.master()).cli("FLUSHALL");
  eventLogContract("Redis Cluster", redisHarness({ url: () => group.url, empty }));

  it("the log's keys lie in one slot, on one of the masters", async () => {
    const master = await group.master();
    expect(await master.cli("CLUSTER", "KEYSLOT", "{sharmo}:log")).toBe(String(slot));
  });

  it("the log moves with its slot to another master", async () => {
    const log = await open(group.url, { commandTimeoutMs: 1_500 });
    const events = upTo(20).map(() => newEvent());
    await accepted(log);
    for (const event of events) await log.accept(event, undefined);
    const from = await group.master();
    const to = group.servers.slice(0, 3).find((one) => one.port !== from.port);
    if (to === undefined) return;
    await moveSlot(from, to);
    await until(async () => (await group.master()).port === to.port);
    expect(await until(() => log.accept(events[0] ?? newEvent(), undefined))).toMatchObject({
      status: "duplicate",
    });
    await accepted(log);
  });
});

/** As `redis-cli --cluster reshard` does it. */
async function moveSlot(from: RedisServer, to: RedisServer): Promise<void> {
  const ids = { from: await from.cli("CLUSTER", "MYID"), to: await to.cli("CLUSTER", "MYID") };
  await to.cli("CLUSTER", "SETSLOT", String(slot), "IMPORTING", ids.from);
  await from.cli("CLUSTER", "SETSLOT", String(slot), "MIGRATING", ids.to);
  const keys = (await from.cli("CLUSTER", "GETKEYSINSLOT", String(slot), "1000")).split("\n");
  await from.cli("MIGRATE", "127.0.0.1", String(to.port), "", "0", "5000", "AUTH", "p@ss", "KEYS", ...keys);
  await to.cli("CLUSTER", "SETSLOT", String(slot), "NODE", ids.to);
  await from.cli("CLUSTER", "SETSLOT", String(slot), "NODE", ids.to);
}
