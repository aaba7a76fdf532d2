/** What the Redis log does while Redis is away, hangs, or loses a connection. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { acceptAll, entryOf, newEvent, readAll, sequencesOf, upTo } from "./contract.test-harness.ts";
import type { Announcement } from "./event-log.ts";
import { epochAt, runningEpoch } from "./lineage.ts";
import {
  accepted,
  calls,
  endWithTest,
  lines,
  open,
  proxyTo,
  refusal,
  start,
} from "./redis-log.test-harness.ts";
import { freePort } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

endWithTest();

describe("a Redis that goes away", () => {
  it("rejects while it is away, and goes on in a new epoch when it is back with its data", async () => {
    const server = await start({ appendonly: true, args: ["--appendfsync", "always"] });
    const log = await open(server.url, { commandTimeoutMs: 1_500 });
    const entries = await acceptAll(log, [newEvent(), newEvent(), newEvent()]);
    const before = (await log.state(undefined)).history;
    await server.kill();
    for (const [name, call] of Object.entries(calls(log))) {
      const asked = performance.now();
      expect(await refusal(call()), name).toMatchObject({ code: "unavailable" });
      expect(performance.now() - asked, name).toBeLessThan(2_500);
    }
    await server.restart({ keepData: true });
    const answer = await accepted(log);
    const after = (await log.state(undefined)).history;
    expect(after).toEqual([...before, { epoch: expect.any(String), first: 4 }]);
    expect(answer).toMatchObject({ epoch: runningEpoch(after).epoch, entry: { sequence: 4 } });
    expect(await readAll(log)).toEqual([...entries, entryOf(answer)]);
  });

  it("loses nothing it accepted and gives out no place twice, however often it is killed", async () => {
    const server = await start({ appendonly: true, args: ["--appendfsync", "always"] });
    const logs = [await open(server.url), await open(server.url)];
    const places = new Map<string, string>();
    let posting = true;
    let posted = 0;
    const posters = upTo(16).map(async (poster) => {
      const log = logs[poster % 2];
      while (posting && log !== undefined) {
        const event = newEvent({ id: `evt_${poster}_${++posted}` });
        await until(async () => {
          const answer = await log.accept(event, undefined);
          if (answer.status === "accepted") places.set(`${answer.epoch}-${answer.entry.sequence}`, event.id);
          return true;
        });
      }
    });
    for (const round of upTo(4)) {
      await until(() => posted > 150 * round);
      await server.kill();
      await server.restart({ keepData: true });
    }
    posting = false;
    await Promise.all(posters);
    const [log] = logs;
    if (log === undefined) return;
    const stored = await readAll(log);
    expect(sequencesOf(stored)).toEqual(upTo(stored.length));
    const ids = stored.map((entry) => (entry.kind === "event" ? entry.id : ""));
    expect(new Set(ids).size).toBe(posted);
    expect(ids).toHaveLength(posted);
    const { history } = await log.state(undefined);
    expect(history.length).toBeGreaterThanOrEqual(5);
    for (const [place, id] of places) {
      const sequence = Number(place.split("-")[1]);
      expect(place).toBe(`${epochAt(history, sequence)}-${sequence}`);
      expect(ids[sequence - 1]).toBe(id);
    }
  });

  it("begins a new log, with the retention of this node, when it is back with nothing", async () => {
    const server = await start();
    const retention = { default: { maxAgeMs: 86_400_000 }, types: new Map() };
    const log = await open(server.url, { retention });
    await acceptAll(log, [newEvent(), newEvent()]);
    const { history } = await log.state(undefined);
    const known = { epoch: runningEpoch(history).epoch, sequence: 2 };
    await server.restart({ keepData: false });
    const state = await until(() => log.state(known));
    expect(state).toMatchObject({ head: 0, history: [{ first: 1 }], retention });
    expect(runningEpoch(state.history).epoch).not.toBe(known.epoch);
    expect(await accepted(log)).toMatchObject({ entry: { sequence: 1 } });
  });

  it("gives out no number in the old epoch after a restart, whoever asks first and whatever it knows", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent(), newEvent()]);
    const { history } = await log.state(undefined);
    await server.restart({ keepData: true });
    const answer = await accepted(log);
    expect(answer).toMatchObject({ entry: { sequence: 3 } });
    expect(history.map((record) => record.epoch)).not.toContain(answer.epoch);
  });

  it("gives out no number in the old epoch once its server was a replica meanwhile, though it ran on", async () => {
    const server = await start();
    const log = await open(server.url);
    await acceptAll(log, [newEvent(), newEvent()]);
    const { history } = await log.state(undefined);
    // another was master, and what that one wrote is lost
    await server.cli("REPLICAOF", "127.0.0.1", String(await freePort()));
    await server.cli("REPLICAOF", "NO", "ONE");
    const answer = await until(() => accepted(log));
    expect(answer).toMatchObject({ entry: { sequence: 3 } });
    expect(history.map((record) => record.epoch)).not.toContain(answer.epoch);
  });

  it("need not be there when the log is opened", async () => {
    const port = await freePort();
    const log = await open(`redis://127.0.0.1:${port}`, { commandTimeoutMs: 1_000 });
    const heard: Announcement[] = [];
    const listening = log.listen({ announced: (a) => heard.push(a), reconnected: () => undefined });
    expect(await refusal(log.state(undefined))).toEqual(
      expect.objectContaining({
        code: "unavailable",
        message: expect.stringMatching(/REDIS_URL.*ECONNREFUSED/),
      }),
    );
    // Once it was away for as long as a call may take, nobody is made to wait.
    const timer = sleep(1_000, "waited");
    expect(await Promise.race([refusal(log.state(undefined)), timer])).toMatchObject({ code: "unavailable" });
    await start({ port });
    await listening;
    const answer = await accepted(log);
    await until(() => heard.some((a) => a.sequence === entryOf(answer).sequence));
    expect(lines.filter((line) => line.includes(`:${port} `))).toEqual([
      expect.stringMatching(/ECONNREFUSED/),
      expect.stringMatching(/answers again/),
    ]);
  });

  it("is waited for across a short break", async () => {
    const server = await start({ appendonly: true, args: ["--appendfsync", "always"] });
    const log = await open(server.url);
    await acceptAll(log, [newEvent()]);
    await server.kill();
    await until(() => lines.some((line) => line.includes(`:${server.port} `)));
    const accepting = log.accept(newEvent(), undefined);
    await server.restart({ keepData: true });
    expect(entryOf(await accepting).sequence).toBe(2);
  });

  it("ends what waits for it when the log is closed", async () => {
    const log = await open(`redis://127.0.0.1:${await freePort()}`, { commandTimeoutMs: 20_000 });
    const waiting = [
      log.state(undefined),
      log.listen({ announced: () => undefined, reconnected: () => undefined }),
    ];
    const refused = Promise.all(waiting.map(refusal));
    await log.close();
    for (const one of await refused) expect(one.code).toBe("closed");
  });
});

describe("a Redis that hangs", () => {
  it("rejects in time, holds no connections, and is found again when it goes on", async () => {
    const server = await start();
    const log = await open(server.url, { commandTimeoutMs: 700 });
    await log.listen({ announced: () => undefined, reconnected: () => undefined });
    await accepted(log);
    server.pause();
    const asked = performance.now();
    const answers = await Promise.all(Object.values(calls(log)).map((call) => refusal(call())));
    expect(performance.now() - asked).toBeLessThan(2_000);
    for (const one of answers) expect(one.code).toBe("unavailable");
    for (const _ of upTo(3))
      expect((await refusal(log.accept(newEvent(), undefined))).code).toBe("unavailable");
    server.resume();
    expect(entryOf(await accepted(log)).sequence).toBeGreaterThan(1);
    await until(async () => {
      const clients = (await server.cli("CLIENT", "LIST")).split("\n");
      return clients.filter((line) => line.includes("name=sharmo-relay")).length === 2;
    });
  });

  it("or a way to it that is dead without an end: both connections are replaced", async () => {
    const server = await start();
    const proxy = await proxyTo(server);
    const log = await open(`redis://127.0.0.1:${proxy.port}`, { commandTimeoutMs: 400 });
    const heard: Announcement[] = [];
    let reconnected = 0;
    await log.listen({ announced: (a) => heard.push(a), reconnected: () => reconnected++ });
    await accepted(log);
    proxy.freeze();
    expect(await refusal(log.accept(newEvent(), undefined))).toMatchObject({ code: "unavailable" });
    await until(() => reconnected > 0);
    const answer = await accepted(log);
    await until(() => heard.some((a) => a.sequence === entryOf(answer).sequence));
  });
});

describe("a Redis that is busy with someone's script", () => {
  it("rejects in time and recovers", async () => {
    const server = await start({ args: ["--lua-time-limit", "50"] });
    const log = await open(server.url, { commandTimeoutMs: 600 });
    await accepted(log);
    const loop = server.cli("EVAL", "while true do end", "0").catch(() => undefined);
    await until(async () => (await refusal(log.state(undefined))).message.includes("busy with a script"));
    expect((await refusal(log.accept(newEvent(), undefined))).code).toBe("unavailable");
    await server.cli("SCRIPT", "KILL");
    await loop;
    expect(await accepted(log)).toMatchObject({ entry: { sequence: 2 } });
  });
});

describe("announcements", () => {
  it("come again after the subscriber's connection was lost alone", async () => {
    const server = await start();
    const log = await open(server.url);
    const heard: number[] = [];
    let reconnected = 0;
    await log.listen({ announced: (a) => heard.push(a.sequence), reconnected: () => reconnected++ });
    for (const round of upTo(3)) {
      await server.cli("CLIENT", "KILL", "TYPE", "pubsub");
      await until(() => reconnected === round);
      await log.accept(newEvent(), undefined);
      await until(() => heard.includes(round));
    }
    expect(reconnected).toBe(3);
    expect((await log.state(undefined)).history).toHaveLength(1);
  });

  it("need the right to the channel; without it accepts go on, and a person is told", async () => {
    const server = await start();
    await server.cli("ACL", "SETUSER", "mute", "on", ">pw", "~{sharmo}*", "+@all", "resetchannels");
    const log = await open(`redis://mute:pw@127.0.0.1:${server.port}`);
    const listening = log.listen({ announced: () => undefined, reconnected: () => undefined });
    expect(await accepted(log)).toMatchObject({ entry: { sequence: 1 } });
    await until(() => lines.some((line) => /no announcements: .*user in REDIS_URL/.test(line)));
    await server.cli("ACL", "SETUSER", "mute", "&{sharmo}*");
    await listening;
  });
});
