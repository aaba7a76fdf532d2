/** The embedded log, used from another process than the one that holds it. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  contractSettings,
  disposing,
  entryOf,
  eventually,
  newEvent,
  readAll,
  sequencesOf,
  upTo,
} from "./contract.test-harness.ts";
import { eventLogContract } from "./contract.test-suite.ts";
import { type EmbeddedLog, openEmbeddedLog } from "./embedded-log.ts";
import type { Announcement } from "./event-log.ts";
import { HostProcess, sharedHarness } from "./shared-log.test-harness.ts";
import { SharedLog } from "./shared-log.ts";
import { SharedLogHost } from "./shared-log-host.ts";

let host: HostProcess;
beforeAll(() => {
  host = new HostProcess();
});
afterAll(async () => {
  host.child.kill("SIGKILL");
  if (host.child.exitCode === null && host.child.signalCode === null) await once(host.child, "exit");
});

const harness = sharedHarness(() => host);

eventLogContract("shared", harness);

describe("a log in another process", () => {
  const create = disposing(harness);

  it("announces in the order of sequences to all, to who had it accepted before the answer", async () => {
    const { log, second } = await create();
    const other = (await second?.()) ?? log;
    const heard: Announcement[] = [];
    const heardByOther: Announcement[] = [];
    await log.listen({ announced: (a) => heard.push(a), reconnected: () => undefined });
    await other.listen({ announced: (a) => heardByOther.push(a), reconnected: () => undefined });
    await Promise.all(
      upTo(300).map(async (n) => {
        const entry = entryOf(await (n % 3 === 0 ? other : log).accept(newEvent(), undefined));
        const own = n % 3 === 0 ? heardByOther : heard;
        expect(own.find(({ sequence }) => sequence === entry.sequence)?.entry).toEqual(entry);
      }),
    );
    await eventually(() => expect([heard.length, heardByOther.length]).toEqual([300, 300]));
    expect(sequencesOf(heard)).toEqual(upTo(300));
    expect(heardByOther).toEqual(heard);
    expect(await readAll(other)).toEqual(heard.map(({ entry }) => entry));
  });

  it("tells how much room it takes with its state, until it is closed", async () => {
    const { log } = await create();
    await log.accept(newEvent({ body: Buffer.alloc(50_000) }), undefined);
    await log.state(undefined);
    expect(log.size?.()?.usedBytes).toBeGreaterThan(50_000);
    expect(log.size?.()?.fileBytes).toBeGreaterThan(log.size?.()?.usedBytes ?? 0);
    await log.close();
    expect(log.size?.()).toBeUndefined();
  });

  it("is left without an answer when that process hangs, soon and by all methods, and goes on with it", async () => {
    const dir = await mkdtemp(join(tmpdir(), "sharmo-log-"));
    const store = host.name();
    await host.order({ kind: "open", store, dir, settings: contractSettings });
    const log = await host.use(store, 300);
    const event = newEvent();
    host.child.kill("SIGSTOP");
    const begun = performance.now();
    const asked = await Promise.allSettled([
      log.accept(event, undefined),
      log.state(undefined),
      log.readRange(0, 1, undefined),
      log.readLatest(undefined),
      log.readEvent(event.id),
      log.trim(1),
      log.quarantine.list(1),
    ]);
    expect(performance.now() - begun).toBeLessThan(1_500);
    for (const one of asked)
      expect(one).toMatchObject({ status: "rejected", reason: { name: "LogError", code: "unavailable" } });
    // what waits is bounded: beyond it nobody waits for a timeout
    const many = upTo(1_200).map(() => log.state(undefined));
    const soon = performance.now();
    await expect(many.at(-1)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("1024 calls"),
    });
    expect(performance.now() - soon).toBeLessThan(250);
    await Promise.allSettled(many);
    host.child.kill("SIGCONT");
    await eventually(async () => expect((await log.state(undefined)).head).toBe(1));
    expect(await log.accept(event, undefined)).toMatchObject({ status: "duplicate", sequence: 1 });
    await log.close();
    await host.order({ kind: "close", store });
    await rm(dir, { recursive: true, force: true });
  });
});

describe("the host of a log", () => {
  let dir: string;
  let log: EmbeddedLog;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "sharmo-log-"));
    log = await openEmbeddedLog({ dir, settings: contractSettings });
  });
  afterAll(async () => {
    await log.close();
    await rm(dir, { recursive: true, force: true });
  });
  const hosts: SharedLogHost[] = [];
  afterEach(async () => {
    for (const one of hosts.splice(0)) await one.close();
  });

  /** A user whose messages go through `pass`, in this process. */
  function use(pass: (deliver: () => void, written: () => void) => void): SharedLog {
    const one = new SharedLogHost(log, (said, written) => pass(() => user.hear(said), written));
    hosts.push(one);
    const user = new SharedLog({ commandTimeoutMs: 5_000, send: (calls) => one.hear(calls) });
    return user;
  }

  it("says what comes in one turn in one message", async () => {
    let messages = 0;
    const user = use((deliver, written) => {
      messages++;
      deliver();
      written();
    });
    await Promise.all(upTo(64).map(() => user.accept(newEvent(), undefined)));
    expect(messages).toBeLessThanOrEqual(3);
  });

  it("leaves out announcements for who takes nothing, and says so once it does", async () => {
    const held: (() => void)[] = [];
    let holds = true;
    const user = use((deliver, written) => {
      const pass = (): void => {
        deliver();
        written();
      };
      if (holds) held.push(pass);
      else pass();
    });
    const heard: Announcement[] = [];
    let missed = 0;
    await user.listen({ announced: (a) => heard.push(a), reconnected: () => missed++ });
    const { head } = await log.state(undefined);
    const events = 1_500;
    for (let n = 0; n < events; n += 250) {
      await Promise.all(
        upTo(250).map(() => log.accept(newEvent({ body: Buffer.alloc(15_000, "x") }), undefined)),
      );
    }
    holds = false;
    for (const pass of held.splice(0)) pass();
    await eventually(() => expect(missed).toBe(1));
    // 16 MiB of them, and no more
    expect(heard.length).toBeGreaterThan(1_000);
    expect(heard.length).toBeLessThan(1_130);
    expect(sequencesOf(heard)).toEqual(upTo(heard.length).map((n) => head + n));
    const next = entryOf(await log.accept(newEvent(), undefined));
    await eventually(() => expect(heard.at(-1)?.entry).toEqual(next));
    expect(missed).toBe(1);
  });

  it("does what was asked also for one that is gone", async () => {
    const user = use((deliver) => deliver());
    const event = newEvent();
    const accepting = user.accept(event, undefined).catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    await hosts[0]?.close();
    await eventually(async () => expect(await log.readEvent(event.id)).toMatchObject({ id: event.id }));
    void accepting;
  });
});
