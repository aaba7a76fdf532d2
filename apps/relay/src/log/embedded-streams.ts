/**
 * The entries of each type, oldest first, and what was removed of them. Runs inside transactions and looks of
 * `embedded-store.ts`; names, counts and trims are kept in memory.
 */
import type { Sequence } from "@sharmo-relay/protocol";
import type { Database } from "./embedded-database.ts";
import {
  entryKey,
  indexKey,
  last,
  numberIn,
  readTrims,
  readTypes,
  type TypeRecord,
  timeIn,
  timeValue,
  trimsKey,
  typeKey,
} from "./embedded-tables.ts";
import type { EventEntry, Retention } from "./event-log.ts";
import { ruleFor } from "./retention.ts";

export class Streams {
  readonly #db: Database;
  #types = new Map<string, TypeRecord>();
  #trims = new Map<string, Sequence>();
  #changed = new Set<TypeRecord>();
  #trimmed = false;

  constructor(db: Database) {
    this.#db = db;
  }

  /** How many types there are, those of which everything was removed included. */
  get size(): number {
    return this.#types.size;
  }

  has(type: string): boolean {
    return this.#types.has(type);
  }

  load(): void {
    this.#types = new Map([...readTypes(this.#db)].map((type) => [type.name, type]));
    this.#trims = readTrims(this.#db);
    this.forgetChanges();
  }

  /** At the end of a transaction. */
  save(): void {
    for (const type of this.#changed) {
      const record = JSON.stringify({ name: type.name, count: type.count });
      void this.#db.put(typeKey(type.number), Buffer.from(record));
    }
    if (this.#trimmed)
      void this.#db.put(trimsKey, Buffer.from(JSON.stringify(Object.fromEntries(this.#trims))));
    this.forgetChanges();
  }

  forgetChanges(): void {
    this.#changed = new Set();
    this.#trimmed = false;
  }

  append(entry: EventEntry, bytes: Buffer): void {
    const type = this.#types.get(entry.type) ?? this.#add(entry.type);
    void this.#db.put(entryKey(entry.sequence), bytes);
    void this.#db.put(indexKey(type.number, entry.sequence), timeValue(entry.at));
    type.count++;
    this.#changed.add(type);
  }

  /** Removes what is past its retention, the oldest first. Returns how many entries went. */
  trim(name: string, retention: Retention, now: number, limit: number): number {
    const type = this.#types.get(name);
    if (type === undefined) return 0;
    const rows = this.#oldest(type, limit);
    const gone = countExpired(
      type,
      retention,
      now,
      rows.map((row) => row.at),
    );
    const sequences = rows.slice(0, gone).map((row) => row.sequence);
    for (const sequence of sequences) {
      void this.#db.remove(indexKey(type.number, sequence));
      void this.#db.remove(entryKey(sequence));
    }
    const through = sequences.at(-1);
    if (through === undefined) return 0;
    type.count -= gone;
    this.#trims.set(name, through);
    this.#changed.add(type);
    this.#trimmed = true;
    return gone;
  }

  /** Types of which `trim` may remove something. */
  expired(retention: Retention, now: number): string[] {
    const mayExpire = (type: TypeRecord) => {
      const [first] = this.#oldest(type, 1);
      return first !== undefined && (first.at > now || countExpired(type, retention, now, [first.at]) > 0);
    };
    return [...this.#types.values()].filter(mayExpire).map((type) => type.name);
  }

  #oldest(type: TypeRecord, limit: number): { sequence: Sequence; at: number }[] {
    const range = { start: indexKey(type.number, 0), end: indexKey(type.number, last), limit };
    return [...this.#db.getRange(range)].map(({ key, value }) => ({
      sequence: numberIn(key),
      at: timeIn(value),
    }));
  }

  #add(name: string): TypeRecord {
    const type = { number: this.#types.size + 1, name, count: 0 };
    this.#types.set(name, type);
    return type;
  }
}

/** How many of the oldest entries of a type, received at these times, are past their retention. */
function countExpired(type: TypeRecord, retention: Retention, now: number, times: readonly number[]): number {
  const { maxAgeMs, maxCount } = ruleFor(retention, type.name);
  let gone = maxCount === undefined ? 0 : Math.min(times.length, Math.max(0, type.count - maxCount));
  for (const [i, at] of times.entries()) {
    if (now - at > maxAgeMs) gone = Math.max(gone, i + 1);
    // A time that is yet to come was written before the clock was set back: what follows decides.
    else if (at <= now) break;
  }
  return gone;
}
