/**
 * The newest event of each type and entity: "newest" by `created_at`, capped at five minutes ahead of receipt; of
 * two with the same time the one with the higher sequence. A `property.deleted` removes all that is older of its
 * property and stays as a marker, so that a late update does not bring the property back.
 */
import { groupOf, primaryKeyOf } from "@sharmo-relay/protocol";
import { createdAtLeadMs, type EventEntry } from "./event-log.ts";

/** The type whose events remove their entity. They are markers in the table and in no snapshot. */
export const removingType = "property.deleted";

/** The time that decides, in microseconds. */
function effectiveTime(createdAt: number, at: number): number {
  return Math.min(createdAt, (at + createdAtLeadMs) * 1000);
}

/** What the rule looks at; a log may keep no more than this in memory. */
export type LatestRow = Pick<EventEntry, "sequence" | "type" | "entity" | "createdAt" | "at" | "late">;

export class LatestTable<Row extends LatestRow = EventEntry> {
  readonly #entries = new Map<string, Row>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** True if an event of the same type and entity, or the removal of the entity, is newer. */
  isLate(event: Pick<EventEntry, "type" | "entity" | "createdAt" | "at">): boolean {
    if (event.entity === undefined || primaryKeyOf(event.type) === undefined) return false;
    const time = effectiveTime(event.createdAt, event.at);
    return [event.type, ...(groupOf(event.type) === groupOf(removingType) ? [removingType] : [])].some(
      (type) => {
        const held = this.#entries.get(keyOf(type, event.entity ?? ""));
        return held !== undefined && effectiveTime(held.createdAt, held.at) > time;
      },
    );
  }

  /**
   * Takes an entry in; `entry.late` must be what the log found. Entries come in the log's order. Returns what it
   * pushed out, or undefined if the entry is none for the table.
   */
  apply(entry: Row): Row[] | undefined {
    const { entity } = entry;
    if (entry.late || entity === undefined || primaryKeyOf(entry.type) === undefined) return undefined;
    const key = keyOf(entry.type, entity);
    const removed = this.#take([key]);
    this.#entries.set(key, entry);
    if (entry.type === removingType)
      removed.push(...this.#take(this.#olderOf(entity, effectiveTime(entry.createdAt, entry.at))));
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max) break;
      removed.push(...this.#take([oldest]));
    }
    return removed;
  }

  #olderOf(entity: string, time: number): string[] {
    const prefix = `${groupOf(removingType)}.`;
    const older: string[] = [];
    for (const [key, held] of this.#entries) {
      if (held.entity !== entity || held.type === removingType || !held.type.startsWith(prefix)) continue;
      if (effectiveTime(held.createdAt, held.at) <= time) older.push(key);
    }
    return older;
  }

  #take(keys: readonly string[]): Row[] {
    return keys.flatMap((key) => {
      const held = this.#entries.get(key);
      return this.#entries.delete(key) && held !== undefined ? [held] : [];
    });
  }

  /** The newest event of a type and entity, a removed marker included. */
  newest(type: string, entity: string): Row | undefined {
    return this.#entries.get(keyOf(type, entity));
  }

  /** Everything in the table, markers included, the lowest sequence first. */
  entries(): Row[] {
    return [...this.#entries.values()];
  }

  /** What a snapshot shows. */
  values(): Row[] {
    return this.entries().filter((entry) => entry.type !== removingType);
  }

  /** Puts back what the log holds; `entries` in any order. */
  load(entries: readonly Row[]): void {
    this.#entries.clear();
    for (const entry of [...entries].sort((a, b) => a.sequence - b.sequence)) {
      this.#entries.set(keyOf(entry.type, entry.entity ?? ""), entry);
    }
  }
}

export function keyOf(type: string, entity: string): string {
  return `${type}\n${entity}`;
}
