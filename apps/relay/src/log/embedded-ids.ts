/**
 * Which ids the embedded log knows, in slices by the day of receipt, so that old ones go by the slice. Runs inside
 * transactions and looks of `embedded-store.ts`.
 */
import type { Sequence } from "@sharmo-relay/protocol";
import type { Database } from "./embedded-database.ts";
import {
  dayIn,
  idKey,
  lastDay,
  lastDigest,
  type Remembered,
  readRemembered,
  rememberedValue,
} from "./embedded-tables.ts";

export const dayMs = 86_400_000;

const firstDigest = Buffer.alloc(0);

export class IdIndex {
  readonly #db: Database;
  /** Days of which ids are kept, the newest first. */
  #days: number[] = [];

  constructor(db: Database) {
    this.#db = db;
  }

  load(): void {
    const days: number[] = [];
    let from = 0;
    for (;;) {
      const [key] = this.#db.getKeys({
        start: idKey(from, firstDigest),
        end: idKey(lastDay, lastDigest),
        limit: 1,
      });
      if (key === undefined) break;
      days.push(dayIn(key));
      from = dayIn(key) + 1;
    }
    this.#days = days.reverse();
  }

  find(digest: Buffer): Remembered | undefined {
    for (const day of this.#days) {
      const value = this.#db.get(idKey(day, digest));
      if (value !== undefined) return readRemembered(value);
    }
    return undefined;
  }

  remember(at: number, digest: Buffer, sequence: Sequence, content: Buffer): void {
    const day = dayOf(at);
    if (!this.#days.includes(day)) this.#days = [...this.#days, day].sort((a, b) => b - a);
    void this.#db.put(idKey(day, digest), rememberedValue({ sequence, content }));
  }

  /** The oldest day of which ids are kept. */
  get oldest(): number | undefined {
    return this.#days.at(-1);
  }

  /** Forgets ids of a day, at most `limit`. */
  forget(day: number, limit: number): void {
    const keys = [
      ...this.#db.getKeys({ start: idKey(day, firstDigest), end: idKey(day, lastDigest), limit }),
    ];
    for (const key of keys) void this.#db.remove(key);
    if (keys.length < limit) this.#days = this.#days.filter((d) => d !== day);
  }
}

export function dayOf(at: number): number {
  return Math.floor(at / dayMs);
}
