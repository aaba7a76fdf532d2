/** Accepts that share a script: how many go into one, and what one of them, or the whole, may suffer. */
import { parseEpoch } from "@sharmo-relay/protocol";
import { describe, expect, it } from "vitest";
import {
  acceptAll,
  entryOf,
  eventually,
  newEvent,
  readAll,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";
import type { Accepted, Announcement } from "./event-log.ts";
import { runningEpoch } from "./lineage.ts";
import { AcceptBatches } from "./redis-accept.ts";
import { endWithTest, open, proxyTo, refusal, start } from "./redis-log.test-harness.ts";
import type { RedisServer } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

endWithTest();

/** How many scripts Redis ran while something was done. */
async function scriptsDuring(server: RedisServer, work: () => Promise<unknown>): Promise<number> {
  await server.cli("CONFIG", "RESETSTAT");
  await work();
  const stats = await server.cli("INFO", "commandstats");
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

describe("accepts of one turn", () => {
  it("run in one script, in turns of 64 events and a mebibyte", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent()]);
    const atOnce = (count: number, bytes: number) => () =>
      Promise.all(upTo(count).map(() => log.accept(newEvent({ body: Buffer.alloc(bytes, "x") }), undefined)));
    expect(await scriptsDuring(server, atOnce(64, 10))).toBe(1);
    expect(await scriptsDuring(server, atOnce(130, 10))).toBe(3);
    expect(await scriptsDuring(server, atOnce(6, 300 * 1024))).toBe(2);
    // one that is larger than all of them may be goes alone
    expect(await scriptsDuring(server, atOnce(2, 1100 * 1024))).toBe(2);
    expect(sequencesOf(await readAll(log))).toEqual(upTo(203));
  });

  it("do not share it with one that believes in another epoch", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent()]);
    const { epoch } = runningEpoch((await log.state(undefined)).history);
    const other = { epoch: parseEpoch("anothername1") ?? epoch, sequence: 1 };
    const ask = () =>
      Promise.all([other, { epoch, sequence: 1 }, undefined].map((known) => log.accept(newEvent(), known)));
    expect(await scriptsDuring(server, ask)).toBe(2);
    expect(runningEpoch((await log.state(undefined)).history).epoch).toBe(epoch);
  });

  it("get no number of an epoch of which one of them knows more than the log", async () => {
    const log = await open((await start()).url);
    await acceptAll(log, [newEvent(), newEvent()]);
    const { epoch } = runningEpoch((await log.state(undefined)).history);
    const numbered = new Map<string, string>();
    for (const sequence of [2, 3, 4]) numbered.set(`${epoch}-${sequence}`, "known to a caller");
    const answers = await Promise.all(
      [2, undefined, 4, 3].map((sequence) =>
        log.accept(newEvent(), sequence === undefined ? undefined : { epoch, sequence }),
      ),
    );
    for (const answer of answers) {
      if (answer.status !== "accepted") throw new Error(`expected accepted, got ${answer.status}`);
      const place = `${answer.epoch}-${answer.entry.sequence}`;
      expect(numbered.get(place)).toBeUndefined();
      numbered.set(place, answer.entry.id);
    }
    const { history, head } = await log.state(undefined);
    expect(head).toBe(6);
    expect(runningEpoch(history).epoch).not.toBe(epoch);
  });

  it("are not hurt by one whose stream is no stream", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent()]);
    const heard: Announcement[] = [];
    await log.listen({ announced: (a) => heard.push(a), reconnected: () => undefined });
    await server.cli("SET", "{sharmo}:events:bad.type", "something else");
    const before = await server.cli("HGETALL", "{sharmo}:types");
    const good = upTo(4).map(() => newEvent());
    const bad = newEvent({ type: "bad.type" });
    const [a, b, refused, c, d] = [good[0], good[1], bad, good[2], good[3]].map((event) =>
      log.accept(event ?? bad, undefined),
    );
    expect(await refusal(refused ?? Promise.resolve())).toMatchObject({
      code: "unusable",
      message: expect.stringContaining("not this log's"),
    });
    const entries = (await Promise.all([a, b, c, d])).map((answer) => answer && entryOf(answer));
    expect(entries.map((entry) => entry?.sequence)).toEqual([2, 3, 4, 5]);
    await eventually(() => expect(heard.map((one) => one.entry)).toEqual(entries));
    expect(await server.cli("HGETALL", "{sharmo}:types")).toBe(before);
    await server.cli("DEL", "{sharmo}:events:bad.type");
    expect(await log.accept(bad, undefined)).toMatchObject({ status: "accepted", entry: { sequence: 6 } });
  });

  it("are not hurt by one whose place among the latest values is damaged", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent()]);
    await server.cli("SET", "{sharmo}:latest:order", "something else");
    const value = newEvent({ type: "token.price_changed", entity: "tok_1" });
    const [first, refused, second] = [newEvent(), value, newEvent()].map((event) =>
      log.accept(event, undefined),
    );
    expect((await refusal(refused ?? Promise.resolve())).code).toBe("unusable");
    expect((await Promise.all([first, second])).map((answer) => answer?.status)).toEqual([
      "accepted",
      "accepted",
    ]);
    expect(await log.readEvent(value.id)).toBeUndefined();
    expect(sequencesOf(await readAll(log))).toEqual([1, 2, 3]);
  });

  it("may each be tried again when Redis took them and its answer was lost", async () => {
    const server = await start();
    const proxy = await proxyTo(server);
    const log = await open(`redis://127.0.0.1:${proxy.port}`, { commandTimeoutMs: 400 });
    const [first] = await acceptAll(log, [newEvent()]);
    const events = upTo(20).map(() => newEvent());
    server.pause();
    const refused = await Promise.all(events.map((event) => refusal(log.accept(event, undefined))));
    for (const { code } of refused) expect(code).toBe("unavailable");
    server.resume();
    const again = (): Promise<Accepted[]> => Promise.all(events.map((event) => log.accept(event, undefined)));
    const answers = await until(() => again().catch(() => false as const));
    for (const answer of answers) expect(["accepted", "duplicate"]).toContain(answer.status);
    const stored = await readAll(log);
    expect(sequencesOf(stored)).toEqual(upTo(21));
    expect(stored[0]).toEqual(first);
    const ids = stored.map((entry) => (entry.kind === "event" ? entry.id : ""));
    expect(new Set(ids)).toEqual(new Set([first?.id, ...events.map((event) => event.id)]));
  });

  it("that have not been sent yet are, when the log is closed", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent()]);
    const waiting = upTo(3).map(() => log.accept(newEvent(), undefined));
    await log.close();
    expect((await Promise.all(waiting)).map((answer) => entryOf(answer).sequence)).toEqual([2, 3, 4]);
    expect((await refusal(log.accept(newEvent(), undefined))).code).toBe("closed");
  });
});

it("fail one by one, and leave nothing waiting, when the answer is none for each of them", async () => {
  const batches = new AcceptBatches({
    run: async () => ["someepoch123", 1, "accepted 1"],
    errorOf: (text) => new Error(text),
  });
  const packed = Buffer.alloc(8);
  const both = [1, 2].map(() => batches.accept(packed, undefined, ({ sequence }) => sequence));
  for (const one of await Promise.allSettled(both)) expect(one.status).toBe("rejected");
});
