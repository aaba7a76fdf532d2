/**
 * LMDB, and the one way to write to it: actions that wait at the same time run in one transaction and share one
 * flush to disk, in the order they came.
 *
 * - A transaction is all or nothing: if any action throws, none of it remains and all its actions are rejected.
 * - An action's `flushed` callback runs after the flush, in the order of the actions, and only then its promise
 *   resolves. It runs also if the caller has given up waiting.
 * - A look (`read`) is one snapshot. It is synchronous, so no snapshot outlives a turn and pins freed pages.
 *
 * A failed commit has a `commitError` that hangs on its error: it is taken from there, so that no handler for the
 * whole process is needed. If the commit failed in a way that LMDB does not recover from, the database is opened anew.
 */
import { setImmediate } from "node:timers/promises";
import { type Database, LiveDatabase } from "./embedded-database.ts";
import { codeOf } from "./embedded-folder.ts";
import { sizeOf } from "./embedded-size.ts";
import { LogError, type LogSize } from "./event-log.ts";

/** A copy in memory of something in the store. It is told what happens to the transactions that change it. */
export interface Copy {
  /** At the start of each transaction. */
  begin(): void;
  /** At its end: writes what changed. */
  end(): void;
  /** The transaction failed: what is in memory may never have been written. */
  spoil(): void;
}

interface Job {
  /** The caller no longer waits. */
  abandoned: boolean;
  run(): void;
  flushed(): void;
  fail(error: LogError): void;
}

/** Most actions in one transaction: they hold up the event loop together. */
const maxBatch = 256;

export class Store {
  readonly db: Database;
  readonly #live: LiveDatabase;
  readonly #folder: string;
  readonly #timeoutMs: number;
  readonly #copies: Copy[] = [];
  #queue: Job[] = [];
  #loop: Promise<void> | undefined;
  #commits = 0;
  #status: "open" | "closing" | "closed" = "open";
  /** When a transaction was last flushed, by the process's own clock. */
  #provenAt = Number.NEGATIVE_INFINITY;
  #failed = false;

  constructor(root: Database, folder: string, timeoutMs: number) {
    this.#live = new LiveDatabase(root, folder);
    this.db = this.#live;
    this.#folder = folder;
    this.#timeoutMs = timeoutMs;
  }

  /** How many transactions were flushed. */
  get commits(): number {
    return this.#commits;
  }

  /** True if a transaction was flushed this lately, and none failed since `trust` was last called. */
  provenWithin(ms: number): boolean {
    return !this.#failed && performance.now() - this.#provenAt < ms;
  }

  /** A transaction failed since `trust` was last called. */
  get failed(): boolean {
    return this.#failed;
  }

  trust(): void {
    this.#failed = false;
  }

  /** Takes part in every transaction from now on. */
  attach(copy: Copy): void {
    this.#copies.push(copy);
  }

  write<T>(action: () => T, flushed?: (value: T) => void): Promise<T> {
    if (this.#status !== "open") return Promise.reject(closed());
    return new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      const giveUp = setTimeout(() => {
        job.abandoned = true;
        reject(
          new LogError(
            "unavailable",
            `the event log's disk did not answer within ${this.#timeoutMs} ms (${this.#folder})`,
          ),
        );
      }, this.#timeoutMs);
      const job: Job = {
        abandoned: false,
        run: () => {
          result = { value: action() };
        },
        flushed: () => {
          clearTimeout(giveUp);
          if (result === undefined) return;
          flushed?.(result.value);
          resolve(result.value);
        },
        fail: (error) => {
          clearTimeout(giveUp);
          reject(error);
        },
      };
      this.#queue.push(job);
      this.#loop ??= this.#commitAll();
    });
  }

  /** One look: everything `look` reads stands in the same snapshot, the newest. */
  read<T>(look: (db: Database) => T): T {
    if (this.#status === "closed") throw closed();
    try {
      this.db.resetReadTxn();
      return look(this.db);
    } catch (cause) {
      if (cause instanceof LogError) throw cause;
      if (!this.#live.lives)
        throw new LogError("unavailable", `the disk of ${this.#folder} failed`, { cause });
      throw new LogError("unusable", `the event log cannot be read (${this.#folder}): ${String(cause)}`, {
        cause,
      });
    } finally {
      this.#endLook();
    }
  }

  /** So that no snapshot outlives the look. */
  #endLook(): void {
    try {
      this.db.resetReadTxn();
    } catch {
      // It was given up, and the look has failed already: there is no snapshot.
    }
  }

  /**
   * What a process that ended in the middle of a look (a backup, say) still holds is given free: pages it could see
   * are not used again before that, and the file would grow.
   */
  dropDeadReaders(): void {
    if (this.#live.lives) this.db.readerCheck();
  }

  /** Undefined when it cannot be told, closed for example. */
  size(): LogSize | undefined {
    try {
      return this.read((db) => sizeOf(db, this.#folder));
    } catch {
      return undefined;
    }
  }

  /** Writes what waits, then closes. */
  async close(): Promise<void> {
    this.#status = "closing";
    await this.#loop;
    this.#status = "closed";
    await this.db.close();
  }

  async #commitAll(): Promise<void> {
    while (this.#queue.length > 0) await this.#commit();
    this.#loop = undefined;
  }

  async #commit(): Promise<void> {
    let batch: Job[] | undefined;
    try {
      if (this.#failed) await this.#live.revive();
      await this.db.childTransaction(() => {
        batch = this.#take();
        for (const copy of this.#copies) copy.begin();
        for (const job of batch) job.run();
        for (const copy of this.#copies) copy.end();
      });
    } catch (error) {
      this.#failed = true;
      const problem = await this.#explain(error);
      // So that looks go on; if it cannot be opened now, the next commit tries again.
      await this.#live.revive().catch(() => undefined);
      for (const copy of this.#copies) copy.spoil();
      for (const job of batch ?? this.#take()) job.fail(problem);
      return;
    }
    this.#commits++;
    this.#provenAt = performance.now();
    for (const job of batch ?? []) job.flushed();
  }

  #take(): Job[] {
    const batch = this.#queue.slice(0, maxBatch);
    this.#queue = this.#queue.slice(maxBatch);
    return batch.filter((job) => !job.abandoned);
  }

  async #explain(error: unknown): Promise<LogError> {
    if (error instanceof LogError) return error;
    let cause = error;
    if (error instanceof Error && "commitError" in error && error.commitError instanceof Promise) {
      error.commitError.catch((reason: unknown) => {
        cause = reason;
      });
      await setImmediate();
    }
    // Only errors of LMDB and of the system are numbered: anything else is a mistake of ours.
    if (cause === error && typeof codeOf(error) !== "number") {
      return new LogError("unavailable", `a transaction of the event log failed: ${String(error)}`, {
        cause,
      });
    }
    // LMDB adds which page it was about to write.
    const [why] = (cause instanceof Error ? cause.message : String(cause)).split(":");
    return new LogError(
      "not_writable",
      `the event log takes no writes (${why}): is the disk of ${this.#folder} full?`,
      { cause },
    );
  }
}

export function closed(): LogError {
  return new LogError("closed", "the event log is closed");
}
