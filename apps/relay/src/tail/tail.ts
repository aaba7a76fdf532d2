/**
 * What one node knows of the log, without timers or sockets: it hears announcements in any order, any number of
 * times or never, and applies every entry once, in order.
 *
 *     hear(announcement)      in order -> applied at once; ahead -> kept, a hole is open;
 *                             unknown epoch -> kept, `mustAsk`; behind -> nothing; of a dead branch -> orphaned
 *     takeOver(history, head) the log's answer, both together: the only way epochs change (M); what is known above
 *                             a fork and waits for an epoch that is not there -> orphaned (M)
 *     fill(range)             the log's answer for the hole; thrown away unless it fits exactly
 *
 * Position = applied = fanned out: every entry goes out in the call that applies it.
 */
import { type Cursor, type Epoch, formatCursor, type Sequence } from "@sharmo-relay/protocol";
import type {
  Announcement,
  DeadBranch,
  Entry,
  EpochHistory,
  Known,
  LogRange,
  Lost,
} from "../log/event-log.ts";
import {
  cursorIn,
  deadBranches,
  epochAt,
  forkPoint,
  knowsEpoch,
  runningEpoch,
  type Stretch,
} from "../log/lineage.ts";
import { Memory, type MemoryLimits } from "./memory.ts";

/** The log is another one from here on. */
export interface Fork {
  /** The last sequence that both have in common: positions above it fall back to it, reads under way are worthless. */
  readonly at: Sequence;
  /** What this node had applied of the log as it was. */
  readonly before: Stretch;
  readonly dead: readonly DeadBranch[];
  /** What was after the fork and before this node's memory: it cannot be put back by this node. */
  readonly lost?: Lost;
}

export interface TailListener {
  /** Called once for each entry, in order; the tail's position already includes it. */
  applied(entry: Entry): void;
  forked(fork: Fork): void;
  /** This node knows the entry, under a place that the log does not have any more. */
  orphaned(entry: Entry, was: Cursor): void;
  /**
   * Entries after `from` were trimmed before this node read them: the position has moved on, memory begins anew,
   * and everyone who was at `from` catches up from the log.
   */
  restarted(from: Sequence): void;
}

/** What the node should ask the log next. */
export type Need =
  | { readonly kind: "nothing" }
  | { readonly kind: "ask" }
  | { readonly kind: "fill"; readonly after: Sequence; readonly through: Sequence };

/** Why the tail does not go on although the log answers. */
export type Block = { readonly code: "unknown_control" | "unaccounted"; readonly message: string };

interface Pending {
  readonly epoch: Epoch;
  readonly entry: Entry;
  /** How many answers of the log did not know the epoch. */
  strikes: number;
}

/** Announcements kept while a hole is open or an epoch unknown; further ones are read from the log. */
const maxPending = 4_096;

export class Tail {
  readonly memory: Memory;
  #history: EpochHistory;
  #position: Sequence;
  #heard: Sequence;
  #announced: Sequence = 0;
  #pending = new Map<Sequence, Pending>();
  #strangers: Pending[] = [];
  #mustAsk = false;
  #block: Block | undefined;
  /** A hole that was not accounted for is looked at again only when told so, not with every announcement. */
  #mayRetry = false;
  readonly #listener: TailListener;
  readonly #now: () => number;

  constructor(
    at: { history: EpochHistory; head: Sequence },
    limits: MemoryLimits,
    listener: TailListener,
    now: () => number,
  ) {
    this.#history = at.history;
    this.#position = at.head;
    this.#heard = at.head;
    this.memory = new Memory(at.head, limits);
    this.#listener = listener;
    this.#now = now;
  }

  get history(): EpochHistory {
    return this.#history;
  }
  get epoch(): Epoch {
    return runningEpoch(this.#history).epoch;
  }
  /** The last entry applied and fanned out. */
  get position(): Sequence {
    return this.#position;
  }
  /** The highest sequence heard of in the running history. */
  get heard(): Sequence {
    return this.#heard;
  }
  /** The highest sequence that came by announcement. */
  get announced(): Sequence {
    return this.#announced;
  }
  get block(): Block | undefined {
    return this.#block;
  }
  known(): Known {
    return { epoch: this.epoch, sequence: this.#heard };
  }

  need(): Need {
    if (this.#mustAsk) return { kind: "ask" };
    const blocked = this.#block !== undefined && !(this.#block.code === "unaccounted" && this.#mayRetry);
    if (this.#heard > this.#position && !blocked) {
      return { kind: "fill", after: this.#position, through: this.#heard };
    }
    return { kind: "nothing" };
  }

  /** Asks once more for a hole that was not accounted for. */
  tryAgain(): void {
    this.#mayRetry = true;
  }

  /** `own`: this node had it accepted itself; its announcement may come later or never. */
  hear(announcement: Announcement, own = false): void {
    const { epoch, sequence } = announcement;
    if (!knowsEpoch(this.#history, epoch)) {
      this.#mustAsk = true;
      const { entry } = announcement;
      if (entry !== undefined && this.#strangers.length < maxPending)
        this.#strangers.push({ epoch, entry, strikes: 0 });
      return;
    }
    if (epochAt(this.#history, sequence) !== epoch) {
      const { entry } = announcement;
      if (entry !== undefined) this.#listener.orphaned(entry, formatCursor(epoch, sequence));
      return;
    }
    if (!own) this.#announced = Math.max(this.#announced, sequence);
    if (sequence <= this.#position) return;
    this.#heard = Math.max(this.#heard, sequence);
    // asked for only here: to read it costs more than all the rest
    const { entry } = announcement;
    if (entry !== undefined) this.#keep({ epoch, entry, strikes: 0 });
    this.#drain();
  }

  /** Epoch history and head from one answer of the log. */
  takeOver(history: EpochHistory, head: Sequence): void {
    const fork = forkPoint(this.#history, history, head);
    if (Number.isFinite(fork)) this.#fork(fork, history);
    else this.#history = history;
    this.#mustAsk = false;
    // an answer for the same history may be older than what was announced meanwhile
    this.#heard = Number.isFinite(fork) ? Math.max(head, this.#position) : Math.max(head, this.#heard);
    const waiting = [...this.#pending.values(), ...this.#strangers];
    this.#pending = new Map();
    this.#strangers = [];
    for (const held of waiting) {
      const { sequence } = held.entry;
      if (epochAt(history, sequence) === held.epoch) {
        this.#keep(held);
        this.#heard = Math.max(this.#heard, sequence);
      } else if (!knowsEpoch(history, held.epoch) && held.strikes === 0) {
        // the announcement may be younger than the answer: one more answer decides
        this.#strangers.push({ ...held, strikes: 1 });
      } else this.#listener.orphaned(held.entry, formatCursor(held.epoch, sequence));
    }
    this.#drain();
  }

  #fork(at: Sequence, now: EpochHistory): void {
    const before = { history: this.#history, through: this.#position };
    const { start } = this.memory;
    const orphans: Entry[] = [];
    for (let sequence = Math.max(at, start) + 1; sequence <= this.#position; sequence++) {
      const entry = this.memory.at(sequence);
      if (entry !== undefined) orphans.push(entry);
    }
    if (at < this.#position) {
      this.memory.truncate(at);
      this.#position = at;
    }
    this.#history = now;
    this.#block = undefined;
    this.#announced = Math.min(this.#announced, at);
    const shared = before.history[0]?.epoch === now[0]?.epoch;
    const lost: Lost = {
      epoch: runningEpoch(before.history).epoch,
      from: at,
      to: start,
      reason: shared ? "log_lost" : "log_reset",
    };
    const dead = deadBranches(before.history, now, at);
    this.#listener.forked({ at, before, dead, ...(at < start ? { lost } : {}) });
    for (const entry of orphans) this.#listener.orphaned(entry, cursorIn(before.history, entry.sequence));
  }

  /** Entries of the hole. False if the answer does not fit what the node knows now, and was thrown away. */
  fill(range: LogRange): boolean {
    if (range.epoch !== this.epoch || range.after !== this.#position || range.head < this.#position)
      return false;
    this.#mayRetry = false;
    const found = new Map(range.entries.map((entry) => [entry.sequence, entry]));
    for (let sequence = range.after + 1; sequence <= range.through; sequence++) {
      if (found.has(sequence)) continue;
      if ([...range.trimmedThrough.values()].some((trimmed) => trimmed >= sequence))
        return this.#startAnew(range.through);
      this.#block = {
        code: "unaccounted",
        message: `entry ${sequence} is neither in the log nor trimmed; the log is damaged or was edited`,
      };
      return true;
    }
    this.#block = undefined;
    for (const entry of range.entries) if (!this.#apply(entry)) break;
    this.#drain();
    return true;
  }

  #startAnew(at: Sequence): true {
    const from = this.#position;
    this.#block = undefined;
    this.#position = at;
    this.#heard = Math.max(this.#heard, at);
    this.memory.restart(at);
    for (const sequence of this.#pending.keys()) if (sequence <= at) this.#pending.delete(sequence);
    this.#listener.restarted(from);
    this.#drain();
    return true;
  }

  #keep(held: Pending): void {
    if (this.#pending.size < maxPending && held.entry.sequence > this.#position) {
      this.#pending.set(held.entry.sequence, held);
    }
  }

  #drain(): void {
    for (;;) {
      const next = this.#pending.get(this.#position + 1);
      if (next === undefined || !this.#apply(next.entry)) return;
    }
  }

  #apply(entry: Entry): boolean {
    if (entry.kind === "control") {
      // an entry that means something to newer nodes is never passed over
      this.#block = {
        code: "unknown_control",
        message: `the log holds a control entry "${entry.control}" that this version does not know; update this node`,
      };
      return false;
    }
    this.#pending.delete(entry.sequence);
    this.#position = entry.sequence;
    this.#heard = Math.max(this.#heard, entry.sequence);
    this.memory.push(entry, this.#now());
    this.#listener.applied(entry);
    return true;
  }
}
