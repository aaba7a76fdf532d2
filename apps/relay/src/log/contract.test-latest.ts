/** Latest values: the same rule as `latest.ts`, kept by the log. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  acceptAll,
  type CreateLog,
  entryOf,
  newEvent,
  price,
  property,
  sequencesOf,
} from "./contract.test-harness.ts";
import { createdAtLeadMs, type EventEntry, type EventLog, type NewEvent } from "./event-log.ts";
import { LatestTable } from "./latest.ts";

async function latestOf(log: EventLog): Promise<EventEntry[]> {
  return [...(await log.readLatest(undefined)).entries].sort((a, b) => a.sequence - b.sequence);
}

const now = Date.now();

export function latestContract(create: CreateLog): void {
  describe("latest values", () => {
    it("hold the newest event of each type and entity, with head and epochs", async () => {
      const { log } = await create();
      const entries = await acceptAll(log, [
        price("tok_1", now),
        price("tok_2", now),
        newEvent({ type: "token.created", entity: "tok_1" }),
        newEvent({ type: "transaction.created", entity: "txn_1" }),
        newEvent({ type: "token.created" }),
        price("tok_1", now + 1),
      ]);
      expect(await latestOf(log)).toEqual([entries[1], entries[2], entries[5]]);
      const { history, head } = await log.readLatest(undefined);
      expect(head).toBe(6);
      expect(history).toEqual((await log.state(undefined)).history);
    });

    it("are not overwritten by an older event, which is marked late", async () => {
      const { log } = await create();
      const [newer, older] = await acceptAll(log, [price("tok_1", now), price("tok_1", now - 7_200_000)]);
      expect([newer?.late, older?.late]).toEqual([false, true]);
      expect(await latestOf(log)).toEqual([newer]);
      expect((await log.readRange(0, 2, undefined)).entries).toEqual([newer, older]);
    });

    it("compare microseconds", async () => {
      const { log } = await create();
      const at = now * 1000;
      const [newer, older] = await acceptAll(log, [
        price("tok_1", now, { createdAt: at + 2 }),
        price("tok_1", now, { createdAt: at + 1 }),
      ]);
      expect(older?.late).toBe(true);
      expect(await latestOf(log)).toEqual([newer]);
    });

    it("go to the higher sequence when times are equal", async () => {
      const { log } = await create();
      const [, second] = await acceptAll(log, [price("tok_1", now), price("tok_1", now)]);
      expect(second?.late).toBe(false);
      expect(await latestOf(log)).toEqual([second]);
    });

    it("count a time in the future as five minutes after receipt at most", async () => {
      const { log, advance } = await create();
      const ahead = now + 365 * 86_400_000;
      const [first, second] = await acceptAll(log, [price("tok_1", ahead), price("tok_1", ahead - 1_000)]);
      expect([first?.late, second?.late]).toEqual([false, false]);
      const present = entryOf(await log.accept(price("tok_1", Date.now()), undefined));
      expect(present.late).toBe(true);
      expect(await latestOf(log)).toEqual([second]);
      if (advance === undefined) return;
      advance(createdAtLeadMs + 60_000);
      const later = entryOf(
        await log.accept(price("tok_1", Date.now() + createdAtLeadMs + 60_000), undefined),
      );
      expect(later.late).toBe(false);
      expect(await latestOf(log)).toEqual([later]);
    });

    it("lose what is older of a property that was deleted, and a late update does not bring it back", async () => {
      const { log } = await create();
      const [, , other, , deleted, late, younger] = await acceptAll(log, [
        property("property.created", "prop_1", now - 50),
        property("property.updated", "prop_1", now - 40),
        property("property.updated", "prop_2", now - 40),
        property("property.sold", "prop_1", now - 10),
        property("property.deleted", "prop_1", now - 10),
        property("property.updated", "prop_1", now - 20),
        property("property.status_changed", "prop_1", now + 5),
      ]);
      expect(late?.late).toBe(true);
      expect(younger?.late).toBe(false);
      expect(await latestOf(log)).toEqual([other, deleted, younger]);
    });

    it("keep what is newer than a deletion that comes late", async () => {
      const { log } = await create();
      const [updated, , deleted] = await acceptAll(log, [
        property("property.updated", "prop_1", now),
        property("property.created", "prop_1", now - 100),
        property("property.deleted", "prop_1", now - 50),
      ]);
      expect(await latestOf(log)).toEqual([updated, deleted]);
    });

    it("are bounded: the lowest sequence goes first", async () => {
      const { log } = await create({ latestMax: 3 });
      const [, second, , fourth, fifth] = await acceptAll(log, [
        price("tok_1", now),
        price("tok_2", now),
        price("tok_3", now),
        price("tok_4", now),
        price("tok_3", now + 1),
      ]);
      expect(await latestOf(log)).toEqual([second, fourth, fifth]);
      expect(sequencesOf(await latestOf(log))).toEqual([2, 4, 5]);
    });

    it("outlive the entry in the stream", async () => {
      const { log } = await create({
        retention: { default: { maxAgeMs: 86_400_000, maxCount: 1 }, types: new Map() },
      });
      const [first] = await acceptAll(log, [price("tok_1", now), price("tok_2", now)]);
      expect(await log.trim(10)).toBe(1);
      expect((await latestOf(log))[0]).toEqual(first);
    });

    it("follow the same rule as the table every node keeps, over any events", async () => {
      const types = [
        "property.updated",
        "property.sold",
        "property.deleted",
        "token.price_changed",
        "token.created",
        "user.registered",
      ];
      const anyEvent = fc.record({
        type: fc.constantFrom(...types),
        entity: fc.constantFrom("e1", "e2", "e3", undefined),
        createdAt: fc.oneof(
          fc.integer({ min: -5, max: 5 }),
          fc.constantFrom(400_000_000, 500_000_000, -400_000_000),
        ),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyEvent, { minLength: 1, maxLength: 25 }),
          fc.integer({ min: 1, max: 6 }),
          async (events, latestMax) => {
            const one = await create({ latestMax });
            const table = new LatestTable(latestMax);
            for (const { type, entity, createdAt } of events) {
              const event: NewEvent = newEvent({
                type,
                createdAt: now * 1000 + createdAt,
                ...(entity === undefined ? {} : { entity }),
              });
              const entry = entryOf(await one.log.accept(event, undefined));
              expect(entry.late).toBe(table.isLate(entry));
              table.apply(entry);
            }
            expect(await latestOf(one.log)).toEqual(table.entries());
            await one.dispose();
          },
        ),
        { numRuns: 25 },
      );
    });
  });
}
