/**
 * Puts back what a failover lost. After a fork this node offers the log, through the same idempotent accept, what it
 * knows above the fork (M); what nobody puts back is named in the log as lost; dead branches are recorded (M).
 *
 *     idle ── orphaned, forked ─▶ waiting ── random delay ─▶ offering ── all offered ─▶ lost to name?
 *      ▲                             ▲                          │ failed                   │ yes, once others had
 *      │                             └────────── later ─────────┘                          │ their time: append it
 *      └───────────────────────────────────── no ◀─────────────────────────────────────────┘
 *
 * Offers are kept until the log has them and this node has read them there (M): a failure, or another failover
 * meanwhile, loses none.
 */
import type { Cursor, Sequence } from "@sharmo-relay/protocol";
import { lostId } from "../log/entry.ts";
import {
  type Announcement,
  type DeadBranch,
  type Entry,
  type EventLog,
  type Known,
  type LogState,
  type Lost,
  maxAsked,
  type NewEvent,
} from "../log/event-log.ts";
import { holds, knowsEpoch, type Stretch } from "../log/lineage.ts";
import { Intervals } from "./intervals.ts";
import type { Fork } from "./tail.ts";

export interface RepairOptions {
  readonly log: Pick<EventLog, "accept" | "appendLost" | "recordBranches" | "unknownIds">;
  readonly known: () => Known | undefined;
  /** What this node had accepted or appended: into its own memory at once (M). */
  readonly hear: (announcement: Announcement) => void;
  /** True once this node has read all that the log held when it was asked. */
  readonly caughtUp: () => Promise<boolean>;
  readonly listener: RepairListener;
  readonly timing?: RepairTiming;
}

interface RepairListener {
  /** So many events are in the log again that a failover had lost. */
  putBack(count: number): void;
  /** Events of this range are known to no node that is left. */
  lost(lost: Lost): void;
  failed(error: unknown): void;
}

/** All in milliseconds. */
export interface RepairTiming {
  /** Nodes do not all offer the same in the same moment. */
  readonly spread: number;
  /** How long others have to put back what this node does not know, and for how long nothing of it must have come. */
  readonly othersHave: number;
  readonly quiet: number;
  readonly retry: number;
}

const defaultTiming: RepairTiming = { spread: 500, othersHave: 4_000, quiet: 2_000, retry: 1_000 };

/** Accepts in flight at once. */
const atOnce = 32;
/** Beyond this, what is orphaned is not kept; far more than a node's memory of recent events. */
const maxOffers = 200_000;
const maxDead = 1_000;
/** Earlier places kept of one event: one more for each failover that loses it. */
const maxWas = 8;
/** A range with more holes than this is named as a whole. */
const maxIntervals = 16;

interface Claim {
  readonly lost: Lost;
  readonly before: Stretch;
  readonly missing: Intervals;
}

export class Repair {
  readonly #options: RepairOptions;
  readonly #timing: RepairTiming;
  readonly #offers = new Map<string, NewEvent>();
  #forks = 0;
  /** What the log had when it was offered: until this node has read it too, another failover could take it for ever. */
  readonly #stored = new Map<string, NewEvent>();
  /** What this node found lost, until it is named in the log. */
  #claims: Claim[] = [];
  /** Entries of the kind that were in a branch that died. */
  readonly #named = new Map<string, Lost>();
  #dead: DeadBranch[] = [];
  #forkedAt = 0;
  #returnedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #due = 0;
  #working: Promise<void> | undefined;
  #recording: Promise<void> | undefined;
  #closed = false;

  constructor(options: RepairOptions) {
    this.#options = options;
    this.#timing = options.timing ?? defaultTiming;
  }

  /** Events that are still to be offered. */
  get offers(): number {
    return this.#offers.size;
  }

  get dead(): readonly DeadBranch[] {
    return this.#dead;
  }

  forked({ before, dead, lost }: Fork): void {
    this.#forkedAt = performance.now();
    this.#dead = [...this.#dead, ...dead].slice(-maxDead);
    if (lost !== undefined) this.#claims.push({ lost, before, missing: new Intervals(lost.from, lost.to) });
    this.#forks++;
    for (const [id, event] of this.#stored) this.#offers.set(id, event);
    this.#stored.clear();
    this.#schedule();
  }

  orphaned(entry: Entry, was: Cursor): void {
    if (entry.kind === "lost") this.#named.set(lostId(entry.lost), entry.lost);
    if (entry.kind === "event" && this.#offers.size + this.#stored.size < maxOffers) {
      const { kind: _kind, sequence: _sequence, at: _at, late: _late, ...event } = entry;
      const places = [...(this.#offers.get(entry.id)?.was ?? []), ...(entry.was ?? []), was];
      this.#offers.set(entry.id, { ...event, was: [...new Set(places)].slice(0, maxWas) });
    }
    this.#schedule();
  }

  /** The node has applied an entry: what others put back, or named, is not this node's to name. */
  passed(entry: Entry): void {
    if (this.#claims.length === 0) return;
    if (entry.kind === "event" && entry.was !== undefined) {
      this.#returnedAt = performance.now();
      for (const { before, missing } of this.#claims) {
        for (const place of entry.was) if (holds(before, place)) missing.remove(sequenceIn(place));
      }
    }
    if (entry.kind === "lost") {
      for (const { lost, missing } of this.#claims)
        if (lost.epoch === entry.lost.epoch) missing.removeRange(entry.lost.from, entry.lost.to);
    }
  }

  /** Records branches that the log does not know: also those whose record a later failover took (M). */
  compared({ branches, history }: Pick<LogState, "branches" | "history">): void {
    const unknown = this.#dead.filter(
      ({ epoch }) => !knowsEpoch(history, epoch) && !branches.some((b) => b.epoch === epoch),
    );
    if (unknown.length === 0 || this.#recording !== undefined || this.#closed) return;
    const { log, known, listener } = this.#options;
    this.#recording = log
      .recordBranches(unknown, known())
      .catch((error: unknown) => listener.failed(error))
      .finally(() => {
        this.#recording = undefined;
      });
  }

  /** For a node that is about to stop: offers what is left without delay, and gives up when the log does not take it. */
  async finish(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#working;
    try {
      while (this.#offers.size > 0 && !this.#closed) await this.#offerSome();
    } catch (error) {
      this.#options.listener.failed(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
    await this.#recording;
  }

  #schedule(delay: number = Math.random() * this.#timing.spread): void {
    const due = performance.now() + delay;
    if (this.#closed || this.#working !== undefined) return;
    if (this.#timer !== undefined && this.#due <= due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#working = this.#work().then((next) => {
        this.#working = undefined;
        // something may have come at the very end
        if (next !== undefined) this.#schedule(next);
        else if (this.#hasWork()) this.#schedule();
      });
    }, delay);
  }

  #hasWork(): boolean {
    return this.#offers.size + this.#stored.size + this.#named.size + this.#claims.length > 0;
  }

  /** In how many milliseconds to try again. */
  #later(): number {
    return this.#timing.retry * (0.5 + Math.random());
  }

  /** Does what can be done now; resolves with when to go on, in milliseconds, if there is more. */
  async #work(): Promise<number | undefined> {
    try {
      while (this.#offers.size > 0 && !this.#closed) await this.#offerSome();
      if (this.#stored.size > 0) {
        if (!(await this.#options.caughtUp())) return this.#later();
        // after a fork they would be offers again
        this.#stored.clear();
      }
      for (const [id, lost] of this.#named) {
        if (!(await this.#name(lost))) return this.#later();
        this.#named.delete(id);
      }
      return await this.#nameLost();
    } catch (error) {
      if (!this.#closed) this.#options.listener.failed(error);
      return this.#later();
    }
  }

  async #offerSome(): Promise<void> {
    const { log, known, listener } = this.#options;
    const ids = [...this.#offers.keys()].slice(0, maxAsked);
    const forks = this.#forks;
    const unknown = await log.unknownIds(ids, known());
    // what the log had before a fork says nothing about what it has now
    if (this.#forks !== forks) return;
    for (const id of ids) if (!unknown.has(id)) this.#keep(id);
    const wanted = [...unknown];
    for (let from = 0; from < wanted.length && !this.#closed; from += atOnce) {
      // in their old order: the log takes what is sent together one after the other
      const some = wanted.slice(from, from + atOnce).flatMap((id) => this.#offers.get(id) ?? []);
      const settled = await Promise.allSettled(some.map((event) => this.#offer(event)));
      const back = settled.filter((one) => one.status === "fulfilled" && one.value).length;
      if (back > 0) listener.putBack(back);
      const failed = settled.find((one) => one.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    }
  }

  /** The log has it. */
  #keep(id: string): void {
    const event = this.#offers.get(id);
    if (event !== undefined) this.#stored.set(id, event);
    this.#offers.delete(id);
  }

  /** True if it was put back; false if the log had it, or cannot take its type. */
  async #offer(event: NewEvent): Promise<boolean> {
    const { log, known, hear } = this.#options;
    const forks = this.#forks;
    const accepted = await log.accept(event, known());
    // it may have been orphaned once more meanwhile, with one more place: that one is asked for again
    if (this.#offers.get(event.id) === event) {
      if (accepted.status !== "duplicate") this.#offers.delete(event.id);
      else if (this.#forks === forks) this.#keep(event.id);
    }
    if (accepted.status !== "accepted") return false;
    const { epoch, entry } = accepted;
    hear({ epoch, sequence: entry.sequence, entry });
    return true;
  }

  async #nameLost(): Promise<number | undefined> {
    if (this.#claims.length === 0) return undefined;
    const now = performance.now();
    const wait = Math.max(
      this.#forkedAt + this.#timing.othersHave - now,
      this.#returnedAt + this.#timing.quiet - now,
    );
    if (wait > 0) return wait + Math.random() * this.#timing.spread;
    for (const claim of [...this.#claims]) {
      for (const [from, to] of claim.missing.atMost(maxIntervals))
        if (!(await this.#name({ ...claim.lost, from, to }))) return this.#later();
      this.#claims = this.#claims.filter((other) => other !== claim);
    }
    return undefined;
  }

  /** True if it is named, and this node knows it: what it has not read, another failover could take for ever (M). */
  async #name(lost: Lost): Promise<boolean> {
    const { log, known, hear, caughtUp, listener } = this.#options;
    const forks = this.#forks;
    const appended = await log.appendLost(lost, known());
    if (appended.status !== "accepted") return (await caughtUp()) && this.#forks === forks;
    const { epoch, entry } = appended;
    listener.lost(lost);
    hear({ epoch, sequence: entry.sequence, entry });
    return true;
  }
}

function sequenceIn(cursor: Cursor): Sequence {
  return Number(cursor.slice(cursor.lastIndexOf("-") + 1));
}
