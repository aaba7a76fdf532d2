/** Epochs, opening again, several logs on one storage, closing. */

import { type Epoch, parseEpoch } from "@sharmo-relay/protocol";
import { describe, expect, it } from "vitest";
import {
  acceptAll,
  type CreateLog,
  entryOf,
  eventually,
  newEvent,
  readAll,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";
import type { Announcement, EventLog, Known } from "./event-log.ts";
import { runningEpoch } from "./lineage.ts";

async function runningOf(log: EventLog): Promise<Epoch> {
  return runningEpoch((await log.state(undefined)).history).epoch;
}

/** An epoch that no log has given itself. */
const strange = parseEpoch("strangestrange0000000000") as Epoch;

/** Every way to tell the log what the caller knows. */
const tellings: readonly (readonly [string, (log: EventLog, known: Known) => Promise<unknown>])[] = [
  ["accept", (log, known) => log.accept(newEvent(), known)],
  ["accept of a known id", (log, known) => log.accept(newEvent({ id: "evt_known" }), known)],
  ["state", (log, known) => log.state(known)],
  ["readRange", (log, known) => log.readRange(0, 10, known)],
  ["readLatest", (log, known) => log.readLatest(known)],
  ["unknownIds", (log, known) => log.unknownIds([], known)],
  ["recordBranches", (log, known) => log.recordBranches([], known)],
];

export function lifeContract(create: CreateLog): void {
  describe("a caller that knows more than the log", () => {
    for (const [name, tell] of tellings) {
      it(`makes a new epoch before a number is given out: ${name}`, async () => {
        const { log } = await create();
        await acceptAll(log, [newEvent({ id: "evt_known" }), newEvent(), newEvent()]);
        const { history } = await log.state(undefined);
        const old = runningEpoch(history);
        await tell(log, { epoch: old.epoch, sequence: 4 });
        const after = (await log.state(undefined)).history;
        expect(after).toEqual([...history, { epoch: expect.any(String), first: 4 }]);
        expect(runningEpoch(after).epoch).not.toBe(old.epoch);
        expect(parseEpoch(runningEpoch(after).epoch)).toBeDefined();
      });
    }

    it("gets its event numbered in the new epoch, right behind the head", async () => {
      const { log } = await create();
      await acceptAll(log, [newEvent(), newEvent()]);
      const old = await runningOf(log);
      const accepted = await log.accept(newEvent(), { epoch: old, sequence: 99 });
      const running = await runningOf(log);
      expect(running).not.toBe(old);
      expect(accepted).toMatchObject({ status: "accepted", epoch: running, entry: { sequence: 3 } });
    });

    it("gets epoch and head of the new epoch from the very call that made it", async () => {
      const { log } = await create();
      await acceptAll(log, [newEvent()]);
      const first = await runningOf(log);
      const state = await log.state({ epoch: first, sequence: 5 });
      expect(state.history).toHaveLength(2);
      const second = runningEpoch(state.history).epoch;
      const range = await log.readRange(0, 1, { epoch: second, sequence: 5 });
      expect([first, second]).not.toContain(range.epoch);
      expect(sequencesOf(range.entries)).toEqual([1]);
      const latest = await log.readLatest({ epoch: range.epoch, sequence: 5 });
      expect(latest.history).toHaveLength(4);
      expect(latest.head).toBe(1);
    });

    it("makes one new epoch, however many ask at once", async () => {
      const { log } = await create();
      await acceptAll(log, [newEvent()]);
      const known = { epoch: await runningOf(log), sequence: 2 };
      await Promise.all(upTo(20).map(() => log.state(known)));
      expect((await log.state(undefined)).history).toHaveLength(2);
    });

    it("makes none if it knows just the head, less, or an epoch that is not the running one", async () => {
      const { log } = await create();
      await acceptAll(log, [newEvent(), newEvent()]);
      const dead = await runningOf(log);
      await log.state({ epoch: dead, sequence: 3 });
      const { history } = await log.state(undefined);
      const running = runningEpoch(history).epoch;
      for (const known of [
        { epoch: running, sequence: 2 },
        { epoch: running, sequence: 0 },
        { epoch: dead, sequence: 99 },
        { epoch: strange, sequence: 99 },
      ]) {
        for (const [, tell] of tellings.slice(2)) await tell(log, known);
        expect((await log.state(undefined)).history).toEqual(history);
      }
      const accepted = await log.accept(newEvent(), { epoch: strange, sequence: 99 });
      expect(accepted).toMatchObject({ epoch: running, entry: { sequence: 3 } });
    });
  });

  describe("opened again", () => {
    it("goes on with everything it held", async () => {
      const { log, reopen } = await create();
      const price = newEvent({ type: "token.price_changed", entity: "tok_1" });
      const entries = await acceptAll(log, [newEvent(), price, newEvent()]);
      const before = await log.state(undefined);
      await log.quarantine.put({
        id: "q1",
        reason: "invalid_event",
        message: "no type",
        body: Buffer.from("{}"),
      });
      const again = await reopen();
      const after = await again.state(undefined);
      expect(after.head).toBe(3);
      expect(await readAll(again)).toEqual(entries);
      expect((await again.readLatest(undefined)).entries).toEqual([entries[1]]);
      expect(await again.accept(price, undefined)).toEqual({
        status: "duplicate",
        epoch: runningEpoch(after.history).epoch,
        sequence: 2,
        sameContent: true,
      });
      expect(await again.quarantine.get("q1")).toMatchObject({ count: 1 });
      // One process: a new epoch at each opening makes a restored copy safe. Several: they share the running one.
      if (again.alone)
        expect(after.history).toEqual([...before.history, { epoch: expect.any(String), first: 4 }]);
      else expect(after.history).toEqual(before.history);
      const accepted = await again.accept(newEvent(), undefined);
      expect(entryOf(accepted).sequence).toBe(4);
      expect(accepted).toMatchObject({ epoch: runningEpoch(after.history).epoch });
    });

    it("gives no epoch and no sequence twice", async () => {
      const one = await create();
      let log = one.log;
      const names = new Set<string>();
      for (let opening = 0; opening < 4; opening++) {
        for (let i = 0; i < 3; i++) {
          const accepted = await log.accept(newEvent(), undefined);
          names.add(accepted.status === "accepted" ? `${accepted.epoch}-${accepted.entry.sequence}` : "");
        }
        log = await one.reopen();
      }
      expect(names.size).toBe(12);
      expect(sequencesOf(await readAll(log))).toEqual(upTo(12));
    });
  });

  describe("closed", () => {
    it("rejects every call, and can be closed again", async () => {
      const { log } = await create();
      await acceptAll(log, [newEvent()]);
      await log.close();
      await log.close();
      const item = { id: "q", reason: "schema", message: "m", body: Buffer.from("{}") } as const;
      const calls = {
        accept: log.accept(newEvent(), undefined),
        state: log.state(undefined),
        readRange: log.readRange(0, 1, undefined),
        readLatest: log.readLatest(undefined),
        readEvent: log.readEvent("evt"),
        unknownIds: log.unknownIds(["evt"], undefined),
        appendLost: log.appendLost({ epoch: strange, from: 1, to: 2, reason: "log_lost" }, undefined),
        recordBranches: log.recordBranches([], undefined),
        listen: log.listen({ announced: () => undefined, reconnected: () => undefined }),
        trim: log.trim(1),
        put: log.quarantine.put(item),
        list: log.quarantine.list(1),
        get: log.quarantine.get("q"),
        remove: log.quarantine.remove("q"),
      };
      const settled = await Promise.allSettled(Object.values(calls));
      for (const [i, name] of Object.keys(calls).entries()) {
        expect(settled[i], name).toMatchObject({
          status: "rejected",
          reason: { name: "LogError", code: "closed" },
        });
      }
    });

    it("loses nothing that was under way when it closes", async () => {
      const { log, reopen } = await create();
      const events = upTo(40).map(() => newEvent());
      const under = Promise.allSettled(events.map((event) => log.accept(event, undefined)));
      await log.close();
      const settled = await under;
      const again = await reopen();
      for (const [i, one] of settled.entries()) {
        if (one.status === "rejected") expect(one.reason).toMatchObject({ name: "LogError" });
        else
          expect(await again.readEvent(events[i]?.id ?? "")).toMatchObject({
            sequence: entryOf(one.value).sequence,
          });
      }
    });
  });
}

/** Only for logs that several processes share. */
export function sharingContract(create: CreateLog): void {
  describe("two logs on one storage", () => {
    it("share one order, ids and announcements", async () => {
      const one = await create();
      const other = await one.second?.();
      if (other === undefined) throw new Error("a shared harness must open a second log");
      const heard: Announcement[] = [];
      await other.listen({ announced: (a) => heard.push(a), reconnected: () => undefined });
      const shared = newEvent();
      const answers = await Promise.all(
        upTo(60).flatMap((n) =>
          [one.log, other].map((log) => log.accept(n === 1 ? shared : newEvent(), undefined)),
        ),
      );
      expect(answers.filter((answer) => answer.status === "duplicate")).toHaveLength(1);
      expect(sequencesOf(await readAll(one.log))).toEqual(upTo(119));
      expect(await readAll(other)).toEqual(await readAll(one.log));
      await eventually(() => expect(sequencesOf(heard).sort((a, b) => a - b)).toEqual(upTo(119)));
      expect((await other.state(undefined)).history).toEqual((await one.log.state(undefined)).history);
    });
  });
}
