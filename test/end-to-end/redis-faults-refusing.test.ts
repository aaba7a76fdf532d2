/** What a relay does while its Redis answers, and refuses writes or works worse than it should. */
import { describe, expect, it } from "vitest";
import { freePort } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { until } from "../support/until.ts";
import { type Bench, type Fault, startBench, sufferAndRecover } from "./redis-faults.test-harness.ts";

const record = "{sharmo}:log";

async function cutAll({ admin }: Bench): Promise<void> {
  await admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await admin("CLIENT", "KILL", "TYPE", "pubsub");
}

/** `BGSAVE` to where no file can be made fails as it does on a full disk. */
async function saveTo({ admin }: Bench, dir: string, outcome: "ok" | "err"): Promise<void> {
  await admin("CONFIG", "SET", "dir", dir);
  await admin("BGSAVE");
  await until(async () => {
    const info = await admin("INFO", "persistence");
    return info.includes("rdb_bgsave_in_progress:0") && info.includes(`rdb_last_bgsave_status:${outcome}`);
  });
}
let savesTo = "";

const stopping: Fault[] = [
  {
    name: "became a read-only replica",
    begin: async ({ admin }) => admin("REPLICAOF", "127.0.0.1", String(await freePort())),
    end: ({ admin }) => admin("REPLICAOF", "NO", "ONE"),
    reason: { code: "not_writable", message: /is a read-only replica: point REDIS_URL at the master/ },
  },
  {
    name: "is out of memory",
    begin: ({ admin }) => admin("CONFIG", "SET", "maxmemory", "1"),
    end: ({ admin }) => admin("CONFIG", "SET", "maxmemory", "0"),
    reason: { code: "not_writable", message: /is out of memory: raise maxmemory/ },
  },
  {
    name: "cannot save to its disk (MISCONF)",
    redis: { args: ["--enable-protected-configs", "local"] },
    begin: async (bench) => {
      const [, dir = ""] = (await bench.admin("CONFIG", "GET", "dir")).split("\n");
      savesTo = dir;
      await bench.admin("CONFIG", "SET", "save", "3600 1000000");
      await saveTo(bench, "/proc", "err");
    },
    end: (bench) => saveTo(bench, savesTo, "ok"),
    reason: { code: "not_writable", message: /cannot save to its disk/ },
  },
  {
    name: "holds something else under the log's key",
    begin: async ({ admin }) => {
      await admin("RENAME", record, "aside");
      await admin("SET", record, "someone else's");
    },
    end: ({ admin }) => admin("RENAME", "aside", record),
    reason: { code: "unusable", message: /holds keys under \{sharmo\} that are not this log's/ },
  },
  {
    name: "wants a password that the relay does not have (NOAUTH)",
    begin: async (bench) => {
      await bench.admin("CONFIG", "SET", "requirepass", "another");
      await cutAll(bench);
    },
    end: ({ admin }) => admin("CONFIG", "SET", "requirepass", ""),
    reason: { code: "unavailable", message: /check user and password in REDIS_URL/ },
  },
  {
    name: "has fewer replicas than it asks for (NOREPLICAS)",
    begin: ({ admin }) => admin("CONFIG", "SET", "min-replicas-to-write", "1"),
    end: ({ admin }) => admin("CONFIG", "SET", "min-replicas-to-write", "0"),
    reason: { code: "not_writable", message: /fewer replicas/ },
  },
];

/** By the number that Redis gave to its connection; undefined if there is none. */
async function listenerOf(admin: Bench["admin"]): Promise<string | undefined> {
  return /^id=([0-9]+)/.exec(await admin("CLIENT", "LIST", "TYPE", "pubsub"))?.[1];
}

interface Nuisance {
  readonly name: string;
  happen(bench: Bench): Promise<unknown>;
}

const passing: Nuisance[] = [
  { name: "forgets its scripts (SCRIPT FLUSH)", happen: ({ admin }) => admin("SCRIPT", "FLUSH") },
  {
    name: "cuts the connections that listen",
    happen: ({ admin }) => admin("CLIENT", "KILL", "TYPE", "pubsub"),
  },
  {
    name: "cuts the listener for its full output buffer",
    happen: async ({ admin }) => {
      const before = await until(() => listenerOf(admin));
      await admin("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1 0 0");
      await until(async () => (await listenerOf(admin)) !== before);
      await admin("CONFIG", "SET", "client-output-buffer-limit", "pubsub 33554432 8388608 60");
    },
  },
];

describe("a relay whose Redis", () => {
  it.each(stopping)(
    "$name: refuses webhooks in time, keeps its clients, and loses nothing",
    sufferAndRecover,
  );

  it.each(passing)("$name: takes every webhook, and no client misses one", async ({ happen }) => {
    const bench = await startBench({}, { apart: true });
    // large enough that a few at once are more than the part of the buffer that has no limit
    const sender = bench.send(8, () => ({ padding: "x".repeat(12_000) }));
    for (let round = 1; round <= 3; round++) {
      await until(() => sender.acknowledged.length > 40 * round);
      await happen(bench);
    }
    await until(() => sender.acknowledged.length > 160);
    await sender.stop();
    expect(sender.answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(await bench.healthy()).toBe(true);
    expect((await bench.ready()).status).toBe(200);
    await bench.expectWhole(sender.acknowledged);
    const more = await bench.expectPrompt();
    await bench.expectWhole([...sender.acknowledged, ...more]);
  });

  it("may evict events: takes webhooks, and readiness says what to set until it is set", async () => {
    const bench = await startBench();
    const sender = bench.send();
    await bench.admin("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    const text = await until(async () => {
      const { status, codes, text } = await bench.ready();
      return status === 503 && codes.includes("evicts") && text;
    });
    expect(text).toMatch(/set maxmemory-policy to noeviction \(it is allkeys-lru\)/);
    await until(() => sender.acknowledged.length > 40);
    await bench.admin("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await until(async () => (await bench.ready()).status === 200);
    await sender.stop();
    expect(sender.answers.filter(({ status }) => status !== 200)).toEqual([]);
    await bench.expectWhole(sender.acknowledged);
  });
});
