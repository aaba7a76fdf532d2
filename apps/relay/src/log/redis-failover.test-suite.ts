/** What a log does while another server takes its master's place; the same for Sentinel and Cluster. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Cursor, formatCursor, parseCursor } from "@sharmo-relay/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acceptAll, newEvent, readAll, sequencesOf, upTo } from "./contract.test-harness.ts";
import type { Announcement, EventLog } from "./event-log.ts";
import { epochAt, knowsEpoch, runningEpoch } from "./lineage.ts";
import { loseWrites, type RedisGroup } from "./redis-group.test-helper.ts";
import { accepted, lines, open, refusal } from "./redis-log.test-harness.ts";
import { until } from "./until.test-helper.ts";

/** From the moment the others name a new master until the log uses it. */
const followMs = 6_000;

/** The file that calls it ends what tests leave: `endWithTest`. */
export function failoverTests(start: () => Promise<RedisGroup>): void {
  let group: RedisGroup;
  beforeAll(async () => {
    group = await start();
  });
  afterAll(() => group.stop());

  // Sentinels that do not agree on who of them acts try again only after seconds.
  describe("a failover in the middle of the flow", { timeout: 60_000 }, () => {
    it("is over without a restart, loses nothing that the replica had, and gives no place twice", async () => {
      const old = await group.master();
      const logs = [
        await open(group.url, { commandTimeoutMs: 1_500 }),
        await open(group.url, { commandTimeoutMs: 1_500 }),
      ];
      const heard = logs.map((): Announcement[] => []);
      await Promise.all(
        logs.map((log, node) =>
          log.listen({ announced: (a) => heard[node]?.push(a), reconnected: () => undefined }),
        ),
      );
      const flow = post(logs);
      await until(() => flow.acknowledged.size > 200);
      const safe = [...flow.acknowledged];
      await group.caughtUp();
      await old.kill();
      const before = flow.acknowledged.size;
      await group.failedOver(old);
      const named = performance.now();
      await until(() => flow.acknowledged.size > before + 200);
      expect(performance.now() - named).toBeLessThan(followMs);
      await flow.stop();

      const [log] = logs;
      if (log === undefined) return;
      const stored = await readAll(log);
      const ids = stored.map((entry) => (entry.kind === "event" ? entry.id : ""));
      expect(sequencesOf(stored)).toEqual(upTo(stored.length));
      expect(new Set(ids).size).toBe(ids.length);
      for (const id of safe) expect(ids).toContain(id);
      const { history } = await log.state(undefined);
      for (const [place, id] of flow.places) {
        const position = parseCursor(place);
        if (position === undefined) throw new Error(place);
        const { epoch, sequence } = position;
        // What the replica did not have of the epoch that ended is given to others, in another epoch.
        if (epochAt(history, sequence) === epoch) expect(ids[sequence - 1]).toBe(id);
        else expect(knowsEpoch(history, epoch)).toBe(true);
      }

      // one announcement may be lost while a subscriber still finds its way; they flow again once one arrives
      const places = new Set<string>();
      for (const announcements of heard) {
        await until(
          async () => {
            const { epoch, entry } = await accepted(log);
            places.add(`${epoch} ${entry.sequence}`);
            return announcements.some((a) => places.has(`${a.epoch} ${a.sequence}`));
          },
          { timeoutMs: 30_000 },
        );
      }
      await old.restart({ keepData: true });
    });

    it("is followed though the old master hangs and holds its connections", async () => {
      const old = await group.master();
      // so long that only who the others name can be the reason
      const log = await open(group.url, { commandTimeoutMs: 15_000 });
      const heard: Announcement[] = [];
      let reconnected = 0;
      await log.listen({ announced: (a) => heard.push(a), reconnected: () => reconnected++ });
      await accepted(log);
      old.pause();
      const hanging = refusal(log.accept(newEvent(), undefined));
      await group.failedOver(old);
      const named = performance.now();
      expect(await hanging).toMatchObject({ code: "unavailable" });
      await accepted(log);
      await until(() => reconnected > 0);
      const answer = await accepted(log);
      await until(() => heard.some((a) => a.sequence === answer.entry.sequence));
      expect(performance.now() - named).toBeLessThan(followMs);
      expect(lines.join("\n")).toMatch(/has failed over \(the master is now 127\.0\.0\.1:\d+\)/);
      old.resume();
    });

    it("goes on in a new epoch where the replica's log ends", async () => {
      const log = await open(group.url, { commandTimeoutMs: 1_500 });
      await accepted(log);
      await acceptAll(log, [newEvent(), newEvent()]);
      await group.caughtUp();
      const { history, head } = await log.state(undefined);
      const { epoch } = runningEpoch(history);
      const { old, written } = await loseWrites(group, () =>
        acceptAll(log, [newEvent(), newEvent(), newEvent()]),
      );
      expect(sequencesOf(written)).toEqual([head + 1, head + 2, head + 3]);
      await group.failedOver(old);
      const state = await until(() => log.state({ epoch, sequence: head + 3 }));
      expect(state).toMatchObject({ head, history: [...history, { first: head + 1 }] });
      const again = await accepted(log);
      expect(again).toMatchObject({
        epoch: runningEpoch(state.history).epoch,
        entry: { sequence: head + 1 },
      });
      expect(again.epoch).not.toBe(epoch);
      await old.restart({ keepData: false });
    });
  });
}

interface Flow {
  /** Ids in the order they were answered. */
  readonly acknowledged: Set<string>;
  /** Of each that was new: its cursor and its id. */
  readonly places: Map<Cursor, string>;
  stop(): Promise<void>;
}

let flows = 0;

/** Posts as the sender does: again until it is answered. A place that is given twice ends it with an error. */
function post(logs: readonly EventLog[]): Flow {
  const acknowledged = new Set<string>();
  const places = new Map<Cursor, string>();
  const flow = ++flows;
  let posting = true;
  let made = 0;
  const posters = upTo(8).map(async (poster) => {
    const log = logs[poster % logs.length];
    while (posting && log !== undefined) {
      const event = newEvent({ id: `flow_${flow}_${++made}` });
      await until(
        async () => {
          const answer = await log.accept(event, undefined);
          if (answer.status === "accepted") {
            const place = formatCursor(answer.epoch, answer.entry.sequence);
            if (places.has(place)) return place;
            places.set(place, event.id);
          }
          return true;
        },
        { timeoutMs: 30_000 },
      ).then((done) => expect(done).toBe(true));
      acknowledged.add(event.id);
      await sleep(2);
    }
  });
  return {
    acknowledged,
    places,
    stop: async () => {
      posting = false;
      await Promise.all(posters);
    },
  };
}
