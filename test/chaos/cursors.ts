/** Cursors taken apart, and where in the log of the end each of them stands. */
import type { Stored } from "./history.ts";

export interface Place {
  readonly epoch: string;
  readonly sequence: number;
}

export function placeOf(cursor: string): Place {
  const dash = cursor.lastIndexOf("-");
  return { epoch: cursor.slice(0, dash), sequence: Number(cursor.slice(dash + 1)) };
}

/**
 * The sequence in the log of the end that a cursor stands at: its own, cut down to the last event of its epoch that is
 * still there. An epoch of which nothing is left counts as it is, so that too little is owed rather than too much.
 */
export function locator(stored: readonly Stored[]): (cursor: string) => number {
  const ends = new Map<string, number>();
  for (const { cursor } of stored) {
    const { epoch, sequence } = placeOf(cursor);
    ends.set(epoch, Math.max(sequence, ends.get(epoch) ?? 0));
  }
  return (cursor) => {
    const { epoch, sequence } = placeOf(cursor);
    return Math.min(sequence, ends.get(epoch) ?? sequence);
  };
}

/** Follows cursors in the order they come: upwards in an epoch, never back to one that was left. */
export class Course {
  readonly #left = new Set<string>();
  #last: Place | undefined;

  /** What is wrong with the next one; it counts all the same. */
  next(cursor: string): string | undefined {
    const place = placeOf(cursor);
    const last = this.#last;
    this.#last = place;
    if (last === undefined) return undefined;
    if (place.epoch === last.epoch) {
      return place.sequence > last.sequence
        ? undefined
        : `${cursor} came after ${last.epoch}-${last.sequence}`;
    }
    this.#left.add(last.epoch);
    return this.#left.has(place.epoch) ? `${cursor} is of an epoch that had been left` : undefined;
  }
}
