/** Accepts that come at once: they may share a script or a transaction, and each is answered as if it were alone. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type CreateLog,
  entryOf,
  eventually,
  newEvent,
  price,
  property,
  readAll,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";
import type { Accepted, EventLog, NewEvent } from "./event-log.ts";

function together(log: EventLog, events: readonly NewEvent[]): Promise<Accepted[]> {
  return Promise.all(events.map((event) => log.accept(event, undefined)));
}

/** What does not depend on when it was asked. */
function withoutTimes(answers: readonly Accepted[]): unknown[] {
  return answers.map((answer) => {
    if (answer.status === "refused") return answer;
    const { epoch: _, ...rest } = answer;
    return rest.status === "accepted" ? { ...rest, entry: { ...rest.entry, at: 0 } } : rest;
  });
}

/** Few ids, types and entities, so that duplicates, full tables and removals are common. */
const anyEvent = fc
  .record({
    id: fc.nat(30),
    kind: fc.constantFrom("token.price_changed", "property.updated", "property.deleted", "a.b", "a.c", "a.d"),
    entity: fc.constantFrom("1", "2", "3", "4", "é"),
    createdAt: fc.nat(5),
    body: fc.constantFrom("{}", '{"a":1}'),
  })
  .map(({ id, kind, entity, createdAt, body }): NewEvent => {
    const parts = { id: `evt_${id}`, body: Buffer.from(body) };
    const at = 1_700_000_000_000 + createdAt;
    if (kind === "token.price_changed") return price(`tok_${entity}`, at, parts);
    if (kind.startsWith("property.")) return property(kind, `prop_${entity}`, at, parts);
    return newEvent({ type: kind, createdAt: at * 1_000, ...parts });
  });

export function togetherContract(create: CreateLog): void {
  describe("accepts that come at once", () => {
    it("are answered, stored and kept as latest values as they would be one after the other", async () => {
      const settings = { latestMax: 3, maxTypes: 4 };
      await fc.assert(
        fc.asyncProperty(fc.array(anyEvent, { minLength: 20, maxLength: 40 }), async (events) => {
          const after: unknown[] = [];
          for (const atOnce of [true, false]) {
            const { log, dispose } = await create(settings);
            const answers: Accepted[] = atOnce ? await together(log, events) : [];
            if (!atOnce) for (const event of events) answers.push(await log.accept(event, undefined));
            const { entries } = await log.readLatest(undefined);
            after.push({
              answers: withoutTimes(answers),
              stored: (await readAll(log)).map((entry) => ({ ...entry, at: 0 })),
              latest: sequencesOf(entries).sort((a, b) => a - b),
            });
            await dispose();
          }
          expect(after[0]).toEqual(after[1]);
        }),
        { numRuns: 12 },
      );
    });

    it("are announced in the order of their sequences, which is the order they came in", async () => {
      const { log } = await create();
      const heard: number[] = [];
      await log.listen({ announced: (a) => heard.push(a.sequence), reconnected: () => undefined });
      const accepted = await together(
        log,
        upTo(150).map(() => newEvent()),
      );
      expect(sequencesOf(accepted.map(entryOf))).toEqual(upTo(150));
      await eventually(() => expect(heard).toEqual(upTo(150)));
    });

    it("know a duplicate among themselves, and one with other content", async () => {
      const { log } = await create();
      const event = newEvent();
      const answers = await together(log, [
        newEvent(),
        event,
        { ...event },
        { ...event, body: Buffer.from("{}") },
        newEvent(),
      ]);
      expect(answers.map((answer) => answer.status)).toEqual([
        "accepted",
        "accepted",
        "duplicate",
        "duplicate",
        "accepted",
      ]);
      expect(answers[2]).toMatchObject({ sequence: 2, sameContent: true });
      expect(answers[3]).toMatchObject({ sequence: 2, sameContent: false });
      expect(sequencesOf(await readAll(log))).toEqual([1, 2, 3]);
    });
  });
}
