/** Announcements: what the log tells every node that listens. */
import { describe, expect, it } from "vitest";
import {
  acceptAll,
  type CreateLog,
  eventually,
  newEvent,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";
import type { Announcement, EventLog } from "./event-log.ts";
import { runningEpoch } from "./lineage.ts";

interface Heard {
  readonly announcements: Announcement[];
  stop(): Promise<void>;
  /** Everything heard so far, by sequence, once `count` are there. */
  once(count: number): Promise<Announcement[]>;
}

async function listenTo(log: EventLog): Promise<Heard> {
  const announcements: Announcement[] = [];
  const stop = await log.listen({ announced: (a) => announcements.push(a), reconnected: () => undefined });
  const once = (count: number) =>
    eventually(() => {
      expect(announcements.length).toBeGreaterThanOrEqual(count);
      return [...announcements].sort((a, b) => a.sequence - b.sequence);
    });
  return { announcements, stop, once };
}

export function announcementContract(create: CreateLog): void {
  describe("announcements", () => {
    it("carry the epoch, the sequence and the whole entry", async () => {
      const { log } = await create();
      const heard = await listenTo(log);
      const { history } = await log.state(undefined);
      const event = newEvent({
        type: "token.created",
        entity: "tok_1",
        filters: [{ key: "token_id", value: "tok_1" }],
        body: Buffer.from('{ "é": 1.0 }\n'),
      });
      const [entry] = await acceptAll(log, [event]);
      expect(await heard.once(1)).toEqual([{ epoch: runningEpoch(history).epoch, sequence: 1, entry }]);
    });

    it("carry only the sequence of an entry above 16 KiB", async () => {
      const { log } = await create();
      const heard = await listenTo(log);
      await acceptAll(log, [
        newEvent({ body: Buffer.alloc(15 * 1024, "a") }),
        newEvent({ body: Buffer.alloc(17 * 1024, "b") }),
      ]);
      const [small, large] = await heard.once(2);
      expect(small?.entry?.body).toHaveLength(15 * 1024);
      expect(large).not.toHaveProperty("entry");
      expect(large?.sequence).toBe(2);
      expect((await log.readRange(1, 2, undefined)).entries[0]?.body).toHaveLength(17 * 1024);
    });

    it("come once for each accepted event, also of many at once", async () => {
      const { log } = await create();
      const heard = await listenTo(log);
      await Promise.all(upTo(150).map(() => log.accept(newEvent(), undefined)));
      expect(sequencesOf(await heard.once(150))).toEqual(upTo(150));
    });

    it("do not come for a duplicate or for what was refused", async () => {
      const { log } = await create({ maxTypes: 1 });
      const heard = await listenTo(log);
      const event = newEvent();
      await acceptAll(log, [event]);
      await log.accept(event, undefined);
      await log.accept({ ...event, body: Buffer.from("{}") }, undefined);
      await log.accept(newEvent({ type: "another.type" }), undefined);
      await acceptAll(log, [newEvent()]);
      expect(sequencesOf(await heard.once(2))).toEqual([1, 2]);
    });

    it("reach every listener until it stops", async () => {
      const { log } = await create();
      const one = await listenTo(log);
      const two = await listenTo(log);
      await acceptAll(log, [newEvent()]);
      await Promise.all([one.once(1), two.once(1)]);
      await one.stop();
      await one.stop();
      await acceptAll(log, [newEvent()]);
      expect(sequencesOf(await two.once(2))).toEqual([1, 2]);
      expect(sequencesOf(one.announcements)).toEqual([1]);
    });
  });
}
