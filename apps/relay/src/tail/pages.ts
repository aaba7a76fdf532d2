/**
 * Pages of the log for those who catch up: aligned blocks, each read once for all who need it, and kept for as long
 * as they are likely to be asked for again.
 */
import type { Epoch, Sequence } from "@sharmo-relay/protocol";
import { type LogRange, maxRange } from "../log/event-log.ts";

const maxCached = 64;
const maxCachedBytes = 32 * 1024 * 1024;
/** A page is kept for a storm of clients, not for ever: what retention took must be missed soon. Milliseconds. */
const keptMs = 5_000;

interface Cached {
  readonly epoch: Epoch;
  readonly range: LogRange;
  /** Up to where it was read for. */
  readonly asked: Sequence;
  readonly bytes: number;
  readonly readAt: number;
}

export class Pages {
  readonly #cache = new Map<Sequence, Cached>();
  #bytes = 0;
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
    const page = await this.#page(start, through, epoch);
    if (page.epoch !== epoch || page.through > position) return page;
    // the log ends an answer early where entries are large: the rest of the block is read from here
    return this.#page(position, through, epoch);
  }

  async #page(start: Sequence, through: Sequence, epoch: Epoch): Promise<LogRange> {
    const cached = this.#fresh(start, through, epoch);
    if (cached !== undefined) return cached;
    const key = `${epoch} ${start} ${through}`;
    const running = this.#reading.get(key);
    if (running !== undefined) return running;
    const readAt = performance.now();
    const reading = this.#read(start, through).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    const range = await reading;
    if (range.epoch === epoch)
      this.#keep(start, { epoch, range, asked: through, bytes: bytesOf(range), readAt });
    return range;
  }

  /** One that reaches `through`, or that the log would end early again. */
  #fresh(start: Sequence, through: Sequence, epoch: Epoch): LogRange | undefined {
    const cached = this.#cache.get(start);
    if (cached === undefined) return undefined;
    const { range, asked, readAt } = cached;
    const endedEarly = range.through < Math.min(asked, range.head);
    const fresh = performance.now() - readAt < keptMs && cached.epoch === epoch;
    if (fresh && (range.through >= through || endedEarly)) return range;
    this.#drop(start);
    return undefined;
  }

  /** The log is another one, or entries went: nothing kept counts any more. */
  forget(): void {
    this.#cache.clear();
    this.#reading.clear();
    this.#bytes = 0;
  }

  #keep(start: Sequence, cached: Cached): void {
    this.#drop(start);
    this.#cache.set(start, cached);
    this.#bytes += cached.bytes;
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= maxCached && this.#bytes <= maxCachedBytes) break;
      this.#drop(oldest);
    }
  }

  #drop(start: Sequence): void {
    this.#bytes -= this.#cache.get(start)?.bytes ?? 0;
    this.#cache.delete(start);
  }
}

function bytesOf(range: LogRange): number {
  return range.entries.reduce((sum, entry) => sum + entry.body.length, 0);
}
