import type { Epoch } from "@sharmo-relay/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Announcement, Entry, EpochRecord, EventEntry, LogRange } from "../log/event-log.ts";
import { epochAt } from "../log/lineage.ts";
import { Tail } from "./tail.ts";

const epochs = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd"] as Epoch[];
const limits = { maxEntries: 8, maxBytes: 1e9, maxAgeMs: 1e9 };

function event(sequence: number, id: string): EventEntry {
  const body = Buffer.from(id);
  return {
    kind: "event",
    sequence,
    id,
    type: "token.created",
    createdAt: 0,
    filters: [],
    body,
    at: 0,
    late: false,
  };
}

/** A log that can be trimmed, and fail over to a copy that lacks its newest entries. */
class ModelLog {
  entries: EventEntry[] = [];
  history: EpochRecord[] = [{ epoch: epochs[0] as Epoch, first: 1 }];
  trimmed = 0;
  #count = 0;
  #epochs = 1;

  append(): Announcement {
    this.#count++;
    const entry = event(this.entries.length + 1, `evt_${this.#count}`);
    this.entries.push(entry);
    return { epoch: epochAt(this.history, entry.sequence), sequence: entry.sequence, entry };
  }

  failOver(lost: number): void {
    const epoch = epochs[this.#epochs];
    if (epoch === undefined) return;
    this.#epochs++;
    this.entries.splice(Math.max(this.trimmed, this.entries.length - lost));
    // a copy is a prefix of what was written: epochs that began after the last entry it has are lost too
    const next = this.entries.length + 1;
    this.history = [...this.history.filter((record) => record.first <= next), { epoch, first: next }];
  }

  range(after: number, through: number): LogRange {
    const end = Math.min(through, this.entries.length);
    return {
      epoch: this.history.at(-1)?.epoch as Epoch,
      head: this.entries.length,
      trimmedThrough: new Map(this.trimmed > 0 ? [["token.created", this.trimmed]] : []),
      after,
      through: end,
      entries: this.entries.slice(after, end).filter((entry) => entry.sequence > this.trimmed),
    };
  }
}

class Follower {
  readonly log: ModelLog;
  /** What was fanned out and not taken back by a fork, or jumped over, in the order it was. */
  applied: EventEntry[] = [];
  forks: number[] = [];
  restarts: number[] = [];
  /** What is to be put back, with its last place. */
  orphans = new Map<string, string>();
  readonly tail: Tail;

  constructor(log: ModelLog) {
    this.log = log;
    this.tail = new Tail(
      { history: log.history, head: log.entries.length },
      limits,
      {
        applied: (entry: Entry) => {
          if (entry.kind === "event") this.applied.push(entry);
        },
        forked: ({ at }) => this.forks.push(at),
        orphaned: (entry, was) => {
          if (entry.kind === "event") this.orphans.set(entry.id, was);
        },
        restarted: (from) => this.restarts.push(from),
      },
      () => 0,
    );
  }

  /** Does what the tail needs until it needs nothing. */
  settle(): void {
    this.tail.takeOver([...this.log.history], this.log.entries.length);
    for (let step = 0; step < 50; step++) {
      const need = this.tail.need();
      if (need.kind === "nothing") return;
      if (need.kind === "ask") this.tail.takeOver([...this.log.history], this.log.entries.length);
      else this.tail.fill(this.log.range(need.after, need.through));
    }
    throw new Error("the tail never settles");
  }
}

describe("the tail", () => {
  it("applies what arrives in order at once", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    node.tail.hear(log.append());
    node.tail.hear(log.append());
    expect(node.applied.map((e) => e.sequence)).toEqual([1, 2]);
    expect(node.tail.need()).toEqual({ kind: "nothing" });
  });

  it("holds back what is ahead and asks for the hole", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    log.append();
    node.tail.hear(log.append());
    expect(node.applied).toEqual([]);
    expect(node.tail.need()).toEqual({ kind: "fill", after: 0, through: 2 });
    node.tail.fill(log.range(0, 2));
    expect(node.applied.map((e) => e.sequence)).toEqual([1, 2]);
  });

  it("changes nothing for a late or repeated announcement", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    const first = log.append();
    for (const announcement of [first, log.append(), first, first]) node.tail.hear(announcement);
    expect(node.applied.map((e) => e.sequence)).toEqual([1, 2]);
  });

  it("asks for the entry of an announcement only if it does not have it", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    let asked = 0;
    const announced = ({ epoch, sequence, entry }: Announcement): Announcement => ({
      epoch,
      sequence,
      get entry() {
        asked++;
        return entry;
      },
    });
    const [own, other] = [log.append(), log.append()];
    node.tail.hear(own, true);
    node.tail.hear(announced(own));
    expect(asked).toBe(0);
    node.tail.hear(announced(other));
    node.tail.hear(announced(other));
    expect(asked).toBe(1);
    expect(node.applied).toEqual([own.entry, other.entry]);
  });

  it("takes an epoch it does not know only from the log, together with the head", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    node.tail.hear(log.append());
    node.tail.hear(log.append());
    log.failOver(1);
    const announcement = log.append();
    node.tail.hear(announcement);
    expect(node.tail.need()).toEqual({ kind: "ask" });
    expect(node.tail.position).toBe(2);
    node.tail.takeOver([...log.history], log.entries.length);
    expect(node.forks).toEqual([1]);
    expect(node.tail.position).toBe(2);
    expect(node.tail.memory.at(2)).toEqual(announcement.entry);
  });

  it("goes no further when an entry is neither there nor trimmed, and says so", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    log.append();
    node.tail.hear(log.append());
    const range = log.range(0, 2);
    node.tail.fill({ ...range, entries: range.entries.slice(1) });
    expect(node.tail.block?.code).toBe("unaccounted");
    expect(node.applied).toEqual([]);
  });

  it("never passes over a control entry it does not know", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    const { epoch } = log.append();
    const entry: Entry = { kind: "control", sequence: 1, control: "revoke", at: 0, body: Buffer.alloc(0) };
    node.tail.hear({ epoch, sequence: 1, entry });
    node.tail.hear(log.append());
    expect(node.tail.block?.code).toBe("unknown_control");
    expect(node.tail.position).toBe(0);
  });

  it("does not apply what was announced for a branch that is dead by now", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    const lost = log.append();
    log.failOver(1);
    node.tail.takeOver([...log.history], log.entries.length);
    node.tail.hear(lost);
    expect(node.applied).toEqual([]);
    const next = log.append();
    node.tail.hear(next);
    expect(node.applied).toEqual([next.entry]);
  });

  it("looks again for a hole that was not accounted for once it is told to, and goes on when it is there", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    log.append();
    node.tail.hear(log.append());
    const range = log.range(0, 2);
    node.tail.fill({ ...range, entries: range.entries.slice(1) });
    node.tail.hear(log.append());
    expect(node.tail.need()).toEqual({ kind: "nothing" });
    node.tail.tryAgain();
    expect(node.tail.need()).toEqual({ kind: "fill", after: 0, through: 3 });
    node.tail.fill(log.range(0, 3));
    expect(node.tail.block).toBeUndefined();
    expect(node.applied.map((e) => e.sequence)).toEqual([1, 2, 3]);
  });

  it("throws away an answer that was read under another epoch", () => {
    const log = new ModelLog();
    const node = new Follower(log);
    log.append();
    node.tail.hear(log.append());
    const stale = log.range(0, 2);
    log.failOver(1);
    node.tail.takeOver([...log.history], log.entries.length);
    expect(node.tail.fill(stale)).toBe(false);
    expect(node.applied).toEqual([]);
  });

  it("applies every entry once and in order, whatever is lost, repeated, late, trimmed, or fails over", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("append" as const), lost: fc.boolean() }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("deliver" as const), pick: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("again" as const), pick: fc.nat(50) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("settle" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("trim" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("fail over" as const), lost: fc.nat(3) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const log = new ModelLog();
        const node = new Follower(log);
        const onTheWay: Announcement[] = [];
        const ever: Announcement[] = [];
        for (const s of steps) {
          if (s.do === "append") {
            const announcement = log.append();
            ever.push(announcement);
            if (!s.lost) onTheWay.push(announcement);
          } else if (s.do === "deliver") {
            const [announcement] = onTheWay.splice(s.pick % Math.max(onTheWay.length, 1), 1);
            if (announcement !== undefined) node.tail.hear(announcement);
          } else if (s.do === "again") {
            const announcement = ever[s.pick % Math.max(ever.length, 1)];
            if (announcement !== undefined) node.tail.hear(announcement);
          } else if (s.do === "settle") node.settle();
          else if (s.do === "trim") log.trimmed = Math.min(log.trimmed + 2, log.entries.length);
          else log.failOver(s.lost);
          checkOrder(node);
        }
        node.settle();
        checkOrder(node);
        expect(node.tail.position).toBe(log.entries.length);
        for (let sequence = node.tail.memory.start + 1; sequence <= node.tail.position; sequence++) {
          expect(node.tail.memory.at(sequence)?.body).toEqual(log.entries[sequence - 1]?.body);
        }
      }),
      { numRuns: 400 },
    );
  });
});

/** Sequences only rise, except that a fork takes them back to where it lies; no event is applied twice. */
function checkOrder(node: Follower): void {
  let before = 0;
  const forks = new Set(node.forks);
  for (const { sequence } of node.applied) {
    if (sequence <= before) expect([...forks].some((fork) => fork < sequence)).toBe(true);
    else if (node.restarts.length === 0 && node.forks.length === 0) expect(sequence).toBe(before + 1);
    before = sequence;
  }
  const ids = node.applied.map((entry) => entry.id);
  expect(new Set(ids).size).toBe(ids.length);
}
