/** Accept: one order, each id once, bytes untouched. */

import { parseEpoch } from "@sharmo-relay/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  acceptAll,
  type CreateLog,
  entryOf,
  newEvent,
  readAll,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";

const bodies: Readonly<Record<string, string>> = {
  "a number no double holds": '{"amount":12345678901234567890}',
  "a decimal with a trailing zero": '{"price": 10.50}',
  "white space and a trailing newline": '{ \t"a" :\r\n 1 }\n',
  "text that is not ASCII": '{"name":"Zoë 東京 🏠 \\u00e9"}',
  "lines that look like an entry's header": '1 1700000000000 0\n{"k":"lost"}\n{}',
};

export function acceptContract(create: CreateLog): void {
  describe("accept", () => {
    it("numbers events from 1 without a hole, in one order over all types, whoever comes at once", async () => {
      const { log } = await create();
      const types = [
        "token.created",
        "user.registered",
        "transaction.created",
        "property.sold",
        "platform.news",
      ];
      const events = upTo(120).map((n) => newEvent({ type: types[n % types.length] ?? "a.b" }));
      const accepted = (await Promise.all(events.map((event) => log.accept(event, undefined)))).map(entryOf);
      expect(sequencesOf(accepted).sort((a, b) => a - b)).toEqual(upTo(120));
      const stored = await readAll(log);
      expect(sequencesOf(stored)).toEqual(upTo(120));
      expect(stored).toEqual([...accepted].sort((a, b) => a.sequence - b.sequence));
    });

    it("takes one of 200 accepts of the same id and answers all others with its sequence", async () => {
      const { log } = await create();
      const event = newEvent();
      const answers = await Promise.all(upTo(200).map(() => log.accept({ ...event }, undefined)));
      expect(answers.filter((answer) => answer.status === "accepted")).toHaveLength(1);
      const duplicates = answers.filter((answer) => answer.status === "duplicate");
      expect(duplicates).toHaveLength(199);
      for (const duplicate of duplicates)
        expect(duplicate).toEqual({
          status: "duplicate",
          epoch: expect.any(String),
          sequence: 1,
          sameContent: true,
        });
      expect((await log.state(undefined)).head).toBe(1);
      expect(await readAll(log)).toHaveLength(1);
    });

    it("says when a known id comes with other content, and keeps the first", async () => {
      const { log } = await create();
      const first = newEvent({ id: "evt_reused", body: Buffer.from('{"a":1}') });
      await log.accept(first, undefined);
      const again = await log.accept({ ...first, body: Buffer.from('{"a":2}') }, undefined);
      expect(again).toMatchObject({ status: "duplicate", sequence: 1, sameContent: false });
      expect(await log.accept(first, undefined)).toEqual({
        status: "duplicate",
        epoch: expect.any(String),
        sequence: 1,
        sameContent: true,
      });
      expect((await log.readEvent("evt_reused"))?.body.toString()).toBe('{"a":1}');
    });

    it("tells ids apart that differ only in case, white space or length", async () => {
      const { log } = await create();
      const ids = ["evt_a", "evt_A", "evt_a ", "evt_", "x".repeat(128), "x".repeat(127)];
      const entries = await acceptAll(
        log,
        ids.map((id) => newEvent({ id })),
      );
      expect(sequencesOf(entries)).toEqual(upTo(ids.length));
    });

    it("answers with what it stored: the running epoch, the place, the time of receipt", async () => {
      const { log } = await create();
      const event = newEvent({
        type: "transaction.completed",
        createdAt: 1_732_444_800_123_456,
        filters: [
          { key: "transaction_id", value: "txn ü/1" },
          { key: "address", value: "0xabc" },
          { key: "address", value: "0xdef" },
        ],
      });
      const { history } = await log.state(undefined);
      const before = Date.now();
      const accepted = await log.accept(event, undefined);
      const entry = entryOf(accepted);
      expect(accepted).toMatchObject({ epoch: history.at(-1)?.epoch });
      expect(entry).toEqual({ ...event, kind: "event", sequence: 1, at: entry.at, late: false });
      expect(Math.abs(entry.at - before)).toBeLessThan(10_000);
      expect(await log.readEvent(event.id)).toEqual(entry);
    });

    it("keeps filters and entity", async () => {
      const { log } = await create();
      const withEntity = newEvent({
        type: "token.created",
        entity: "tok_42",
        filters: [{ key: "token_id", value: "tok_42" }],
      });
      const without = newEvent({ type: "platform.feature_launched" });
      await acceptAll(log, [withEntity, without]);
      const [first, second] = await readAll(log);
      expect(first).toMatchObject({ entity: "tok_42", filters: withEntity.filters });
      expect(second).not.toHaveProperty("entity");
      expect(second).toMatchObject({ filters: [] });
    });

    for (const [what, text] of Object.entries(bodies)) {
      it(`stores byte for byte: ${what}`, async () => {
        const { log, reopen } = await create();
        const event = newEvent({ type: "token.price_changed", entity: "tok_1", body: Buffer.from(text) });
        expect(entryOf(await log.accept(event, undefined)).body.toString()).toBe(text);
        const again = await reopen();
        const [ranged] = await readAll(again);
        const [latest] = (await again.readLatest(undefined)).entries;
        for (const found of [ranged, latest, await again.readEvent(event.id)])
          expect(found?.body.toString()).toBe(text);
      });
    }

    it("stores any text byte for byte", async () => {
      const { log } = await create();
      const text = fc.string({ unit: "grapheme", maxLength: 300 }).filter((s) => !s.includes("\0"));
      await fc.assert(
        fc.asyncProperty(text, async (content) => {
          const event = newEvent({ body: Buffer.from(content) });
          await log.accept(event, undefined);
          expect((await log.readEvent(event.id))?.body.equals(event.body)).toBe(true);
        }),
        { numRuns: 60 },
      );
    });

    it("refuses one type too many and nothing else", async () => {
      const { log, reopen } = await create({ maxTypes: 2 });
      await acceptAll(log, [newEvent({ id: "evt_first", type: "a.one" }), newEvent({ type: "a.two" })]);
      const third = newEvent({ type: "a.three" });
      expect(await log.accept(third, undefined)).toEqual({ status: "refused", reason: "too_many_types" });
      expect(await log.readEvent(third.id)).toBeUndefined();
      expect(await log.accept(newEvent({ id: "evt_first", type: "a.three" }), undefined)).toMatchObject({
        status: "duplicate",
      });
      expect(entryOf(await log.accept(newEvent({ type: "a.one" }), undefined)).sequence).toBe(3);
      const wider = await reopen({ maxTypes: 3 });
      expect(entryOf(await wider.accept(third, undefined)).sequence).toBe(4);
    });

    it("begins with one epoch and nothing in it", async () => {
      const { log } = await create();
      const state = await log.state(undefined);
      expect(state).toMatchObject({ head: 0, warnings: [], trimmedThrough: new Map() });
      expect(state.history).toHaveLength(1);
      expect(state.history[0]?.first).toBe(1);
      expect(parseEpoch(state.history[0]?.epoch ?? "")).toBeDefined();
      expect(state.epochAgeMs).toBeGreaterThanOrEqual(0);
      expect(state.epochAgeMs).toBeLessThan(60_000);
    });
  });
}
