/** `RELAY_MIN_REPLICAS`: an accept resolves only once so many replicas have the event. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entryOf, newEvent, readAll, upTo } from "./contract.test-harness.ts";
import { loseWrites, type RedisGroup } from "./redis-group.test-helper.ts";
import { accepted, endWithTest, open, refusal, start, warningsOf } from "./redis-log.test-harness.ts";
import type { RedisLog } from "./redis-log.ts";
import { startSentinel } from "./redis-sentinel.test-helper.ts";
import type { RedisServer } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

endWithTest();

let group: RedisGroup;
let master: RedisServer;
let replica: RedisServer;

beforeAll(async () => {
  // one is enough, and there is exactly one: what it has is what survives
  group = await startSentinel({ replicas: 1 });
});
afterAll(() => group.stop());

async function openWaiting(): Promise<RedisLog> {
  await group.caughtUp();
  master = await group.master();
  const [one] = await group.replicas();
  if (one === undefined) throw new Error("the master has no replica");
  replica = one;
  return open(group.url, { commandTimeoutMs: 1_500 }, { minReplicas: 1 });
}

describe("an accept that waits for a replica", () => {
  it("is refused while the replica hangs, again and again, and is a duplicate once it has it", async () => {
    const log = await openWaiting();
    await accepted(log);
    const event = newEvent();
    replica.pause();
    try {
      for (const _ of upTo(2)) {
        const asked = performance.now();
        expect(await refusal(log.accept(event, undefined))).toMatchObject({
          code: "unavailable",
          message: expect.stringMatching(
            /^Redis of .* \(REDIS_URL\) has it on 0 of 1 replicas \(RELAY_MIN_REPLICAS\): check that/,
          ),
        });
        expect(performance.now() - asked).toBeLessThan(1_500);
      }
    } finally {
      replica.resume();
    }
    expect(await until(() => log.accept(event, undefined))).toMatchObject({ status: "duplicate" });
  });

  it("is over in its time, however many come while the replica hangs", async () => {
    const log = await openWaiting();
    await accepted(log);
    replica.pause();
    try {
      const asked = performance.now();
      const codes = await Promise.all(
        upTo(100).map(async (n) => {
          // some meet a wait that is under way
          await until(() => performance.now() - asked > n * 4);
          return (await refusal(log.accept(newEvent(), undefined))).code;
        }),
      );
      expect(new Set(codes)).toEqual(new Set(["unavailable"]));
      expect(performance.now() - asked).toBeLessThan(400 + 1_500);
      // reads do not stand in line behind it
      const read = performance.now();
      const waiting = refusal(log.accept(newEvent(), undefined));
      await log.state(undefined);
      expect(performance.now() - read).toBeLessThan(400);
      await waiting;
    } finally {
      replica.resume();
    }
    await accepted(log);
  });

  it("is refused when its connection is lost while it waits", async () => {
    const log = await openWaiting();
    await accepted(log);
    replica.pause();
    try {
      const waiting = refusal(log.accept(newEvent(), undefined));
      await until(async () => / flags=b .* cmd=wait /.test(await master.cli("CLIENT", "LIST")));
      await master.cli("CLIENT", "KILL", "TYPE", "normal");
      expect(await waiting).toMatchObject({ code: "unavailable" });
    } finally {
      replica.resume();
    }
    await accepted(log);
  });

  it("shares its wait with those that come together", async () => {
    const log = await openWaiting();
    await accepted(log);
    await master.cli("CONFIG", "RESETSTAT");
    for (const _ of upTo(5)) {
      const answers = await Promise.all(upTo(100).map(() => log.accept(newEvent(), undefined)));
      expect(answers.every(({ status }) => status === "accepted")).toBe(true);
    }
    const stats = await master.cli("INFO", "commandstats");
    const calls = Number(/^cmdstat_wait:calls=(\d+)/m.exec(stats)?.[1]);
    expect(calls).toBeGreaterThanOrEqual(5);
    expect(calls).toBeLessThanOrEqual(25);
  });

  it("sends something to the replicas for a duplicate, too: that is what WAIT goes by", async () => {
    const log = await openWaiting();
    const event = newEvent();
    await until(() => log.accept(event, undefined));
    const sent = async () =>
      Number(/master_repl_offset:(\d+)/.exec(await master.cli("INFO", "replication"))?.[1]);
    const before = await sent();
    for (const _ of upTo(20)) await log.accept(event, undefined);
    // the name of a key for each, at least; a ping a second is all there would be otherwise
    expect((await sent()) - before).toBeGreaterThan(20 * 40);
  });

  it("never loses its event to a failover", { timeout: 60_000 }, async () => {
    const log = await openWaiting();
    const event = newEvent();
    await accepted(log);
    const entry = entryOf(await log.accept(event, undefined));
    const late = newEvent();
    const { old, written } = await loseWrites(group, () => refusal(log.accept(late, undefined)));
    expect(written).toMatchObject({ code: "unavailable" });
    await group.failedOver(old);
    await old.restart({ keepData: false });
    await until(async () => (await group.replicas()).length > 0);
    const stored = await until(() => readAll(log));
    expect(stored).toContainEqual(entry);
    // the one that was never confirmed is new here, which is why it must not have been confirmed
    expect(await until(() => log.unknownIds([late.id], undefined))).toContain(late.id);
    await until(() => log.accept(late, undefined));
  });
});

describe("a log that has too few replicas", () => {
  it("says so before anything is lost", async () => {
    const server = await start({ args: ["--repl-diskless-sync-delay", "0"] });
    const log = await open(server.url, {}, { minReplicas: 1 });
    expect(await warningsOf(log)).toEqual(["not_writable!"]);
    const [warning] = (await log.state(undefined)).warnings;
    expect(warning?.message).toBe(
      `Redis at 127.0.0.1:${server.port} (REDIS_URL) has 0 of 1 replicas (RELAY_MIN_REPLICAS): check that its replicas run and are in step (INFO replication, on the master)`,
    );
    const second = await start({ args: ["--replicaof", "127.0.0.1", String(server.port)] });
    await until(async () => (await warningsOf(log)).length === 0);
    await accepted(log);
    // it holds the connection, and no longer says what it has
    second.pause();
    await until(async () => (await warningsOf(log)).includes("not_writable!"), { timeoutMs: 15_000 });
    second.resume();
    await until(async () => (await warningsOf(log)).length === 0);
    await accepted(log);
  });
});
