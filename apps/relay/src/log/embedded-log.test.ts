import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Epoch, parseEpoch } from "@sharmo-relay/protocol";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  acceptAll,
  contractSettings,
  entryOf,
  newEvent,
  price,
  readAll,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";
import { eventLogContract } from "./contract.test-suite.ts";
import { openDatabase } from "./embedded-database.ts";
import { openEmbeddedLog } from "./embedded-log.ts";
import { historyKey, printEpochs } from "./embedded-tables.ts";
import type { LogSettings } from "./event-log.ts";

const day = 86_400_000;

eventLogContract("embedded", {
  shared: false,
  create: async (settings) => {
    const dir = await mkdtemp(join(tmpdir(), "sharmo-log-"));
    let now = Date.now();
    const open = (changed: Partial<LogSettings> = {}) =>
      openEmbeddedLog({ dir, settings: { ...contractSettings, ...changed }, clock: () => now });
    const first = await open(settings);
    let log = first;
    return {
      log: first,
      reopen: async (changed) => {
        await log.close();
        log = await open(changed);
        return log;
      },
      advance: (ms) => {
        now += ms;
      },
      dispose: async () => {
        await log.close();
        await rm(dir, { recursive: true, force: true });
      },
    };
  },
});

describe("the embedded log alone", () => {
  let dir: string;
  let now: number;
  const clock = () => now;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "sharmo-log-"));
    now = Date.UTC(2025, 10, 24, 15);
  });

  afterEach(() => rm(dir, { recursive: true, force: true }));

  function open(settings: Partial<LogSettings> = {}) {
    return openEmbeddedLog({ dir, settings: { ...contractSettings, ...settings }, clock });
  }

  it("flushes once for 64 accepts that come together", async () => {
    const log = await open();
    const before = log.commits;
    for (let i = 0; i < 5; i++) await Promise.all(upTo(64).map(() => log.accept(newEvent(), undefined)));
    expect(log.commits - before).toBe(5);
    await log.close();
  });

  it("announces in the order of sequences, each before its accept is answered", async () => {
    const log = await open();
    const heard: number[] = [];
    await log.listen({ announced: ({ sequence }) => heard.push(sequence), reconnected: () => undefined });
    const accept = async () => {
      const { sequence } = entryOf(await log.accept(newEvent(), undefined));
      expect(heard).toContain(sequence);
    };
    await Promise.all(upTo(300).map(accept));
    expect(heard).toEqual(upTo(300));
    await log.close();
  });

  it("forgets ids a day after neither they nor events are kept, not before, and in bounded steps", async () => {
    const retention = { default: { maxAgeMs: 2 * day }, types: new Map() };
    const log = await open({ dedupeMs: 3 * day, retention });
    const events = upTo(25).map(() => newEvent());
    const known = async () => {
      const answers = await Promise.all(events.map((event) => log.accept(event, undefined)));
      return answers.filter((answer) => answer.status === "duplicate").length;
    };
    await acceptAll(log, events);
    now += 3 * day;
    expect(await log.trim(1_000)).toBe(25);
    expect(await log.trim(1_000)).toBe(0);
    expect(await known()).toBe(25);
    now += 1.5 * day;
    expect(await log.trim(10)).toBe(0);
    expect(await known()).toBe(15);
    await log.close();
  });

  it("keeps ids as long as an event of their day is stored, also if nobody trims for long", async () => {
    const log = await open({ dedupeMs: 1, retention: { default: { maxAgeMs: day }, types: new Map() } });
    const events = upTo(30).map(() => newEvent());
    await acceptAll(log, events);
    now += 30 * day;
    expect(await log.trim(20)).toBe(20);
    for (const event of events)
      expect(await log.accept(event, undefined)).toMatchObject({ status: "duplicate" });
    await log.close();
  });

  it("undoes a failed transaction in memory too: numbers, types, ids and latest values go on without a trace", async () => {
    let failsIn = Number.POSITIVE_INFINITY;
    const settings = {
      ...contractSettings,
      retention: { default: { maxAgeMs: day, maxCount: 4 }, types: new Map() },
    };
    const failing = () => {
      if (failsIn-- === 0) throw new Error("the clock stopped");
      return now;
    };
    const log = await openEmbeddedLog({ dir, settings, clock: failing });
    const heard: number[] = [];
    await log.listen({ announced: ({ sequence }) => heard.push(sequence), reconnected: () => undefined });
    const events = upTo(8).map((n) => price(`tok_${n}`, now, { id: `evt_${n}` }));
    failsIn = 5;
    const failed = await Promise.allSettled(events.map((event) => log.accept(event, undefined)));
    for (const one of failed)
      expect(one).toMatchObject({ reason: { name: "LogError", code: "unavailable" } });
    expect(await log.state(undefined)).toMatchObject({ head: 0 });
    expect(await readAll(log)).toEqual([]);
    const entries = await acceptAll(log, events);
    expect(entries.map((entry) => [entry.sequence, entry.late])).toEqual(upTo(8).map((n) => [n, false]));
    expect((await log.readLatest(undefined)).entries).toEqual(entries);
    expect(await log.trim(10)).toBe(4);
    expect(heard).toEqual(upTo(8));
    await log.close();
  });

  it("is put out of office by an opening that does not see who holds the folder", async () => {
    const log = await open();
    await acceptAll(log, [newEvent()]);
    for (const name of await readdir(join(dir, "event-log"))) {
      if (name.startsWith("held-by")) await rm(join(dir, "event-log", name));
    }
    const other = await open();
    await acceptAll(other, [newEvent()]);
    await expect(log.accept(newEvent(), undefined)).rejects.toMatchObject({ code: "in_use" });
    await expect(log.trim(1).then(() => log.accept(newEvent(), undefined))).rejects.toMatchObject({
      code: "in_use",
    });
    expect(sequencesOf(await acceptAll(other, [newEvent()]))).toEqual([3]);
    await other.close();
    await log.close();
  });

  it("keeps the last 1,000 epochs", async () => {
    await (await open()).close();
    const db = openDatabase(join(dir, "event-log"));
    const names = upTo(1_000).map((n) => parseEpoch(`epoch${String(n).padStart(7, "0")}`) as Epoch);
    const history = names.map((epoch, i) => ({ epoch, first: i + 1 }));
    await db.put(historyKey, Buffer.from(printEpochs({ history, since: now })));
    await db.close();
    const log = await open();
    const state = await log.state(undefined);
    expect(state.history).toHaveLength(1_000);
    expect(state.history.slice(0, -1)).toEqual(history.slice(1));
    await log.close();
  });

  it("lets a listener's mistake surface, and goes on", async () => {
    const log = await open();
    const heard: number[] = [];
    const mistakes: unknown[] = [];
    const later = globalThis.setImmediate;
    const spy = vi.spyOn(globalThis, "setImmediate").mockImplementation(((action: () => void) =>
      later(() => {
        try {
          action();
        } catch (error) {
          mistakes.push(error);
        }
      })) as typeof setImmediate);
    await log.listen({
      announced: () => {
        throw new Error("mistaken");
      },
      reconnected: () => undefined,
    });
    await log.listen({ announced: ({ sequence }) => heard.push(sequence), reconnected: () => undefined });
    await acceptAll(log, [newEvent(), newEvent()]);
    await vi.waitFor(() => expect(mistakes).toEqual([new Error("mistaken"), new Error("mistaken")]));
    expect(heard).toEqual([1, 2]);
    spy.mockRestore();
    await log.close();
  });

  it("is not kept from trimming by times to come, from before the clock was set back", async () => {
    const log = await open({ retention: { default: { maxAgeMs: day }, types: new Map() } });
    now += 300 * day;
    await acceptAll(log, [newEvent(), newEvent()]);
    now -= 300 * day;
    await acceptAll(log, [newEvent()]);
    expect(await log.trim(10)).toBe(0);
    now += 2 * day;
    await acceptAll(log, [newEvent()]);
    expect(await log.trim(10)).toBe(3);
    expect(sequencesOf(await readAll(log))).toEqual([4]);
    await log.close();
  });
});
