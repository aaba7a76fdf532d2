import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  acceptAll,
  disposing,
  entryOf,
  eventually,
  newEvent,
  price,
  property,
  readAll,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";
import { eventLogContract } from "./contract.test-suite.ts";
import type { Accepted, Announcement, Entry, EventEntry, NewEvent } from "./event-log.ts";
import { LatestTable } from "./latest.ts";
import { open, redisHarness } from "./redis-log.test-harness.ts";
import { type RedisServer, startRedis } from "./redis-server.test-helper.ts";
import { defaultRetention } from "./retention.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});

const harness = redisHarness({ url: () => server.url, empty: () => server.cli("FLUSHALL") });

eventLogContract("Redis", harness);

const silent = { announced: () => undefined, reconnected: () => undefined };

describe("the Redis log", () => {
  const create = disposing(harness);

  it("keeps one order for 16 posters at two nodes, and announces each event once to both", async () => {
    const { log, second } = await create();
    const logs = [log, (await second?.()) ?? log];
    const heard = await Promise.all(
      logs.map(async (one) => {
        const announcements: Announcement[] = [];
        await one.listen({ ...silent, announced: (a) => announcements.push(a) });
        return announcements;
      }),
    );
    const events = upTo(600).map((n) => newEvent({ type: `type.n${n % 7}` }));
    // Every poster has every third event of its neighbour too: retries that overtake the first attempt.
    const answers = await Promise.all(
      upTo(16).map(async (poster) => {
        const mine = events.filter(
          (_, i) => i % 16 === poster - 1 || (i % 16 === poster % 16 && i % 3 === 0),
        );
        const given: Accepted[] = [];
        for (const event of mine) {
          const one = logs[poster % 2];
          if (one !== undefined) given.push(await one.accept(event, undefined));
        }
        return given;
      }),
    );
    const accepted = answers.flat().filter((answer) => answer.status === "accepted");
    expect(sequencesOf(accepted.map(entryOf)).sort((a, b) => a - b)).toEqual(upTo(600));
    expect(answers.flat().length).toBeGreaterThan(750);
    const stored = await readAll(log);
    expect(sequencesOf(stored)).toEqual(upTo(600));
    for (const announcements of heard) {
      await eventually(() => expect(announcements).toHaveLength(600));
      expect(announcements.map((a) => a.entry).sort(bySequence)).toEqual(stored);
    }
  });

  it("does not notice when Redis forgets the scripts", async () => {
    const { log } = await create();
    let posting = true;
    const flushes = (async () => {
      for (; posting; ) await server.cli("SCRIPT", "FLUSH");
    })();
    const accepted = await Promise.all(upTo(200).map(() => log.accept(newEvent(), undefined)));
    posting = false;
    await flushes;
    expect(new Set(sequencesOf(accepted.map(entryOf))).size).toBe(200);
    await server.cli("SCRIPT", "FLUSH");
    expect(sequencesOf(await readAll(log))).toEqual(upTo(200));
  });

  it("ignores and counts what is no announcement", async () => {
    const { log } = await create();
    const heard: Announcement[] = [];
    await log.listen({ ...silent, announced: (a) => heard.push(a) });
    const junk = ["", "\n", "hello", "1 a 1\n", "1 strangestrange -1\nx", "\u0000".repeat(200), "{}\n{}"];
    for (const message of junk) await server.cli("PUBLISH", "{sharmo}:announcements", message);
    const [entry] = await acceptAll(log, [newEvent()]);
    await eventually(() => expect(heard.map((a) => a.entry)).toEqual([entry]));
    expect(log).toHaveProperty("ignored", junk.length);
  });

  it("keeps databases of one server apart", async () => {
    const { log } = await create();
    const other = await open(`${server.url}/1`);
    const heard: Announcement[] = [];
    await log.listen({ ...silent, announced: (a) => heard.push(a) });
    await acceptAll(other, [newEvent(), newEvent()]);
    const [entry] = await acceptAll(log, [newEvent()]);
    await eventually(() => expect(heard.map((a) => a.entry)).toEqual([entry]));
    expect(entry?.sequence).toBe(1);
    expect((await other.state(undefined)).head).toBe(2);
    await other.close();
  });

  it("counts exactly up to the largest sequence there is", async () => {
    const { log } = await create();
    await acceptAll(log, [newEvent()]);
    const heard: Announcement[] = [];
    await log.listen({ ...silent, announced: (a) => heard.push(a) });
    const head = Number.MAX_SAFE_INTEGER - 3;
    await server.cli("HSET", "{sharmo}:log", "head", String(head));
    const [first, second] = await acceptAll(log, [price("tok_1", Date.now()), newEvent()]);
    expect([first?.sequence, second?.sequence]).toEqual([head + 1, head + 2]);
    expect((await log.readRange(head, head + 2, undefined)).entries).toEqual([first, second]);
    expect((await log.readLatest(undefined)).entries).toEqual([first]);
    expect(await log.readEvent(second?.id ?? "")).toEqual(second);
    await eventually(() => expect(heard.map((a) => a.sequence)).toEqual([head + 1, head + 2]));
  });

  it("ends a range early where entries are large, and says so", async () => {
    const { log } = await create();
    const entries = await acceptAll(
      log,
      upTo(24).map((n) => newEvent({ type: n % 2 === 0 ? "a.b" : "c.d", body: Buffer.alloc(256 * 1024, n) })),
    );
    const read: Entry[] = [];
    for (let after = 0; after < 24; ) {
      const range = await log.readRange(after, 24, undefined);
      expect(range.through).toBeGreaterThan(after);
      if (after === 0) expect(range.through).toBeLessThan(24);
      read.push(...range.entries);
      after = range.through;
    }
    expect(read.every((entry, i) => entry.body.equals(entries[i]?.body ?? Buffer.alloc(0)))).toBe(true);
    expect(sequencesOf(read)).toEqual(upTo(24));
  });

  it("reads a large table of latest values in pages that fit together, while others write", async () => {
    const latestMax = 1_300;
    const { log } = await create({ latestMax });
    const now = Date.now();
    const anyEvent = (n: number): NewEvent => {
      const entity = `e${(n * 7_919) % 1_500}`;
      if (n % 50 === 0) return property("property.deleted", entity, now + n);
      return n % 2 === 0 ? property("property.updated", entity, now + n) : price(entity, now + n);
    };
    let written = 0;
    const write = () => log.accept(anyEvent(++written), undefined);
    await Promise.all(upTo(2_000).map(write));
    let reading = true;
    const writers = upTo(8).map(async () => {
      while (reading) await write();
    });
    const looks = [await log.readLatest(undefined), await log.readLatest(undefined)];
    reading = false;
    await Promise.all(writers);
    const stored = (await readAll(log)).filter(isEvent);
    for (const { head, entries } of looks) {
      const table = new LatestTable(latestMax);
      for (const entry of stored) if (entry.sequence <= head) table.apply(entry);
      expect(entries).toEqual(table.entries());
      expect(entries.length).toBeGreaterThan(1_000);
    }
  });

  it("lets ids expire after the retention of their time, and puts it off when that grows", async () => {
    const day = 86_400_000;
    const { log, reopen } = await create({ dedupeMs: 3 * day });
    await log.state(undefined);
    await acceptAll(
      log,
      upTo(20).map(() => newEvent()),
    );
    const shortest = async () => {
      const keys = (await server.cli("KEYS", "{sharmo}:ids:*")).split("\n");
      const left = await Promise.all(keys.map(async (key) => Number(await server.cli("PTTL", key))));
      return Math.min(...left) / day;
    };
    expect(await shortest()).toBeGreaterThan(7);
    expect(await shortest()).toBeLessThan(8.1);
    await log.trim(10);
    const longer = await reopen({
      retention: { ...defaultRetention, types: new Map([["a.b", { maxAgeMs: 30 * day }]]) },
    });
    await longer.trim(10);
    await longer.trim(10);
    expect(await shortest()).toBeGreaterThan(30);
  });
});

function bySequence(a: Entry | undefined, b: Entry | undefined): number {
  return (a?.sequence ?? 0) - (b?.sequence ?? 0);
}

function isEvent(entry: Entry): entry is EventEntry {
  return entry.kind === "event";
}
