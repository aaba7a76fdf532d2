/**
 * The event log: the one place where events get their order. Its comments are the contract; `contract.test-suite.ts`
 * tests them against every implementation.
 *
 * What every implementation promises
 * - `accept` is one atomic step: look up the id, take the next sequence, append, update the latest values,
 *   remember the id, announce. All that can fail is checked before the first write. When it resolves the event is
 *   as durable as the store can make it; when it rejects, the event may or may not be stored, and accepting it
 *   again is safe.
 * - Sequences start at 1, have no holes, and run over all types together. No (epoch, sequence) ever names two entries.
 * - Every method first makes sure that this is still the log the caller knows: if the
 *   store's identity changed, or the head lies behind what the caller knows of the running epoch, a new epoch starts
 *   before a number is given out.
 * - `readRange` takes epoch, head, trims and entries from one atomic look.
 * - Every method settles within `commandTimeoutMs`, or rejects with a `LogError`.
 */
import type { Cursor, Epoch, Filter, GapReason, Sequence } from "@sharmo-relay/protocol";

/** A record of one epoch: it begins with `first` and continues the numbering of `parent`. */
export interface EpochRecord {
  readonly epoch: Epoch;
  readonly first: Sequence;
}

/** The running epoch is the last; never empty. */
export type EpochHistory = readonly EpochRecord[];

/** An epoch that is no part of the log any more: a failover lost its end. It left the log's line behind `last` of `parent`. */
export interface DeadBranch {
  readonly epoch: Epoch;
  readonly parent: Epoch;
  readonly last: Sequence;
}

/** What a node knows of the log: the highest sequence it has applied or heard of, and the epoch it believes in. */
export interface Known {
  readonly epoch: Epoch;
  readonly sequence: Sequence;
}

/** An event that passed ingest, with its routing. */
export interface NewEvent {
  readonly id: string;
  readonly type: string;
  /** `created_at` in microseconds since 1970. */
  readonly createdAt: number;
  readonly filters: readonly Filter[];
  /** Value of the type's primary key (`primaryKeyOf`); absent if the event has none. */
  readonly entity?: string;
  /** The places it had before failovers that lost it, the first one first; absent where that never happened. */
  readonly was?: readonly Cursor[];
  /** The bytes as received. Never changed, never serialised anew. */
  readonly body: Buffer;
}

/** An event with its place in the order. */
export interface EventEntry extends NewEvent {
  readonly kind: "event";
  readonly sequence: Sequence;
  /** When the log accepted it, in milliseconds since 1970 by the log's clock. */
  readonly at: number;
  /** An event of the same type and entity with a newer `created_at` was accepted before. */
  readonly late: boolean;
}

/**
 * Entries of a dead branch that nobody knows any more: those of (`from`, `to`] on the way to `epoch`. Whoever comes
 * past it and does not have them gets a gap.
 */
export interface Lost {
  readonly epoch: Epoch;
  readonly from: Sequence;
  readonly to: Sequence;
  readonly reason: Extract<GapReason, "log_lost" | "log_reset">;
}

export interface LostEntry {
  readonly kind: "lost";
  readonly sequence: Sequence;
  readonly at: number;
  readonly lost: Lost;
  readonly body: Buffer;
}

/** Something every node passes in order that is no event, and that this build does not know. */
interface ControlEntry {
  readonly kind: "control";
  readonly sequence: Sequence;
  readonly control: string;
  readonly at: number;
  readonly body: Buffer;
}

export type Entry = EventEntry | LostEntry | ControlEntry;

export type Accepted =
  /** `epoch` is the running epoch; `entry` is what was stored. */
  | { readonly status: "accepted"; readonly epoch: Epoch; readonly entry: EventEntry }
  /** The id is known. `epoch` is the running epoch; `sameContent` is false if it was stored with other bytes. */
  | {
      readonly status: "duplicate";
      readonly epoch: Epoch;
      readonly sequence: Sequence;
      readonly sameContent: boolean;
    }
  /** The log holds `maxTypes` different types and this would be one more. */
  | { readonly status: "refused"; readonly reason: "too_many_types" };

export type Appended =
  | { readonly status: "accepted"; readonly epoch: Epoch; readonly entry: LostEntry }
  | { readonly status: "duplicate" };

/** One atomic look at the log. */
export interface LogState {
  readonly history: EpochHistory;
  /** The newest 1,000, in the order they were recorded. */
  readonly branches: readonly DeadBranch[];
  readonly head: Sequence;
  /** The log's clock, in milliseconds since 1970: the one that retention goes by. */
  readonly time: number;
  /** How long ago the running epoch began, by the log's clock. */
  readonly epochAgeMs: number;
  /** Highest sequence removed of each type; types of which nothing was removed are absent. */
  readonly trimmedThrough: ReadonlyMap<string, Sequence>;
  /** Retention in force, as the log holds it. */
  readonly retention: Retention;
  /** Why a write would fail now, or why this log must not be trusted (eviction policy, no replication id); empty when all is well. */
  readonly warnings: readonly LogWarning[];
}

export interface LogWarning {
  readonly code: "not_writable" | "evicts" | "no_identity";
  /** True if the node must not call itself ready. */
  readonly blocking: boolean;
  readonly message: string;
}

/** Entries of (`after`, `through`] in order. What is missing between them was trimmed or never existed for these types. */
export interface LogRange {
  readonly epoch: Epoch;
  readonly head: Sequence;
  readonly trimmedThrough: ReadonlyMap<string, Sequence>;
  readonly after: Sequence;
  readonly through: Sequence;
  readonly entries: readonly Entry[];
}

/** The latest values with the head at which they stood, from one atomic look. Includes removed markers. */
export interface LatestValues {
  readonly history: EpochHistory;
  readonly head: Sequence;
  readonly entries: readonly EventEntry[];
}

/**
 * Told to every node that listens, at most once, in any order. `entry` is absent if it was too large to carry; it may
 * be read from bytes when it is first asked for.
 */
export interface Announcement {
  readonly epoch: Epoch;
  readonly sequence: Sequence;
  readonly entry?: Entry | undefined;
}

export interface LogListener {
  announced(announcement: Announcement): void;
  /** The way announcements come was interrupted and is there again: some may be lost. */
  reconnected(): void;
  /** Something came that is no announcement. */
  ignored?(): void;
}

/** `maxAgeMs` and `maxCount` of one type; the first limit reached counts. */
export interface RetentionRule {
  readonly maxAgeMs: number;
  readonly maxCount?: number;
}
export interface Retention {
  readonly default: RetentionRule;
  readonly types: ReadonlyMap<string, RetentionRule>;
}

export interface LogSettings {
  /** Undefined: leave what the log holds (or the default, 7 days, in a new log). */
  readonly retention?: Retention;
  /** How long an id is remembered at least; longer while its event is stored. Default 72 h. */
  readonly dedupeMs: number;
  /** Most latest values kept. Default 10,000. */
  readonly latestMax: number;
  /** Most different types. Default 1,000. */
  readonly maxTypes: number;
  /** Bound of every call. Default 1,500 ms. */
  readonly commandTimeoutMs: number;
}

/** Authentic deliveries that could not become events, and what an operator needs to judge them. */
export interface QuarantineItem {
  /** Hash of reason and bytes: a retry adds to `count`. */
  readonly id: string;
  readonly reason:
    | "stale_signature"
    | "invalid_event"
    | "invalid_json"
    | "id_reused"
    | "schema"
    | "too_many_types";
  /** What was wrong; holds no `data`. */
  readonly message: string;
  readonly body: Buffer;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
}

/** Capped at 1,000 items and 16 MiB of bodies; the oldest by `lastAt` go first. */
export interface Quarantine {
  put(item: Pick<QuarantineItem, "id" | "reason" | "message" | "body">): Promise<void>;
  /** The one that came last, also again, first. */
  list(limit: number): Promise<QuarantineItem[]>;
  get(id: string): Promise<QuarantineItem | undefined>;
  /** True if it was there. */
  remove(id: string): Promise<boolean>;
}

/** In bytes. */
export interface LogSize {
  /** What the store takes. */
  readonly fileBytes: number;
  /** What it needs of that; the rest is used again. */
  readonly usedBytes: number;
}

export interface EventLog {
  readonly engine: "redis" | "embedded";
  /** Epochs of this log are judged at once: there is no other node that may know more. */
  readonly alone: boolean;
  readonly quarantine: Quarantine;

  accept(event: NewEvent, known: Known | undefined): Promise<Accepted>;
  /** Also tries whether a write would succeed. */
  state(known: Known | undefined): Promise<LogState>;
  /** At most `maxRange` sequences, of all types, and none past the head: `through` of the answer says where it ends. */
  readRange(after: Sequence, through: Sequence, known: Known | undefined): Promise<LogRange>;
  readLatest(known: Known | undefined): Promise<LatestValues>;
  /** The stored event of an id; undefined if unknown or trimmed. */
  readEvent(id: string): Promise<EventEntry | undefined>;

  /** Those of at most `maxAsked` ids that the log does not know. */
  unknownIds(ids: readonly string[], known: Known | undefined): Promise<ReadonlySet<string>>;
  /** Appends the entry, once for the same range however often it is asked. */
  appendLost(lost: Lost, known: Known | undefined): Promise<Appended>;
  /** Keeps what this log does not know of these; a branch it knows stays as it is. */
  recordBranches(branches: readonly DeadBranch[], known: Known | undefined): Promise<void>;

  /** Starts announcements. Resolves when they flow for the first time; the function stops them. */
  listen(listener: LogListener): Promise<() => Promise<void>>;

  /** Removes what is past its retention, at most `limit` entries of a type in one step; resolves with how many went. */
  trim(limit: number): Promise<number>;

  /** How much room the log takes; absent or undefined where it does not tell. */
  size?(): LogSize | undefined;

  close(): Promise<void>;
}

/** Longest range of one `readRange`, in sequences. */
export const maxRange = 256;

/** Most ids of one `unknownIds`. */
export const maxAsked = 128;

/** `created_at` counts at most this far ahead of receipt when the newest value is chosen. */
export const createdAtLeadMs: number = 5 * 60_000;

export type LogErrorCode =
  /** The store cannot be reached, hangs, or refuses; try again. */
  | "unavailable"
  /** The store answers but takes no writes (read-only, full, out of memory). */
  | "not_writable"
  /** The data is not ours, damaged, or of a newer format; a person must act. */
  | "unusable"
  /** Another process holds the data folder. */
  | "in_use"
  | "closed";

export class LogError extends Error {
  readonly code: LogErrorCode;
  constructor(code: LogErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "LogError";
    this.code = code;
  }
}
