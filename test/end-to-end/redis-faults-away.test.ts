/** What a relay does while its Redis is gone, hangs, or has lost what it held. */
import { describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { makeEvent } from "../support/webhook.ts";
import { type Fault, postOnce, startBench, sufferAndRecover } from "./redis-faults.test-harness.ts";

const durable = { appendonly: true, args: ["--appendfsync", "always"] };
/** 60 keys of a kilobyte that do not compress, so that loading has something to pause at. */
const filler = Array.from(
  { length: 60 },
  (_, n) =>
    `for i = 1, 64 do s = s .. string.format('%016x', ${n} * i * 2654435761) end redis.call('SET', 'filler:${n}', s) s = ''`,
);
let loading: Promise<void> = Promise.resolve();

const faults: Fault[] = [
  {
    name: "is killed, and comes back with its data",
    redis: durable,
    begin: ({ redis }) => redis.kill(),
    end: ({ redis }) => redis.restart({ keepData: true }),
    reason: { code: "unavailable", message: /cannot be reached: |cannot be reached \(|broke the connection/ },
  },
  {
    name: "is stopped (SIGSTOP), and goes on",
    begin: async ({ redis }) => redis.pause(),
    end: async ({ redis }) => redis.resume(),
    reason: { code: "unavailable", message: /does not answer/ },
  },
  {
    name: "is loading its data for seconds (LOADING)",
    redis: { args: ["--key-load-delay", "30000", "--loading-process-events-interval-bytes", "1024"] },
    begin: async ({ redis }) => {
      await redis.cli("EVAL", `local s = '' ${filler.join(" ")}`, "0");
      loading = redis.restart({ keepData: true });
    },
    end: () => loading,
    reason: { code: "unavailable", message: /is still loading its data/ },
  },
  {
    name: "is busy with someone's endless script (BUSY)",
    redis: { args: ["--lua-time-limit", "50"] },
    begin: async ({ admin }) => {
      admin("EVAL", "while true do end", "0").catch(() => undefined);
    },
    end: ({ redis }) => redis.cli("SCRIPT", "KILL"),
    reason: { code: "unavailable", message: /is busy with a script|does not answer/ },
  },
  {
    name: "has no connection left (maxclients)",
    begin: async ({ admin }) => {
      await admin("CONFIG", "SET", "maxclients", "1");
      await admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      await admin("CLIENT", "KILL", "TYPE", "pubsub");
    },
    end: ({ admin }) => admin("CONFIG", "SET", "maxclients", "100"),
    reason: { code: "unavailable", message: /has no connection left: raise its maxclients/ },
  },
];

describe("a relay whose Redis", () => {
  it.each(faults)("$name: refuses webhooks in time, keeps its clients, and loses nothing", sufferAndRecover);

  it("carried out what it had not answered: the retry is a duplicate, and it is delivered once", async () => {
    const bench = await startBench();
    const first = makeEvent("token.created", { token_id: "t" });
    expect(await postOnce(bench.node.url, first)).toMatchObject({ status: 200, said: "accepted" });
    bench.redis.pause();
    const event = makeEvent("token.created", { token_id: "t" });
    expect(await postOnce(bench.node.url, event)).toMatchObject({ status: 503, said: "storage_unavailable" });
    bench.redis.resume();
    const retry = await until(async () => {
      const answer = await postOnce(bench.node.url, event);
      return answer.status === 200 && answer;
    });
    expect(retry.said).toBe("duplicate");
    await bench.expectWhole([first.id, event.id]);
  });

  it("is restarted with its data again and again: what was accepted before and after is one order", async () => {
    const bench = await startBench(durable);
    const sender = bench.send();
    for (let round = 1; round <= 3; round++) {
      await until(() => sender.acknowledged.length > 30 * round);
      await bench.redis.restart({ keepData: true });
    }
    await until(() => sender.acknowledged.length > 120);
    await sender.stop();
    await bench.expectWhole(sender.acknowledged);
  });

  it("is restarted empty: what it had been told is put back, and each client has each event once", async () => {
    const bench = await startBench();
    const before = bench.send();
    await until(() => before.acknowledged.length > 20);
    await before.stop();
    await bench.expectWhole(before.acknowledged);
    const first = await bench.stored();
    await bench.redis.restart({ keepData: false });
    await until(async () => (await bench.ready()).status === 200, { what: "readiness" });
    const after = bench.send();
    await until(() => after.acknowledged.length > 20);
    await after.stop();
    const all = [...before.acknowledged, ...after.acknowledged].sort();
    const stored = await until(async () => {
      const ids = await bench.stored();
      return ids.length >= all.length && ids;
    });
    expect([...stored].sort()).toEqual(all);
    const isNew = new Set(after.acknowledged);
    await bench.expectDelivered([...first, ...stored.filter((id) => isNew.has(id))]);
  });
});
