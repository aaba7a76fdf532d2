/**
 * The embedded log's quarantine. Items are numbered anew each time they come, so that their keys stand in the order
 * of `lastAt`; which id has which number is kept in memory, for those who write.
 *
 *     {"id":…,"reason":…,"message":…,"firstAt":…,"lastAt":…,"count":…}\n
 *     <body>
 */
import type { Database } from "./embedded-database.ts";
import type { Copy, Store } from "./embedded-store.ts";
import { last, numberIn, parse, quarantineKey } from "./embedded-tables.ts";
import { LogError, type Quarantine, type QuarantineItem } from "./event-log.ts";

const maxItems = 1_000;
const maxBytes = 16 * 1024 * 1024;

interface Held {
  readonly number: number;
  readonly bytes: number;
}

type Put = Parameters<Quarantine["put"]>[0];

export class EmbeddedQuarantine implements Quarantine, Copy {
  readonly #store: Store;
  readonly #db: Database;
  readonly #clock: () => number;
  /** By id, the oldest first. */
  #held = new Map<string, Held>();
  #bytes = 0;
  #next = 1;
  #spoiled = true;

  constructor(store: Store, clock: () => number) {
    this.#store = store;
    this.#db = store.db;
    this.#clock = clock;
  }

  begin(): void {
    if (!this.#spoiled) return;
    this.#held.clear();
    this.#bytes = 0;
    for (const item of this.#range()) this.#hold(item.id, item.number, item.body.length);
    this.#spoiled = false;
  }

  end(): void {
    // Every change is written where it is made.
  }

  spoil(): void {
    this.#spoiled = true;
  }

  async put(item: Put): Promise<void> {
    await this.#store.write(() => this.#put(item));
  }

  async list(limit: number): Promise<QuarantineItem[]> {
    return this.#store.read(() =>
      [...this.#range({ reverse: true, limit })].map(({ number: _, ...item }) => item),
    );
  }

  async get(id: string): Promise<QuarantineItem | undefined> {
    // What is in memory may be ahead of what a look sees: it is no help here.
    return (await this.list(maxItems)).find((item) => item.id === id);
  }

  async remove(id: string): Promise<boolean> {
    return this.#store.write(() => this.#remove(id));
  }

  #put({ id, reason, message, body }: Put): void {
    const now = this.#clock();
    const before = this.#get(id);
    const number = this.#next;
    this.#remove(id);
    const head = {
      id,
      reason,
      message,
      firstAt: before?.firstAt ?? now,
      lastAt: now,
      count: (before?.count ?? 0) + 1,
    };
    void this.#db.put(quarantineKey(number), Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body]));
    this.#hold(id, number, body.length);
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= maxItems && this.#bytes <= maxBytes) break;
      this.#remove(oldest);
    }
  }

  #hold(id: string, number: number, bytes: number): void {
    this.#held.set(id, { number, bytes });
    this.#bytes += bytes;
    this.#next = number + 1;
  }

  #get(id: string): QuarantineItem | undefined {
    const held = this.#held.get(id);
    const value = held === undefined ? undefined : this.#db.get(quarantineKey(held.number));
    return value === undefined ? undefined : decodeItem(value);
  }

  #remove(id: string): boolean {
    const held = this.#held.get(id);
    if (held === undefined) return false;
    this.#held.delete(id);
    this.#bytes -= held.bytes;
    void this.#db.remove(quarantineKey(held.number));
    return true;
  }

  *#range(options: { reverse?: true; limit?: number } = {}): Generator<QuarantineItem & { number: number }> {
    const [low, high] = [quarantineKey(0), quarantineKey(last)];
    const [start, end] = options.reverse === true ? [high, low] : [low, high];
    for (const { key, value } of this.#db.getRange({ ...options, start, end })) {
      yield { ...decodeItem(value), number: numberIn(key) };
    }
  }
}

const reasons: readonly QuarantineItem["reason"][] = [
  "stale_signature",
  "invalid_event",
  "invalid_json",
  "id_reused",
  "schema",
  "too_many_types",
];

function decodeItem(value: Buffer): QuarantineItem {
  const end = value.indexOf("\n");
  const { id, reason, message, firstAt, lastAt, count } = parse(value.subarray(0, Math.max(end, 0)));
  const known = reasons.find((r) => r === reason);
  if (typeof id !== "string" || known === undefined || typeof message !== "string") throw unreadable();
  if (typeof firstAt !== "number" || typeof lastAt !== "number" || typeof count !== "number")
    throw unreadable();
  return { id, reason: known, message, firstAt, lastAt, count, body: value.subarray(end + 1) };
}

function unreadable(): LogError {
  return new LogError("unusable", "an item of the event log's quarantine cannot be read");
}
