/**
 * A log for tests that fails over as Redis does: its master is followed by a copy that lacks the newest writes, and
 * may go on serving those who have not noticed. What ever stood in it is kept for ever, to check against.
 */
import { type Cursor, type Epoch, formatCursor, type Sequence } from "@sharmo-relay/protocol";
import { expect } from "vitest";
import type { Item } from "../fanout/subscription.ts";
import { lostId } from "../log/entry.ts";
import {
  type Accepted,
  type Announcement,
  type Appended,
  type DeadBranch,
  type EpochRecord,
  type EventEntry,
  type Known,
  type LatestValues,
  type LogRange,
  type LogState,
  type Lost,
  maxRange,
  type NewEvent,
  type Retention,
} from "../log/event-log.ts";
import { LatestTable } from "../log/latest.ts";
import { knowsEpoch, runningEpoch } from "../log/lineage.ts";

const retention: Retention = { default: { maxAgeMs: 60 * 60_000 }, types: new Map() };

/** Every entry that ever was, by the cursor that names it. */
export class Ever {
  readonly #entries = new Map<Cursor, Item>();
  /** Per epoch, what retention had taken of the log as it last was in it. */
  readonly #trimmed = new Map<Epoch, ReadonlyMap<string, Sequence>>();
  readonly #begun = new Map<Epoch, { readonly parent: Epoch; readonly last: Sequence }>();

  get epochs(): number {
    return this.#begun.size;
  }

  add(epoch: Epoch, entry: Item): void {
    const cursor = formatCursor(epoch, entry.sequence);
    expect(this.#entries.has(cursor), `${cursor} names two entries`).toBe(false);
    this.#entries.set(cursor, entry);
  }

  begin(epoch: Epoch, parent: Epoch, last: Sequence, trimmed: ReadonlyMap<string, Sequence>): void {
    this.#begun.set(epoch, { parent, last });
    this.trim(epoch, trimmed);
  }

  find(id: string): EventEntry | undefined {
    for (const entry of this.#entries.values()) if (entry.kind === "event" && entry.id === id) return entry;
    return undefined;
  }

  /** Of every event there ever was. */
  ids(): string[] {
    return [...this.#entries.values()].flatMap((entry) => (entry.kind === "event" ? [entry.id] : []));
  }

  trim(epoch: Epoch, trimmed: ReadonlyMap<string, Sequence>): void {
    this.#trimmed.set(epoch, trimmed);
  }

  /** True if retention took it from the log that ran, or runs, in this epoch: a failover can take that back. */
  wasTrimmed(epoch: Epoch, { type, sequence }: EventEntry): boolean {
    return sequence <= (this.#trimmed.get(epoch)?.get(type) ?? 0);
  }

  /** What stands, or stood, at a sequence on the way to `epoch`. */
  at(epoch: Epoch, sequence: Sequence): Item | undefined {
    return this.#entries.get(this.cursor(epoch, sequence));
  }

  /** The cursor of that place: of the epoch that gave it out. */
  cursor(epoch: Epoch, sequence: Sequence): Cursor {
    let at = epoch;
    for (;;) {
      const begun = this.#begun.get(at);
      if (begun === undefined || sequence > begun.last) return formatCursor(at, sequence);
      at = begun.parent;
    }
  }

  /** The events of (`after`, `through`] on the way to `epoch`. */
  events(epoch: Epoch, after: Sequence, through: Sequence): EventEntry[] {
    const events: EventEntry[] = [];
    for (let sequence = after + 1; sequence <= through; sequence++) {
      const entry = this.at(epoch, sequence);
      if (entry?.kind === "event") events.push(entry);
    }
    return events;
  }
}

/** The events that are gone if this range is: also those of which an entry in it said so. */
export function eventsOf(ever: Ever, epoch: Epoch, from: Sequence, to: Sequence): EventEntry[] {
  const nested: EventEntry[] = [];
  for (let sequence = from + 1; sequence <= to; sequence++) {
    const entry = ever.at(epoch, sequence);
    if (entry?.kind === "lost")
      nested.push(...eventsOf(ever, entry.lost.epoch, entry.lost.from, entry.lost.to));
  }
  return [...ever.events(epoch, from, to), ...nested];
}

interface Stored {
  readonly history: readonly EpochRecord[];
  readonly entries: readonly Item[];
  readonly trimmed: ReadonlyMap<string, Sequence>;
  readonly branches: readonly DeadBranch[];
  /** Identity of the server that wrote last. */
  readonly owner: number;
  readonly began: number;
}

const firstEpoch = "epoch0aaaaaa" as Epoch;

/** Most writes that a failover loses. */
const maxLost = 3;

export class Server {
  readonly #ever: Ever;
  readonly #identity: number;
  #stored: Stored;
  /** As it was before each of the newest writes, the newest last: what a copy may be. */
  #past: Stored[] = [];
  /** False once it answers nobody any more. */
  alive = true;
  readonly announced: (announcement: Announcement) => void;

  constructor(
    ever: Ever,
    identity: number,
    stored: Stored | undefined,
    announced: (server: Server, announcement: Announcement) => void,
  ) {
    this.#ever = ever;
    this.#identity = identity;
    this.announced = (announcement) => announced(this, announcement);
    this.#stored = stored ?? {
      history: [{ epoch: firstEpoch, first: 1 }],
      entries: [],
      trimmed: new Map(),
      branches: [],
      owner: identity,
      began: performance.now(),
    };
  }

  get epoch(): Epoch {
    return runningEpoch(this.#stored.history).epoch;
  }
  get history(): readonly EpochRecord[] {
    return this.#stored.history;
  }
  get entries(): readonly Item[] {
    return this.#stored.entries;
  }
  get trimmed(): ReadonlyMap<string, Sequence> {
    return this.#stored.trimmed;
  }
  get branches(): readonly DeadBranch[] {
    return this.#stored.branches;
  }

  /** What a replica has that lacks so many of the newest writes. */
  copy(lost: number): Stored {
    return lost === 0 ? this.#stored : (this.#past.at(-lost) ?? this.#past[0] ?? this.#stored);
  }

  /** One atomic step, replicated as a whole. */
  #script<T>(known: Known | undefined, work: () => T): T {
    const before = this.#stored;
    const head = before.entries.length;
    const behind = known?.epoch === this.epoch && known.sequence > head;
    if (before.owner !== this.#identity || behind) {
      const epoch = `epoch${this.#ever.epochs + 1}aaaaaa` as Epoch;
      this.#ever.begin(epoch, this.epoch, head, this.trimmed);
      this.#change({
        history: [...before.history, { epoch, first: head + 1 }],
        owner: this.#identity,
        began: performance.now(),
      });
    }
    const result = work();
    if (this.#stored !== before) this.#past = [...this.#past, before].slice(-maxLost);
    return result;
  }

  #change(change: Partial<Stored>): void {
    this.#stored = { ...this.#stored, ...change };
  }

  #append(entry: Item): void {
    this.#ever.add(this.epoch, entry);
    this.#change({ entries: [...this.entries, entry] });
    this.announced({ epoch: this.epoch, sequence: entry.sequence, entry });
  }

  find(id: string): EventEntry | undefined {
    return this.entries.find((entry): entry is EventEntry => entry.kind === "event" && entry.id === id);
  }

  accept(event: NewEvent, known: Known | undefined): Accepted {
    return this.#script(known, () => {
      const found = this.find(event.id);
      if (found !== undefined)
        return {
          status: "duplicate",
          epoch: this.epoch,
          sequence: found.sequence,
          sameContent: found.body.equals(event.body),
        };
      const sequence = this.entries.length + 1;
      const entry: EventEntry = { ...event, kind: "event", sequence, at: performance.now(), late: false };
      this.#append(entry);
      return { status: "accepted", epoch: this.epoch, entry };
    });
  }

  appendLost(lost: Lost, known: Known | undefined): Appended {
    return this.#script(known, () => {
      const id = lostId(lost);
      if (this.entries.some((entry) => entry.kind === "lost" && lostId(entry.lost) === id))
        return { status: "duplicate" };
      const sequence = this.entries.length + 1;
      const entry = { kind: "lost" as const, sequence, at: performance.now(), lost, body: Buffer.alloc(0) };
      this.#append(entry);
      return { status: "accepted", epoch: this.epoch, entry };
    });
  }

  unknownIds(ids: readonly string[], known: Known | undefined): ReadonlySet<string> {
    return this.#script(known, () => new Set(ids.filter((id) => this.find(id) === undefined)));
  }

  recordBranches(branches: readonly DeadBranch[], known: Known | undefined): void {
    this.#script(known, () => {
      const unknown = branches.filter(
        ({ epoch }) => !knowsEpoch(this.history, epoch) && !this.branches.some((b) => b.epoch === epoch),
      );
      if (unknown.length > 0) this.#change({ branches: [...this.branches, ...unknown] });
    });
  }

  state(known: Known | undefined): LogState {
    return this.#script(known, () => ({
      history: this.history,
      branches: this.branches,
      head: this.entries.length,
      time: performance.now(),
      epochAgeMs: performance.now() - this.#stored.began,
      trimmedThrough: this.trimmed,
      retention,
      warnings: [],
    }));
  }

  range(after: Sequence, through: Sequence, known: Known | undefined): LogRange {
    return this.#script(known, () => {
      const end = Math.max(after, Math.min(through, after + maxRange, this.entries.length));
      return {
        epoch: this.epoch,
        head: this.entries.length,
        trimmedThrough: this.trimmed,
        after,
        through: end,
        entries: this.entries
          .slice(after, end)
          .filter((entry) => entry.kind === "lost" || !this.#isTrimmed(entry)),
      };
    });
  }

  #isTrimmed({ type, sequence }: EventEntry): boolean {
    return sequence <= (this.trimmed.get(type) ?? 0);
  }

  latest(known: Known | undefined): LatestValues {
    return this.#script(known, () => {
      const table = new LatestTable(1_000);
      for (const entry of this.entries) if (entry.kind === "event") table.apply(entry);
      return { history: this.history, head: this.entries.length, entries: [...table.values()] };
    });
  }

  /** Removes what is stored of a type up to `through`. Takes no part in epochs. */
  trim(type: string, through: Sequence): void {
    const gone = this.entries.filter(
      (entry): entry is EventEntry =>
        entry.kind === "event" && entry.type === type && entry.sequence <= through && !this.#isTrimmed(entry),
    );
    const last = gone.at(-1);
    if (last === undefined) return;
    this.#past = [...this.#past, this.#stored].slice(-maxLost);
    this.#change({ trimmed: new Map(this.trimmed).set(type, last.sequence) });
    this.#ever.trim(this.epoch, this.trimmed);
  }

  /** True if the log says that the event is lost. */
  namesLost(id: string): boolean {
    return this.entries.some(
      (entry) =>
        entry.kind === "lost" &&
        eventsOf(this.#ever, entry.lost.epoch, entry.lost.from, entry.lost.to).some((e) => e.id === id),
    );
  }
}
