/** Reading: ranges, single events. */
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { acceptAll, type CreateLog, newEvent, sequencesOf, upTo } from "./contract.test-harness.ts";
import { maxRange } from "./event-log.ts";

export function readContract(create: CreateLog): void {
  describe("readRange", () => {
    it("reads what follows `after`, up to and with `through`", async () => {
      const { log } = await create();
      const entries = await acceptAll(
        log,
        upTo(10).map(() => newEvent()),
      );
      const range = await log.readRange(3, 7, undefined);
      expect(range).toMatchObject({ after: 3, through: 7, head: 10 });
      expect(range.entries).toEqual(entries.slice(3, 7));
    });

    it("reads entries of all types in the order of their sequences", async () => {
      const { log } = await create();
      const types = ["z.last", "a.first", "m.middle"];
      await acceptAll(
        log,
        upTo(30).map((n) => newEvent({ type: types[n % 3] ?? "a.b" })),
      );
      const range = await log.readRange(0, 30, undefined);
      expect(sequencesOf(range.entries)).toEqual(upTo(30));
    });

    it("is empty where there is nothing: an empty log, an empty range, past the head", async () => {
      const { log } = await create();
      expect((await log.readRange(0, 5, undefined)).entries).toEqual([]);
      await acceptAll(log, [newEvent(), newEvent()]);
      expect((await log.readRange(1, 1, undefined)).entries).toEqual([]);
      expect((await log.readRange(2, 9, undefined)).entries).toEqual([]);
      expect(await log.readRange(7, 9, undefined)).toMatchObject({ entries: [], head: 2, after: 7 });
    });

    it("ends at the head and says so", async () => {
      const { log } = await create();
      await acceptAll(log, [newEvent(), newEvent(), newEvent()]);
      const range = await log.readRange(1, 50, undefined);
      expect(sequencesOf(range.entries)).toEqual([2, 3]);
      expect(range).toMatchObject({ after: 1, through: 3, head: 3 });
    });

    it(`ends after ${maxRange} sequences and says so`, async () => {
      const { log } = await create();
      await Promise.all(upTo(maxRange + 20).map(() => log.accept(newEvent(), undefined)));
      const range = await log.readRange(5, maxRange + 20, undefined);
      expect(range).toMatchObject({ after: 5, through: maxRange + 5, head: maxRange + 20 });
      expect(range.entries).toHaveLength(maxRange);
    });

    it("answers with epoch, head, trims and entries of one moment, while others write and trim", async () => {
      const { log } = await create({
        retention: { default: { maxAgeMs: 3_600_000, maxCount: 20 }, types: new Map() },
      });
      await acceptAll(
        log,
        upTo(10).map(() => newEvent()),
      );
      let writing = true;
      const writer = (async () => {
        for (let i = 0; i < 25; i++) {
          await Promise.all(upTo(4).map(() => log.accept(newEvent(), undefined)));
          await log.trim(5);
        }
        writing = false;
      })();
      let reads = 0;
      while (writing) {
        const range = await log.readRange(0, maxRange, undefined);
        const trimmed = range.trimmedThrough.get("transaction.created") ?? 0;
        expect(sequencesOf(range.entries)).toEqual(upTo(range.head).slice(trimmed));
        reads++;
        // A log in this process may answer without leaving the turn: the writer must have its own.
        await setImmediate();
      }
      await writer;
      expect(reads).toBeGreaterThan(0);
    });
  });

  describe("readEvent", () => {
    it("finds an event by its id and no other", async () => {
      const { log } = await create();
      const [first, second] = await acceptAll(log, [newEvent({ id: "evt_known" }), newEvent()]);
      expect(await log.readEvent("evt_known")).toEqual(first);
      expect(await log.readEvent(second?.id ?? "")).toEqual(second);
      expect(await log.readEvent("evt_unknown")).toBeUndefined();
    });
  });
}
