/**
 * Pages of the log for those who catch up: aligned blocks, each read once for all who need it, and kept for as long
 * as they are likely to be asked for again.
 */
import type { Epoch, Sequence } from "@sharmo-relay/protocol";
import { type LogRange, maxRange } from "../log/event-log.ts";

const maxCached = 64;
/** A page is kept for a storm of clients, not for ever: what retention took must be missed soon. Milliseconds. */
const keptMs = 5_000;

interface Cached {
  readonly epoch: Epoch;
  readonly range: LogRange;
  readonly readAt: number;
}

export class Pages {
  readonly #cache = new Map<Sequence, Cached>();
  readonly #reading = new Map<string, Promise<LogRange>>();
  readonly #read: (after: Sequence, through: Sequence) => Promise<LogRange>;

  constructor(read: (after: Sequence, through: Sequence) => Promise<LogRange>) {
    this.#read = read;
  }

  /**
   * The page that holds what comes after `position`, up to `target` at most. The answer may begin before `position`
   * and was read in one atomic look; `epoch` is the running epoch the caller believes in. Rejects as the log does.
   */
  async after(position: Sequence, target: Sequence, epoch: Epoch): Promise<LogRange> {
    const start = position - (position % maxRange);
    const through = Math.min(start + maxRange, target);
    const cached = this.#cache.get(start);
    if (cached !== undefined) {
      const fresh = performance.now() - cached.readAt < keptMs;
      if (fresh && cached.epoch === epoch && cached.range.through >= through) return cached.range;
      this.#cache.delete(start);
    }
    const key = `${epoch} ${start} ${through}`;
    const running = this.#reading.get(key);
    if (running !== undefined) return running;
    const readAt = performance.now();
    const reading = this.#read(start, through).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    const range = await reading;
    if (range.epoch === epoch) this.#keep(start, { epoch, range, readAt });
    return range;
  }

  /** The log is another one, or entries went: nothing kept counts any more. */
  forget(): void {
    this.#cache.clear();
    this.#reading.clear();
  }

  #keep(start: Sequence, cached: Cached): void {
    this.#cache.delete(start);
    this.#cache.set(start, cached);
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= maxCached) break;
      this.#cache.delete(oldest);
    }
  }
}
