/**
 * The event log on local disk, for one process. It answers and announces after the flush, and every opening begins
 * a new epoch, so that a copy brought back from a backup never names two entries alike.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Epoch, Sequence } from "@sharmo-relay/protocol";
import type { Database } from "./embedded-database.ts";
import { damaged, holdFolder, prepareFolder, syncFolders } from "./embedded-folder.ts";
import { Ledger, type Outcome } from "./embedded-ledger.ts";
import { openOurs, sayWhatABackupLost } from "./embedded-open.ts";
import { EmbeddedQuarantine } from "./embedded-quarantine.ts";
import { closed, Store } from "./embedded-store.ts";
import {
  digestBytes,
  type Epochs,
  entryKey,
  type Meta,
  readBranches,
  readEntries,
  readEpochs,
  readKept,
  readLatestEntries,
  readTrims,
} from "./embedded-tables.ts";
import {
  decodeEntry,
  encodeHeader,
  encodeLost,
  lostHeader,
  lostId,
  lostType,
  maxAnnouncedBytes,
} from "./entry.ts";
import {
  type Accepted,
  type Appended,
  type DeadBranch,
  type EventEntry,
  type EventLog,
  type Known,
  type LatestValues,
  LogError,
  type LogListener,
  type LogRange,
  type LogSettings,
  type LogSize,
  type LogState,
  type LogWarning,
  type Lost,
  maxAsked,
  maxRange,
  type NewEvent,
} from "./event-log.ts";
import { shortHash } from "./short-hash.ts";

export interface EmbeddedLogOptions {
  /** The data folder; made if it is not there. */
  readonly dir: string;
  readonly settings: LogSettings;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

/**
 * Opens the log in a data folder. Rejects with `unusable` if the folder cannot be written or what is in it is not
 * ours, with `in_use` if another process holds it, with `not_writable` if its disk is full.
 */
export async function openEmbeddedLog({
  dir,
  settings,
  clock = Date.now,
}: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const folder = await prepareFolder(dir);
  const release = await holdFolder(folder);
  let store: Store | undefined;
  try {
    store = new Store(await openOurs(folder), folder, settings.commandTimeoutMs);
    const ledger = new Ledger(store.db, settings, clock);
    const quarantine = new EmbeddedQuarantine(store, clock);
    store.attach(ledger);
    store.attach(quarantine);
    await store.write(() => ledger.open());
    await syncFolders(dir, folder);
    const log = new EmbeddedLog({ store, ledger, quarantine, settings, clock, release });
    await sayWhatABackupLost(log, store);
    return log;
  } catch (error) {
    await store?.close();
    await release();
    throw error instanceof LogError ? error : damaged(folder, String(error), error);
  }
}

interface Parts {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly quarantine: EmbeddedQuarantine;
  readonly settings: LogSettings;
  readonly clock: () => number;
  readonly release: () => Promise<void>;
}

const contentBytes = 8;

/** A write that was flushed this lately shows that one would succeed now. */
const provenMs = 5_000;

export class EmbeddedLog implements EventLog {
  readonly engine = "embedded";
  readonly alone = true;
  readonly quarantine: EmbeddedQuarantine;
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #settings: LogSettings;
  readonly #clock: () => number;
  readonly #release: () => Promise<void>;
  readonly #listeners = new Set<LogListener>();
  #closing: Promise<void> | undefined;
  /** Read anew only when meta says that they changed. */
  #epochs: { readonly of: Epoch; readonly read: Epochs } | undefined;
  #trims: { readonly of: number; readonly read: ReadonlyMap<string, Sequence> } | undefined;

  constructor(parts: Parts) {
    this.quarantine = parts.quarantine;
    this.#store = parts.store;
    this.#ledger = parts.ledger;
    this.#settings = parts.settings;
    this.#clock = parts.clock;
    this.#release = parts.release;
  }

  /** How many transactions were flushed; accepts that come together share one. */
  get commits(): number {
    return this.#store.commits;
  }

  async accept(event: NewEvent, known: Known | undefined): Promise<Accepted> {
    this.#assertOpen();
    return (await this.#append(event, encodeHeader(event), known)).accepted;
  }

  async appendLost(lost: Lost, known: Known | undefined): Promise<Appended> {
    this.#assertOpen();
    const event = {
      id: lostId(lost),
      type: lostType,
      createdAt: 0,
      filters: [],
      body: encodeLost(lost),
    };
    const { accepted, bytes } = await this.#append(event, lostHeader, known);
    if (accepted.status !== "accepted" || bytes === undefined) return { status: "duplicate" };
    const entry = decodeEntry(accepted.entry.sequence, bytes);
    if (entry.kind !== "lost") throw new LogError("unusable", "what was appended as lost is not read so");
    return { status: "accepted", epoch: accepted.epoch, entry };
  }

  async unknownIds(ids: readonly string[], known: Known | undefined): Promise<ReadonlySet<string>> {
    this.#assertOpen();
    if (ids.length > maxAsked) throw new RangeError(`at most ${maxAsked} ids at once, got ${ids.length}`);
    await this.#follow(known);
    return this.#store.read(
      () => new Set(ids.filter((id) => this.#ledger.locate(digestOf(id)) === undefined)),
    );
  }

  async recordBranches(branches: readonly DeadBranch[], known: Known | undefined): Promise<void> {
    this.#assertOpen();
    await this.#follow(known);
    await this.#store.write(() => this.#ledger.record(branches));
  }

  #append(event: NewEvent, header: string, known: Known | undefined): Promise<Outcome> {
    const content = shortHash(event.body, contentBytes);
    const prepared = { event, header, digest: digestOf(event.id), content };
    return this.#store.write(
      () => this.#ledger.accept(prepared, known),
      (flushed) => this.#announce(flushed),
    );
  }

  async state(known: Known | undefined): Promise<LogState> {
    this.#assertOpen();
    const warnings = await this.#tryToWrite();
    await this.#follow(known);
    return this.#store.read((db) => {
      const meta = this.#ledger.meta();
      const { history, since } = this.#epochsAt(db, meta);
      return {
        history,
        branches: readBranches(db),
        head: meta.head,
        time: this.#clock(),
        epochAgeMs: Math.max(0, this.#clock() - since),
        trimmedThrough: this.#trimsAt(db, meta),
        retention: readKept(db),
        warnings,
      };
    });
  }

  async readRange(after: Sequence, through: Sequence, known: Known | undefined): Promise<LogRange> {
    this.#assertOpen();
    await this.#follow(known);
    return this.#store.read((db) => {
      const meta = this.#ledger.meta();
      const end = Math.max(after, Math.min(through, after + maxRange, meta.head));
      const entries = readEntries(db, after, end);
      return {
        epoch: meta.epoch,
        head: meta.head,
        trimmedThrough: this.#trimsAt(db, meta),
        after,
        through: end,
        entries,
      };
    });
  }

  async readLatest(known: Known | undefined): Promise<LatestValues> {
    this.#assertOpen();
    await this.#follow(known);
    return this.#store.read((db) => {
      const meta = this.#ledger.meta();
      return { history: this.#epochsAt(db, meta).history, head: meta.head, entries: readLatestEvents(db) };
    });
  }

  async readEvent(id: string): Promise<EventEntry | undefined> {
    this.#assertOpen();
    return this.#store.read((db) => {
      const sequence = this.#ledger.locate(digestOf(id));
      const bytes = sequence === undefined ? undefined : db.get(entryKey(sequence));
      if (sequence === undefined || bytes === undefined) return undefined;
      const entry = decodeEntry(sequence, bytes);
      return entry.kind === "event" ? entry : undefined;
    });
  }

  async listen(listener: LogListener): Promise<() => Promise<void>> {
    this.#assertOpen();
    // An object of its own for each call: the same listener may be given twice.
    const one: LogListener = {
      announced: (a) => listener.announced(a),
      reconnected: () => listener.reconnected(),
    };
    this.#listeners.add(one);
    return async () => {
      this.#listeners.delete(one);
    };
  }

  async trim(limit: number): Promise<number> {
    this.#assertOpen();
    this.#store.dropDeadReaders();
    const until = performance.now() + this.#settings.commandTimeoutMs / 2;
    let gone = 0;
    for (const type of this.#store.read(() => this.#ledger.expiredTypes())) {
      if (performance.now() > until) return gone;
      // One transaction for each type: accepts come in between.
      gone += await this.#store.write(() => this.#ledger.trimType(type, limit));
      this.#assertOpen();
    }
    const idsExpired = this.#store.read(() => this.#ledger.forgettableDay()) !== undefined;
    if (idsExpired) await this.#store.write(() => this.#ledger.forgetIds(limit));
    return gone;
  }

  size(): LogSize | undefined {
    return this.#store.size();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const slow = new AbortController();
    const timeout = sleep(this.#settings.commandTimeoutMs, "slow" as const, { signal: slow.signal }).catch(
      () => undefined,
    );
    const outcome = await Promise.race([this.#store.close(), timeout]);
    slow.abort();
    this.#listeners.clear();
    // A store that still writes must go on holding the folder; it goes with the process.
    if (outcome === "slow")
      throw new LogError("unavailable", "the event log's disk did not answer; what was accepted is on it");
    await this.#release();
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closed();
  }

  /** Starts a new epoch if the caller knows more of the running one than the log holds. */
  async #follow(known: Known | undefined): Promise<void> {
    if (known === undefined) return;
    const { epoch, head } = this.#store.read(() => this.#ledger.meta());
    if (known.epoch === epoch && known.sequence > head)
      await this.#store.write(() => this.#ledger.fork(known));
  }

  async #tryToWrite(): Promise<LogWarning[]> {
    if (this.#store.provenWithin(provenMs)) return [];
    try {
      if (this.#store.failed) {
        // On a disk that was full a small write may go through again where an event would not.
        await this.#store.write(() => this.#ledger.takeRoom());
        await this.#store.write(() => this.#ledger.giveRoom());
        this.#store.trust();
      } else await this.#store.write(() => this.#ledger.touch());
      return [];
    } catch (error) {
      if (!(error instanceof LogError) || (error.code !== "not_writable" && error.code !== "unavailable"))
        throw error;
      return [{ code: "not_writable", blocking: true, message: error.message }];
    }
  }

  #announce({ accepted, bytes }: Outcome): void {
    if (accepted.status !== "accepted" || bytes === undefined) return;
    const { epoch } = accepted;
    const { sequence } = accepted.entry;
    const entry = accepted.entry.type === lostType ? decodeEntry(sequence, bytes) : accepted.entry;
    const announcement = bytes.length > maxAnnouncedBytes ? { epoch, sequence } : { epoch, sequence, entry };
    for (const listener of this.#listeners) {
      try {
        listener.announced(announcement);
      } catch (error) {
        // A listener's mistake is not the log's: it surfaces by itself and stops nobody else.
        setImmediate(() => {
          throw error;
        });
      }
    }
  }

  #epochsAt(db: Database, { epoch }: Meta): Epochs {
    if (this.#epochs?.of !== epoch) this.#epochs = { of: epoch, read: readEpochs(db) };
    return this.#epochs.read;
  }

  #trimsAt(db: Database, { trims }: Meta): ReadonlyMap<string, Sequence> {
    if (this.#trims?.of !== trims) this.#trims = { of: trims, read: readTrims(db) };
    return this.#trims.read;
  }
}

function readLatestEvents(db: Database): EventEntry[] {
  return readLatestEntries(db).filter((entry) => entry.kind === "event");
}

function digestOf(id: string): Buffer {
  return shortHash(id, digestBytes);
}
