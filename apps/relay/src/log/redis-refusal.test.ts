/** What the Redis log does when Redis answers, and will not do what is asked, or holds what is not ours. */
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { acceptAll, newEvent, readAll, sequencesOf } from "./contract.test-harness.ts";
import { runningEpoch } from "./lineage.ts";
import {
  accepted,
  calls,
  contents,
  endWithTest,
  lines,
  open,
  proxyTo,
  refusal,
  start,
  warningsOf,
} from "./redis-log.test-harness.ts";
import type { RedisServerOptions } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

endWithTest();

/** Does not wait for more replicas before it sends its data to the first. */
const promptMaster: RedisServerOptions = { args: ["--repl-diskless-sync-delay", "0"] };

describe("a Redis that takes no writes", () => {
  it("out of memory: says so, stores nothing, still reads and trims, and recovers", async () => {
    const server = await start();
    const log = await open(server.url, {
      retention: { default: { maxAgeMs: 86_400_000, maxCount: 2 }, types: new Map() },
    });
    const known = newEvent();
    await acceptAll(log, [known, newEvent(), newEvent()]);
    await log.state(undefined);
    await server.cli("CONFIG", "SET", "maxmemory", "1");
    const before = await contents(server);
    expect(await refusal(log.accept(newEvent({ type: "another.type" }), undefined))).toMatchObject({
      code: "not_writable",
      message: expect.stringContaining("maxmemory"),
    });
    expect(await contents(server)).toEqual(before);
    expect(await warningsOf(log)).toEqual(["not_writable!"]);
    expect(await log.accept(known, undefined)).toMatchObject({ status: "duplicate" });
    expect(sequencesOf(await readAll(log))).toEqual([1, 2, 3]);
    expect(await log.trim(10)).toBe(1);
    await server.cli("CONFIG", "SET", "maxmemory", "0");
    expect(await warningsOf(log)).toEqual([]);
    expect(await accepted(log)).toMatchObject({ entry: { sequence: 4 } });
  });

  it("out of memory after a restart: no new epoch, so nothing but room is made", async () => {
    const server = await start();
    const log = await open(server.url, {
      retention: { default: { maxAgeMs: 86_400_000, maxCount: 1 }, types: new Map() },
    });
    await acceptAll(log, [newEvent(), newEvent()]);
    await log.state(undefined);
    await server.restart({ keepData: true });
    await server.cli("CONFIG", "SET", "maxmemory", "1");
    const one = await until(() => refusal(log.state(undefined)).then((r) => r.code === "not_writable" && r));
    expect(one.message).toContain("out of memory");
    expect(await log.trim(10)).toBe(1);
    await server.cli("CONFIG", "SET", "maxmemory", "0");
    expect((await log.state(undefined)).history).toHaveLength(2);
  });

  it("a replica: reads, refuses writes, and takes them in a new epoch once it is the master", async () => {
    const [master, replica] = [await start(promptMaster), await start()];
    await replica.cli("REPLICAOF", "127.0.0.1", String(master.port));
    await until(async () => (await replica.cli("INFO", "replication")).includes("master_link_status:up"));
    const atMaster = await open(master.url);
    const log = await open(replica.url);
    await acceptAll(atMaster, [newEvent(), newEvent()]);
    const { history } = await until(() => log.state(undefined).then((state) => state.head === 2 && state));
    expect(await warningsOf(log)).toEqual(["not_writable!"]);
    expect(await refusal(log.accept(newEvent(), undefined))).toMatchObject({
      code: "not_writable",
      message: expect.stringContaining("read-only replica"),
    });
    expect(sequencesOf(await until(() => readAll(log)))).toEqual([1, 2]);
    await replica.cli("REPLICAOF", "NO", "ONE");
    const answer = await accepted(log);
    expect(answer).toMatchObject({ entry: { sequence: 3 } });
    expect(history.map((record) => record.epoch)).not.toContain(answer.epoch);
  });

  it("a demoted master behind the same name: connects anew and finds the new one", async () => {
    const [old, next] = [await start(promptMaster), await start(promptMaster)];
    const proxy = await proxyTo(old);
    const log = await open(`redis://127.0.0.1:${proxy.port}`);
    await acceptAll(log, [newEvent()]);
    await next.cli("REPLICAOF", "127.0.0.1", String(old.port));
    await until(async () => (await next.cli("INFO", "replication")).includes("master_link_status:up"));
    await next.cli("REPLICAOF", "NO", "ONE");
    await old.cli("REPLICAOF", "127.0.0.1", String(next.port));
    proxy.retarget(next.port);
    expect(await accepted(log)).toMatchObject({ entry: { sequence: 2 } });
    expect(await warningsOf(log)).toEqual([]);
  });

  it("a master with too few replicas", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent()]);
    await server.cli("CONFIG", "SET", "min-replicas-to-write", "1");
    expect(await warningsOf(log)).toEqual(["not_writable!"]);
    expect((await refusal(log.accept(newEvent(), undefined))).code).toBe("not_writable");
  });
});

describe("a Redis that is set up otherwise", () => {
  it("may evict: the log is not to be trusted", async () => {
    const server = await start();
    const log = await open(server.url);
    expect(await warningsOf(log)).toEqual([]);
    await server.cli("CONFIG", "SET", "maxmemory-policy", "volatile-lru");
    expect(await warningsOf(log)).toEqual(["evicts!"]);
  });

  it("wants another password: says what to check, and not what was tried", async () => {
    const server = await start({ password: "right" });
    const words = /password in REDIS_URL/;
    for (const user of [":wr0ng-s3cret@", ""]) {
      const log = await open(`redis://${user}127.0.0.1:${server.port}`, { commandTimeoutMs: 400 });
      const refused = await until(() =>
        refusal(log.accept(newEvent(), undefined)).then((error) => words.test(error.message) && error),
      );
      expect(refused.code).toBe("unavailable");
      expect(inspect([refused, lines], { depth: 9 })).not.toContain("wr0ng-s3cret");
    }
    expect(await accepted(await open(server.url))).toMatchObject({ entry: { sequence: 1 } });
  });

  it("withholds a command or its replication id: readiness says which, before anything is lost", async () => {
    const server = await start();
    await server.cli("ACL", "SETUSER", "weak", "on", ">pw", "~{sharmo}*", "&{sharmo}*", "+@all", "-zadd");
    await server.cli("ACL", "SETUSER", "blind", "on", ">pw", "~{sharmo}*", "&{sharmo}*", "+@all", "-info");
    const weak = await open(`redis://weak:pw@127.0.0.1:${server.port}`);
    const { warnings } = await weak.state(undefined);
    expect(warnings).toEqual([
      { code: "not_writable", blocking: true, message: expect.stringMatching(/user in REDIS_URL/) },
    ]);
    const blind = await open(`redis://blind:pw@127.0.0.1:${server.port}`);
    expect(await warningsOf(blind)).toEqual(["no_identity"]);
    expect(await accepted(blind)).toMatchObject({ entry: { sequence: 1 } });
  });
});

describe("a Redis that holds something else", () => {
  const keys = [
    "log",
    "epochs",
    "types",
    "events:token.price_changed",
    "latest",
    "latest:times",
    "latest:order",
  ];
  const touching = newEvent({ type: "token.price_changed", entity: "tok_1" });

  it.each([...keys, "ids"])("under %s: says what to do and writes nothing", async (name) => {
    const server = await start();
    const log = await open(server.url);
    await log.accept(newEvent(), undefined);
    const epoch = runningEpoch((await log.state(undefined)).history).epoch;
    let key = `{sharmo}:${name}`;
    if (name === "ids") {
      const others = (await server.cli("KEYS", "{sharmo}:ids:*")).split("\n");
      await log.accept(touching, undefined);
      const ids = (await server.cli("KEYS", "{sharmo}:ids:*")).split("\n");
      key = ids.find((one) => !others.includes(one)) ?? "";
    }
    // In a log, where the call would also begin a new epoch, and where there is no log yet.
    for (const command of ["DEL", "FLUSHALL"]) {
      await server.cli(command, ...(command === "DEL" ? [key] : []));
      await server.cli("SET", key, "someone else's");
      const before = await contents(server);
      const refused = await refusal(log.accept(touching, { epoch, sequence: 99 }));
      expect(refused).toMatchObject({
        code: "unusable",
        message: expect.stringMatching(/REDIS_URL.*not this log's/),
      });
      expect(await contents(server)).toEqual(before);
    }
  });

  it("a log of a newer format: no call touches it", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent()]);
    await server.cli("HSET", "{sharmo}:log", "format", "2");
    const before = await contents(server);
    for (const [name, call] of Object.entries(calls(log))) {
      expect(await refusal(call()), name).toMatchObject({
        code: "unusable",
        message: expect.stringContaining("newer Sharmo Relay"),
      });
    }
    expect(await contents(server)).toEqual(before);
  });

  it("half a log: does not begin a new one over it", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent(), newEvent()]);
    await server.cli("HDEL", "{sharmo}:log", "head");
    expect((await refusal(log.accept(newEvent(), undefined))).code).toBe("unusable");
    await server.cli("DEL", "{sharmo}:log");
    expect((await refusal(log.accept(newEvent(), undefined))).code).toBe("unusable");
  });
});
