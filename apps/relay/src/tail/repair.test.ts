import { type Cursor, type Epoch, formatCursor } from "@sharmo-relay/protocol";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { lostId } from "../log/entry.ts";
import {
  type Announcement,
  type DeadBranch,
  type EventEntry,
  type Known,
  LogError,
  type Lost,
  type NewEvent,
} from "../log/event-log.ts";
import { Repair } from "./repair.ts";
import type { Fork } from "./tail.ts";

const dead = "deadbranch0000" as Epoch;
const running = "running0000000" as Epoch;
const timing = { spread: 500, othersHave: 4_000, quiet: 2_000, retry: 1_000 };

function entry(sequence: number, was: readonly Cursor[] = []): EventEntry {
  const id = `evt_${sequence}`;
  return {
    kind: "event",
    sequence,
    id,
    type: "token.created",
    createdAt: 0,
    filters: [],
    body: Buffer.from(id),
    at: 0,
    late: false,
    ...(was.length === 0 ? {} : { was }),
  };
}

function fork(at: number, through: number, lost?: Lost): Fork {
  const before = { history: [{ epoch: dead, first: 1 }], through };
  return { at, before, dead: [{ epoch: dead, parent: running, last: at }], ...(lost && { lost }) };
}

/** The log after the failover, and what was asked of it. */
class AskedLog {
  readonly has = new Set<string>();
  readonly asked: string[][] = [];
  readonly accepted: NewEvent[] = [];
  readonly lost: Lost[] = [];
  readonly recorded: (readonly DeadBranch[])[] = [];
  readonly named = new Set<string>();
  down = false;
  takesEvents = true;
  #head = 0;

  #answer(): void {
    if (this.down) throw new LogError("unavailable", "the server is gone");
  }
  async unknownIds(ids: readonly string[]): Promise<ReadonlySet<string>> {
    this.#answer();
    this.asked.push([...ids]);
    return new Set(ids.filter((id) => !this.has.has(id)));
  }
  async accept(event: NewEvent) {
    this.#answer();
    if (!this.takesEvents) throw new LogError("not_writable", "the store is full");
    this.accepted.push(event);
    this.has.add(event.id);
    const stored: EventEntry = { ...event, kind: "event", sequence: ++this.#head, at: 0, late: false };
    return { status: "accepted" as const, epoch: running, entry: stored };
  }
  async appendLost(lost: Lost) {
    this.#answer();
    if (this.named.has(lostId(lost))) return { status: "duplicate" as const };
    this.named.add(lostId(lost));
    this.lost.push(lost);
    const sequence = ++this.#head;
    const stored = { kind: "lost" as const, sequence, at: 0, lost, body: Buffer.alloc(0) };
    return { status: "accepted" as const, epoch: running, entry: stored };
  }
  async recordBranches(branches: readonly DeadBranch[]): Promise<void> {
    this.#answer();
    this.recorded.push(branches);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const log = new AskedLog();
  const heard: Announcement[] = [];
  const known: Known = { epoch: running, sequence: 0 };
  const node = { readsOn: true };
  const repair = new Repair({
    log,
    known: () => known,
    hear: (announcement) => heard.push(announcement),
    caughtUp: async () => node.readsOn,
    listener: { putBack: () => undefined, lost: () => undefined, failed: () => undefined },
    timing,
  });
  return { log, heard, node, repair };
}

describe("a repair", () => {
  it("asks which ids the log has, and offers only the others, in their old order and with their old places", async () => {
    const { log, heard, repair } = setUp();
    log.has.add("evt_2");
    repair.forked(fork(0, 3));
    for (const n of [1, 2, 3]) repair.orphaned(entry(n), formatCursor(dead, n));
    expect(log.asked, "not in the moment of the fork").toEqual([]);
    await vi.advanceTimersByTimeAsync(timing.spread);
    expect(log.asked).toEqual([["evt_1", "evt_2", "evt_3"]]);
    expect(log.accepted.map(({ id, was }) => [id, was])).toEqual([
      ["evt_1", [formatCursor(dead, 1)]],
      ["evt_3", [formatCursor(dead, 3)]],
    ]);
    expect(heard.map(({ entry }) => entry?.kind === "event" && entry.id)).toEqual(["evt_1", "evt_3"]);
  });

  it("keeps what it offers until the log has it, however often it fails", async () => {
    const { log, repair } = setUp();
    log.down = true;
    repair.forked(fork(0, 1));
    repair.orphaned(entry(1), formatCursor(dead, 1));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(log.accepted).toEqual([]);
    log.down = false;
    log.takesEvents = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(log.accepted).toEqual([]);
    log.takesEvents = true;
    await vi.advanceTimersByTimeAsync(timing.retry * 1.5);
    expect(log.accepted.map(({ id }) => id)).toEqual(["evt_1"]);
    expect(repair.offers).toBe(0);
  });

  it("offers again what the log had, if a failover takes it before this node has read it there", async () => {
    const { log, node, repair } = setUp();
    node.readsOn = false;
    log.has.add("evt_1");
    repair.forked(fork(0, 1));
    repair.orphaned(entry(1), formatCursor(dead, 1));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(log.accepted).toEqual([]);
    log.has.clear();
    repair.forked(fork(0, 0));
    await vi.advanceTimersByTimeAsync(timing.spread);
    expect(log.accepted.map(({ id, was }) => [id, was])).toEqual([["evt_1", [formatCursor(dead, 1)]]]);
  });

  it("forgets what the log had once this node has read it there", async () => {
    const { log, node, repair } = setUp();
    node.readsOn = false;
    log.has.add("evt_1");
    repair.forked(fork(0, 1));
    repair.orphaned(entry(1), formatCursor(dead, 1));
    await vi.advanceTimersByTimeAsync(10_000);
    node.readsOn = true;
    await vi.advanceTimersByTimeAsync(timing.retry * 1.5);
    repair.forked(fork(0, 0));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(log.asked).toEqual([["evt_1"]]);
  });

  it("adds a place to those an event had when it is lost once more", async () => {
    const { log, repair } = setUp();
    const first = formatCursor("earlier0000000" as Epoch, 7);
    repair.forked(fork(0, 1));
    repair.orphaned(entry(1, [first]), formatCursor(dead, 1));
    await vi.advanceTimersByTimeAsync(timing.spread);
    expect(log.accepted[0]?.was).toEqual([first, formatCursor(dead, 1)]);
  });

  it("names as lost what nobody put back, and only that, once others had their time", async () => {
    const { log, repair } = setUp();
    repair.forked(fork(2, 9, { epoch: dead, from: 2, to: 6, reason: "log_lost" }));
    await vi.advanceTimersByTimeAsync(1_000);
    repair.passed(entry(3, [formatCursor(dead, 4)]));
    await vi.advanceTimersByTimeAsync(timing.othersHave - 1_001);
    expect(log.lost).toEqual([]);
    await vi.advanceTimersByTimeAsync(timing.spread + 1);
    expect(log.lost).toEqual([
      { epoch: dead, from: 2, to: 3, reason: "log_lost" },
      { epoch: dead, from: 4, to: 6, reason: "log_lost" },
    ]);
  });

  it("waits on while others still put back", async () => {
    const { log, repair } = setUp();
    repair.forked(fork(0, 9, { epoch: dead, from: 0, to: 2, reason: "log_lost" }));
    await vi.advanceTimersByTimeAsync(3_900);
    repair.passed(entry(1, [formatCursor(dead, 1)]));
    await vi.advanceTimersByTimeAsync(1_000);
    repair.passed(entry(2, [formatCursor(dead, 2)]));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(log.lost).toEqual([]);
  });

  it("leaves to another node what that one has named", async () => {
    const { log, repair } = setUp();
    const lost: Lost = { epoch: dead, from: 0, to: 2, reason: "log_lost" };
    repair.forked(fork(0, 9, lost));
    repair.passed({ kind: "lost", sequence: 1, at: 0, lost, body: Buffer.alloc(0) });
    await vi.advanceTimersByTimeAsync(20_000);
    expect(log.lost).toEqual([]);
  });

  it("names again what another node has named, if a failover takes that before this node has read it", async () => {
    const { log, node, repair } = setUp();
    const lost: Lost = { epoch: dead, from: 0, to: 2, reason: "log_lost" };
    node.readsOn = false;
    log.named.add(lostId(lost));
    repair.forked(fork(0, 9, lost));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(log.lost).toEqual([]);
    log.named.clear();
    repair.forked(fork(0, 0));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(log.lost).toEqual([lost]);
  });

  it("names again what was named in a branch that died", async () => {
    const { log, repair } = setUp();
    const lost: Lost = { epoch: dead, from: 0, to: 2, reason: "log_lost" };
    repair.orphaned({ kind: "lost", sequence: 3, at: 0, lost, body: Buffer.alloc(0) }, formatCursor(dead, 3));
    await vi.advanceTimersByTimeAsync(timing.spread);
    expect(log.lost).toEqual([lost]);
  });

  it("records a dead branch until the log knows it, and again when a failover took the record", async () => {
    const { log, repair } = setUp();
    const history = [{ epoch: running, first: 1 }];
    repair.forked(fork(3, 5));
    const branch: DeadBranch = { epoch: dead, parent: running, last: 3 };
    repair.compared({ history, branches: [] });
    await vi.advanceTimersByTimeAsync(0);
    repair.compared({ history, branches: [branch] });
    await vi.advanceTimersByTimeAsync(0);
    expect(log.recorded).toEqual([[branch]]);
    repair.compared({ history, branches: [] });
    await vi.advanceTimersByTimeAsync(0);
    expect(log.recorded).toEqual([[branch], [branch]]);
  });
});
