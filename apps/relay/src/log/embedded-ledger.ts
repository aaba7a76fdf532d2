/**
 * The embedded log's order: what the next entry is numbered, which ids are known, what is late. Its methods run
 * inside a transaction of `embedded-store.ts`; what they need at hand is kept in memory and, after a failed
 * transaction, read anew.
 */
import { randomInt } from "node:crypto";
import { type Epoch, parseEpoch, type Sequence } from "@sharmo-relay/protocol";
import type { Database } from "./embedded-database.ts";
import { dayMs, dayOf, IdIndex } from "./embedded-ids.ts";
import type { Copy } from "./embedded-store.ts";
import { Streams } from "./embedded-streams.ts";
import {
  branchesKey,
  entryKey,
  historyKey,
  last,
  latestKey,
  type Meta,
  metaKey,
  numberIn,
  printBranches,
  printEpochs,
  probeKey,
  readBranches,
  readEpochs,
  readKept,
  readLatestEntries,
  readMeta,
  retentionKey,
  storeFormat,
} from "./embedded-tables.ts";
import { decodeEntry, encodeEntry, entryOf, lostType } from "./entry.ts";
import {
  type Accepted,
  type DeadBranch,
  type EpochHistory,
  type EventEntry,
  type Known,
  LogError,
  type LogSettings,
  type NewEvent,
} from "./event-log.ts";
import { type LatestRow, LatestTable } from "./latest.ts";
import { runningEpoch } from "./lineage.ts";
import { defaultRetention, longestAge, printRetention } from "./retention.ts";

/** An event with all that can be computed before its transaction. */
export interface Prepared {
  readonly event: NewEvent;
  /** `encodeHeader` of the event, or that of an entry of another kind. */
  readonly header: string;
  /** Of the id. */
  readonly digest: Buffer;
  /** Short hash of the body. */
  readonly content: Buffer;
}

/** What `accept` found, and the stored bytes if it stored any; an entry of another kind is to be read from them. */
export interface Outcome {
  readonly accepted: Accepted;
  readonly bytes?: Buffer;
}

/** Epochs kept in the history; a cursor of an older one gets the gap `unknown_cursor`. */
const maxHistory = 1_000;

/** The largest event that ingest takes by default. */
const roomBytes = 256 * 1024;

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";

function randomName(): string {
  return Array.from({ length: 12 }, () => letters[randomInt(letters.length)]).join("");
}

function newEpoch(): Epoch {
  const epoch = parseEpoch(randomName());
  if (epoch === undefined) throw new Error("made an epoch that is none");
  return epoch;
}

export class Ledger implements Copy {
  readonly #db: Database;
  readonly #settings: LogSettings;
  readonly #clock: () => number;
  readonly #holder = randomName();
  readonly #ids: IdIndex;
  readonly #streams: Streams;
  #spoiled = true;

  #head: Sequence = 0;
  #history: EpochHistory = [];
  #since = 0;
  #trimChanges = 0;
  #retention = defaultRetention;
  #latest: LatestTable<LatestRow>;

  #changed = { meta: false, history: false };

  constructor(db: Database, settings: LogSettings, clock: () => number) {
    this.#db = db;
    this.#settings = settings;
    this.#clock = clock;
    this.#ids = new IdIndex(db);
    this.#streams = new Streams(db);
    this.#latest = new LatestTable(settings.latestMax);
  }

  begin(): void {
    if (this.#spoiled && this.#history.length > 0) this.#load();
    if (this.#history.length > 0) this.meta();
    this.#spoiled = false;
  }

  end(): void {
    this.#streams.save();
    const { meta, history } = this.#changed;
    if (history) this.#put(historyKey, printEpochs({ history: this.#history, since: this.#since }));
    if (meta) {
      const { epoch } = runningEpoch(this.#history);
      const { format, holder, head } = { format: storeFormat, holder: this.#holder, head: this.#head };
      this.#put(metaKey, JSON.stringify({ format, holder, epoch, head, trims: this.#trimChanges }));
    }
    this.#changed = { meta: false, history: false };
  }

  spoil(): void {
    this.#spoiled = true;
    this.#streams.forgetChanges();
    this.#changed = { meta: false, history: false };
  }

  /** What the store says of itself. Throws `in_use` if another opening has taken the log over since. */
  meta(): Meta {
    const meta = readMeta(this.#db);
    if (meta.holder === this.#holder) return meta;
    throw new LogError(
      "in_use",
      "another process has opened this event log and holds it now: stop one of the two",
    );
  }

  /** Takes the log over: the first transaction of an opening. */
  open(): void {
    const known = this.#db.get(metaKey) !== undefined;
    if (known) this.#load();
    if (this.#settings.retention !== undefined) {
      this.#retention = this.#settings.retention;
      this.#put(retentionKey, printRetention(this.#retention));
    }
    this.#startEpoch();
  }

  /** Writes without changing anything: to learn whether a write would succeed. */
  touch(): void {
    this.#changed.meta = true;
  }

  /** Takes as much room as a large event does. */
  takeRoom(): void {
    this.#put(probeKey, Buffer.alloc(roomBytes));
  }

  giveRoom(): void {
    this.#drop(probeKey);
  }

  /** A new epoch if the caller knows more of the running one than the log holds. */
  fork(known: Known | undefined): void {
    if (known === undefined || known.sequence <= this.#head) return;
    if (known.epoch === runningEpoch(this.#history).epoch) this.#startEpoch();
  }

  accept({ event, header, digest, content }: Prepared, known: Known | undefined): Outcome {
    this.fork(known);
    const found = this.#ids.find(digest);
    if (found !== undefined) {
      const sameContent = found.content.equals(content);
      const { epoch } = runningEpoch(this.#history);
      return { accepted: { status: "duplicate", epoch, sequence: found.sequence, sameContent } };
    }
    if (!this.#streams.has(event.type) && this.#streams.size >= this.#mostTypes(event.type)) {
      return { accepted: { status: "refused", reason: "too_many_types" } };
    }

    const sequence = this.#head + 1;
    const at = this.#clock();
    const late = this.#latest.isLate({ ...event, at });
    const bytes = encodeEntry(at, late, header, event.body);
    const entry = entryOf(event, sequence, at, late);
    this.#streams.append(entry, bytes);
    this.#head = sequence;
    this.#changed.meta = true;
    this.#ids.remember(at, digest, sequence, content);
    this.#keepLatest(entry, bytes);
    return { accepted: { status: "accepted", epoch: runningEpoch(this.#history).epoch, entry }, bytes };
  }

  /** Keeps what is not known yet of these. */
  record(branches: readonly DeadBranch[]): void {
    const kept = readBranches(this.#db);
    const known = new Set([...kept, ...this.#history].map(({ epoch }) => epoch));
    const fresh = branches.filter(({ epoch }) => !known.has(epoch));
    if (fresh.length > 0) this.#put(branchesKey, printBranches([...kept, ...fresh].slice(-maxHistory)));
  }

  /** Removes what is past its retention, the oldest first. Returns how many entries went. */
  trimType(type: string, limit: number): number {
    const gone = this.#streams.trim(type, this.#retention, this.#clock(), limit);
    if (gone === 0) return 0;
    this.#trimChanges++;
    this.#changed.meta = true;
    return gone;
  }

  /** Types of which `trimType` may remove something. */
  expiredTypes(): string[] {
    return this.#streams.expired(this.#retention, this.#clock());
  }

  /** Forgets at most `limit` ids of a day that is long over. */
  forgetIds(limit: number): void {
    const day = this.forgettableDay();
    if (day !== undefined) this.#ids.forget(day, limit);
  }

  /**
   * The oldest day whose ids may go: over by more than ids and events are kept, and no event of that day, or of an
   * older one, is still stored.
   */
  forgettableDay(): number | undefined {
    const day = this.#ids.oldest;
    const keptMs = Math.max(this.#settings.dedupeMs, longestAge(this.#retention)) + dayMs;
    if (day === undefined || day * dayMs + keptMs >= this.#clock()) return undefined;
    const [oldest] = this.#db.getRange({ start: entryKey(0), end: entryKey(last), limit: 1 });
    if (oldest === undefined) return day;
    const { at } = decodeEntry(numberIn(oldest.key), oldest.value);
    return dayOf(at) > day ? day : undefined;
  }

  /** Where the event of an id is, if the id is known. */
  locate(digest: Buffer): Sequence | undefined {
    return this.#ids.find(digest)?.sequence;
  }

  /** One more than events may have, for what is no event. */
  #mostTypes(type: string): number {
    return this.#settings.maxTypes + (type === lostType ? 1 : 0);
  }

  #keepLatest(entry: EventEntry, bytes: Buffer): void {
    const removed = this.#latest.apply(rowOf(entry));
    if (removed === undefined) return;
    this.#put(latestKey(entry.sequence), bytes);
    for (const row of removed) this.#drop(latestKey(row.sequence));
  }

  #startEpoch(): void {
    const record = { epoch: newEpoch(), first: this.#head + 1 };
    this.#history = [...this.#history, record].slice(-maxHistory);
    this.#since = this.#clock();
    this.#changed.history = true;
    this.#changed.meta = true;
  }

  #load(): void {
    const { head, trims } = readMeta(this.#db);
    const { history, since } = readEpochs(this.#db);
    this.#head = head;
    this.#history = history;
    this.#since = since;
    this.#trimChanges = trims;
    this.#retention = readKept(this.#db);
    this.#streams.load();
    this.#ids.load();
    this.#latest = new LatestTable(this.#settings.latestMax);
    this.#latest.load(
      readLatestEntries(this.#db).flatMap((entry) => (entry.kind === "event" ? [rowOf(entry)] : [])),
    );
  }

  #put(key: Buffer, value: Buffer | string): void {
    // Inside a transaction this writes at once; the promise is only a form.
    void this.#db.put(key, typeof value === "string" ? Buffer.from(value) : value);
  }

  #drop(key: Buffer): void {
    void this.#db.remove(key);
  }
}

function rowOf({ sequence, type, entity, createdAt, at, late }: EventEntry): LatestRow {
  const row = { sequence, type, createdAt, at, late };
  return entity === undefined ? row : { ...row, entity };
}
