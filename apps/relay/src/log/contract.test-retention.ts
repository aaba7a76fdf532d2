/** Retention: what goes, what stays, what is said of it, and how long ids are remembered. */
import { describe, expect, it } from "vitest";
import {
  acceptAll,
  type CreateLog,
  eventually,
  newEvent,
  readAll,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";
import type { EventEntry, EventLog, Retention } from "./event-log.ts";

const day = 86_400_000;
const week: Retention = { default: { maxAgeMs: 7 * day }, types: new Map() };

/** `short.lived` goes after a moment, all else stays. */
const shortLived: Retention = {
  default: { maxAgeMs: 7 * day },
  types: new Map([["short.lived", { maxAgeMs: 250 }]]),
};

async function interleaved(
  log: EventLog,
  count: number,
): Promise<{ short: EventEntry[]; long: EventEntry[] }> {
  const entries = await acceptAll(
    log,
    upTo(2 * count).map((n) => newEvent({ type: n % 2 === 1 ? "short.lived" : "long.lived" })),
  );
  return {
    short: entries.filter((e) => e.type === "short.lived"),
    long: entries.filter((e) => e.type === "long.lived"),
  };
}

/** What is gone of `entries` is the oldest part, and the log says exactly that. Resolves with how many. */
async function goneOf(
  log: EventLog,
  entries: readonly EventEntry[],
  others: readonly EventEntry[],
): Promise<number> {
  const { head, trimmedThrough } = await log.state(undefined);
  const range = await log.readRange(0, head, undefined);
  expect(range.trimmedThrough).toEqual(trimmedThrough);
  const gone = sequencesOf(entries).filter((s) => !range.entries.some((e) => e.sequence === s));
  expect(gone).toEqual(sequencesOf(entries).slice(0, gone.length));
  expect(trimmedThrough).toEqual(new Map(gone.length === 0 ? [] : [[entries[0]?.type, gone.at(-1)]]));
  expect(range.entries.filter((e) => e.kind === "event" && e.type !== entries[0]?.type)).toEqual(others);
  return gone.length;
}

export function retentionContract(create: CreateLog): void {
  describe("retention", () => {
    it("by age takes the oldest first, in bounded steps, and leaves other types alone", async () => {
      const { log, advance } = await create({ retention: shortLived });
      const { short, long } = await interleaved(log, 25);
      if (advance !== undefined) expect(await log.trim(100)).toBe(0);
      advance?.(300);
      let gone = 0;
      await eventually(async () => {
        const step = await log.trim(10);
        expect(step).toBeLessThanOrEqual(10);
        gone += step;
        expect(await goneOf(log, short, long)).toBe(gone);
        expect(gone).toBe(25);
      });
      expect(await log.trim(10)).toBe(0);
      expect((await log.state(undefined)).head).toBe(50);
    });

    it("by count keeps the newest, in bounded steps, and leaves other types alone", async () => {
      const retention: Retention = {
        ...week,
        types: new Map([["short.lived", { maxAgeMs: 7 * day, maxCount: 5 }]]),
      };
      const { log } = await create({ retention });
      const { short, long } = await interleaved(log, 12);
      for (const [step, total] of [
        [4, 4],
        [3, 7],
        [0, 7],
      ]) {
        expect(await log.trim(4)).toBe(step);
        expect(await goneOf(log, short, long)).toBe(total);
      }
    });

    it("bounds a step for each type, not for all together", async () => {
      const { log } = await create({
        retention: { default: { maxAgeMs: 7 * day, maxCount: 1 }, types: new Map() },
      });
      const types = ["a.one", "a.two", "a.three"];
      await acceptAll(
        log,
        upTo(18).map((n) => newEvent({ type: types[n % 3] ?? "a.b" })),
      );
      expect(await log.trim(3)).toBe(9);
      expect(await log.trim(3)).toBe(6);
      expect(await log.trim(3)).toBe(0);
      expect(sequencesOf(await readAll(log))).toEqual([16, 17, 18]);
    });

    it("makes an event unreadable but not its id unknown", async () => {
      const { log, reopen } = await create({
        retention: { default: { maxAgeMs: 7 * day, maxCount: 1 }, types: new Map() },
      });
      const [event, newest] = [newEvent(), newEvent()];
      await acceptAll(log, [event, newest]);
      expect(await log.trim(10)).toBe(1);
      expect(await log.readEvent(event.id)).toBeUndefined();
      expect(await log.readEvent(newest.id)).toBeDefined();
      const other = { ...event, body: Buffer.from("other") };
      const known = { status: "duplicate", sequence: 1 };
      expect(await log.accept(event, undefined)).toMatchObject({ ...known, sameContent: true });
      expect(await log.accept(other, undefined)).toMatchObject({ ...known, sameContent: false });
      const again = await reopen();
      expect(await again.accept(event, undefined)).toMatchObject({ ...known, sameContent: true });
      expect(await again.accept(other, undefined)).toMatchObject({ ...known, sameContent: false });
    });

    it("keeps the ids of stored events, however short ids are kept otherwise", async () => {
      const { log, advance } = await create({ dedupeMs: 1, retention: week });
      const event = newEvent();
      await acceptAll(log, [event]);
      for (let passed = 0; passed < 6; passed++) {
        advance?.(day);
        await log.trim(10);
        await acceptAll(log, [newEvent()]);
        expect(await log.accept(event, undefined)).toMatchObject({ status: "duplicate", sequence: 1 });
      }
    });

    it("is held in the log: 7 days at first, then what an opening sets", async () => {
      const { log, reopen } = await create();
      expect((await log.state(undefined)).retention).toEqual(week);
      const other: Retention = {
        default: { maxAgeMs: day, maxCount: 500_000 },
        types: new Map([
          ["token.price_changed", { maxAgeMs: day / 2 }],
          ["token.price_updated", { maxAgeMs: day / 2, maxCount: 7 }],
        ]),
      };
      expect((await (await reopen({ retention: other })).state(undefined)).retention).toEqual(other);
      const again = await reopen();
      expect((await again.state(undefined)).retention).toEqual(other);
      await acceptAll(
        again,
        upTo(9).map(() => newEvent({ type: "token.price_updated" })),
      );
      expect(await again.trim(10)).toBe(2);
    });

    it("says what it removed also after opening again", async () => {
      const { log, reopen } = await create({
        retention: { default: { maxAgeMs: 7 * day, maxCount: 2 }, types: new Map() },
      });
      await acceptAll(
        log,
        upTo(5).map(() => newEvent({ type: "a.b" })),
      );
      await log.trim(10);
      const again = await reopen();
      expect((await again.state(undefined)).trimmedThrough).toEqual(new Map([["a.b", 3]]));
      expect(sequencesOf(await readAll(again))).toEqual([4, 5]);
    });
  });
}
