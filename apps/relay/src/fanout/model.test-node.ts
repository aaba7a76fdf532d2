/** A node and its log for tests: everything happens only when the test says so, and is kept for ever to check against. */
import {
  type Cursor,
  type Epoch,
  matches,
  type Position,
  type Sequence,
  type Topic,
} from "@sharmo-relay/protocol";
import type { DeadBranch, EpochRecord, EventEntry, LogRange, Lost } from "../log/event-log.ts";
import { cursorIn, deadBranches, epochAt, runningEpoch } from "../log/lineage.ts";
import { type Placed, placeOf } from "../tail/place.ts";
import type { Hub } from "./hub.ts";
import type { FanoutNode } from "./node.ts";
import type { Item } from "./subscription.ts";

function makeEntry(sequence: Sequence, type: string, token: string, id: string): EventEntry {
  return {
    kind: "event",
    sequence,
    id,
    type,
    createdAt: sequence,
    filters: [{ key: "token_id", value: token }],
    entity: token,
    body: Buffer.from(JSON.stringify({ id, type })),
    at: sequence,
    late: false,
  };
}

interface AskedPage {
  readonly range: LogRange;
  readonly resolve: (range: LogRange) => void;
}

export class ModelNode implements FanoutNode {
  hub: Hub | undefined;
  /** The log as it is now. */
  entries: Item[] = [];
  branches: DeadBranch[] = [];
  /** What failovers lost: events with the places they had, and what was already named as lost. */
  gone: { readonly entry: EventEntry; readonly line: Epoch; readonly was: readonly Cursor[] }[] = [];
  #unnamed: Lost[] = [];
  history: EpochRecord[] = [{ epoch: "epoch0aaaaaa" as Epoch, first: 1 }];
  readonly trimmed = new Map<string, Sequence>();
  position: Sequence = 0;
  memoryStart: Sequence = 0;
  /** Every entry that ever was, by cursor. */
  readonly ever = new Map<string, EventEntry>();
  readonly parents = new Map<Epoch, { parent: Epoch; last: Sequence }>();
  #asked: AskedPage[] = [];
  #count = 0;

  get epoch(): Epoch {
    return runningEpoch(this.history).epoch;
  }

  append(type: string, token: string): void {
    this.#count++;
    this.#push(makeEntry(this.entries.length + 1, type, token, `evt_${this.#count}`));
  }

  #push(entry: EventEntry): void {
    this.entries.push(entry);
    this.ever.set(`${this.epoch}-${entry.sequence}`, entry);
  }

  /** Some node offers the log the first event that a failover lost. */
  putBack(): void {
    const [first] = this.gone.splice(0, 1);
    if (first !== undefined)
      this.#push({ ...first.entry, sequence: this.entries.length + 1, was: first.was });
  }

  /** The first event that a failover lost is known to no node that is left. */
  lose(): void {
    const [first] = this.gone.splice(0, 1);
    if (first === undefined) return;
    const { sequence } = first.entry;
    this.#name({ epoch: first.line, from: sequence - 1, to: sequence, reason: "log_lost" });
  }

  nameAgain(): void {
    for (const lost of this.#unnamed.splice(0)) this.#name(lost);
  }

  #name(lost: Lost): void {
    const sequence = this.entries.length + 1;
    this.entries.push({ kind: "lost", sequence, at: sequence, lost, body: Buffer.alloc(0) });
  }

  applyNext(): void {
    const entry = this.entries[this.position];
    if (entry === undefined) return;
    this.position++;
    this.hub?.applied(entry);
  }

  shrinkMemory(by: number): void {
    this.memoryStart = Math.min(this.position, this.memoryStart + by);
  }

  /** Only what no memory holds any more (M). */
  trim(type: string, count: number): void {
    const from = this.trimmed.get(type) ?? 0;
    const gone = this.entries.filter(
      (e) => e.kind === "event" && e.type === type && e.sequence > from && e.sequence <= this.memoryStart,
    );
    const last = gone[Math.min(count, gone.length) - 1];
    if (last !== undefined) this.trimmed.set(type, last.sequence);
  }

  /** The log loses its newest entries and begins a new epoch; the node takes it over. */
  failOver(lost: number, recorded: boolean): void {
    const before = { history: this.history, through: this.position };
    const floor = Math.max(this.memoryStart, ...this.trimmed.values());
    const keep = Math.max(floor, this.entries.length - lost);
    const parent = this.epoch;
    for (const entry of this.entries.splice(keep)) {
      if (entry.kind === "lost") this.#unnamed.push(entry.lost);
      else {
        const was = [...(entry.was ?? []), cursorIn(before.history, entry.sequence)];
        this.gone.push({ entry, line: parent, was });
      }
    }
    const epoch = `epoch${this.parents.size + 1}aaaaaa` as Epoch;
    this.parents.set(epoch, { parent, last: keep });
    this.history = [...this.history.filter((r) => r.first <= keep + 1), { epoch, first: keep + 1 }];
    this.position = Math.min(this.position, keep);
    const dead = deadBranches(before.history, this.history, keep);
    if (recorded) this.branches.push(...dead);
    this.hub?.forked({ at: keep, before, dead });
  }

  /** The node finds its hole trimmed and begins anew at the head. */
  jump(): void {
    const from = this.position;
    if (from === this.entries.length) return;
    this.position = this.entries.length;
    this.memoryStart = this.position;
    this.hub?.restarted(from);
  }

  /** Reads now; the answer comes when the test lets it. */
  page(position: Sequence, through: Sequence): Promise<LogRange> {
    const end = Math.min(through, position + 3, this.entries.length);
    const range: LogRange = {
      epoch: this.epoch,
      head: this.entries.length,
      trimmedThrough: new Map(this.trimmed),
      after: position,
      through: end,
      entries: this.entries
        .slice(position, end)
        .filter((e) => e.kind === "lost" || e.sequence > (this.trimmed.get(e.type) ?? 0)),
    };
    return new Promise((resolve) => this.#asked.push({ range, resolve }));
  }

  get pagesAsked(): number {
    return this.#asked.length;
  }

  async answerPage(): Promise<void> {
    const asked = this.#asked.shift();
    asked?.resolve(asked.range);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }

  memoryAt(sequence: Sequence): Item | undefined {
    return sequence > this.memoryStart && sequence <= this.position ? this.entries[sequence - 1] : undefined;
  }

  place(cursor: Position): Promise<Placed> {
    return Promise.resolve(this.placeNow(cursor));
  }

  placeNow(cursor: Position): Placed {
    return placeOf({ history: this.history, heard: this.entries.length }, this.branches, cursor);
  }

  compare(): void {}

  latest(topics: readonly Topic[]): readonly EventEntry[] {
    const newest = new Map<string, EventEntry>();
    for (const entry of this.entries.slice(0, this.position))
      if (entry.kind === "event") newest.set(`${entry.type} ${entry.entity}`, entry);
    return [...newest.values()].filter((entry) => topics.some((topic) => matches(topic, entry)));
  }

  replaced(): boolean {
    return false;
  }

  /** What stood, or stands, at a sequence on the way to `epoch`. */
  everAt(epoch: Epoch, sequence: Sequence): EventEntry | undefined {
    let at = epoch;
    for (;;) {
      const fork = this.parents.get(at);
      if (fork === undefined || sequence > fork.last) break;
      at = fork.parent;
    }
    return this.ever.get(`${at}-${sequence}`);
  }

  cursorNow(): string {
    return `${epochAt(this.history, this.position)}-${this.position}`;
  }
}
