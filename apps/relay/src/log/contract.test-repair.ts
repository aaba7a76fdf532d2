/** What nodes put into the log after a failover: entries with their earlier places, lost ranges, dead branches. */

import { formatCursor, parseEpoch } from "@sharmo-relay/protocol";
import { describe, expect, it } from "vitest";
import {
  acceptAll,
  type CreateLog,
  entryOf,
  eventually,
  newEvent,
  readAll,
  sequencesOf,
} from "./contract.test-harness.ts";
import type { Announcement, DeadBranch, Lost } from "./event-log.ts";
import { runningEpoch } from "./lineage.ts";

const dead = parseEpoch("deadbranch0000000000") ?? fail();
const other = parseEpoch("deadbranch1111111111") ?? fail();
const lost: Lost = { epoch: dead, from: 3, to: 7, reason: "log_lost" };

function fail(): never {
  throw new Error("not an epoch");
}

export function repairContract(create: CreateLog): void {
  describe("after a failover", () => {
    it("says which ids it does not know", async () => {
      const { log } = await create();
      await acceptAll(log, [newEvent({ id: "evt_here" })]);
      expect(await log.unknownIds(["evt_gone", "evt_here", "evt_gone_too"], undefined)).toEqual(
        new Set(["evt_gone", "evt_gone_too"]),
      );
      expect(await log.unknownIds([], undefined)).toEqual(new Set());
    });

    it("keeps the earlier places of an event that is put back", async () => {
      const { log, reopen } = await create();
      const was = [formatCursor(dead, 12), formatCursor(other, 9)];
      const heard: Announcement[] = [];
      await log.listen({ announced: (a) => heard.push(a), reconnected: () => undefined });
      const entry = entryOf(await log.accept(newEvent({ was }), undefined));
      expect(entry.was).toEqual(was);
      await eventually(() => expect(heard.map((a) => a.entry)).toEqual([entry]));
      expect(await readAll(log)).toEqual([entry]);
      expect(await readAll(await reopen())).toEqual([entry]);
    });

    it("takes a lost range as an entry in the order of all, once however often it is told", async () => {
      const { log } = await create();
      const heard: Announcement[] = [];
      await log.listen({ announced: (a) => heard.push(a), reconnected: () => undefined });
      await acceptAll(log, [newEvent()]);
      const appended = await log.appendLost(lost, undefined);
      if (appended.status !== "accepted") throw new Error(appended.status);
      expect(appended.entry).toMatchObject({ kind: "lost", sequence: 2, lost });
      expect(await log.appendLost(lost, undefined)).toEqual({ status: "duplicate" });
      expect(await log.appendLost({ ...lost, to: 8 }, undefined)).toMatchObject({ status: "accepted" });
      await acceptAll(log, [newEvent()]);
      const entries = await readAll(log);
      expect(sequencesOf(entries)).toEqual([1, 2, 3, 4]);
      expect(entries[1]).toEqual(appended.entry);
      await eventually(() => expect(heard.map((a) => a.entry)).toEqual(entries));
    });

    it("takes it also when it holds as many types as it may", async () => {
      const { log } = await create({ maxTypes: 1 });
      await acceptAll(log, [newEvent()]);
      expect(await log.appendLost(lost, undefined)).toMatchObject({ status: "accepted" });
      expect(await log.accept(newEvent({ type: "token.created" }), undefined)).toMatchObject({
        status: "refused",
      });
    });

    it("keeps dead branches that it does not know, each as it was first told", async () => {
      const { log, reopen } = await create();
      await acceptAll(log, [newEvent()]);
      const { history, branches } = await log.state(undefined);
      expect(branches).toEqual([]);
      const running = runningEpoch(history).epoch;
      const first: DeadBranch = { epoch: dead, parent: running, last: 1 };
      const second: DeadBranch = { epoch: other, parent: dead, last: 5 };
      await log.recordBranches([first], undefined);
      await log.recordBranches(
        [{ ...first, last: 0 }, second, { epoch: running, parent: dead, last: 0 }],
        undefined,
      );
      expect((await log.state(undefined)).branches).toEqual([first, second]);
      expect((await (await reopen()).state(undefined)).branches).toEqual([first, second]);
    });
  });
}
