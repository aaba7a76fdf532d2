/**
 * The recent entries of this node: an unbroken run that ends at the node's position. Bounded by count, bytes and
 * age; what falls out is read from the log by those who need it.
 */
import type { Sequence } from "@sharmo-relay/protocol";
import type { Entry, Retention } from "../log/event-log.ts";

export interface MemoryLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** At most two thirds of the shortest retention, or a repair would report gaps that are none. */
  readonly maxAgeMs: number;
}

/** Memory never reaches further back than two thirds of the shortest retention, in age and in count (M). */
export function memoryLimits(
  wanted: Pick<MemoryLimits, "maxEntries" | "maxBytes">,
  retention: Retention,
): MemoryLimits {
  const rules = [retention.default, ...retention.types.values()];
  const age = Math.min(...rules.map((rule) => rule.maxAgeMs));
  const count = Math.min(...rules.map((rule) => rule.maxCount ?? Number.POSITIVE_INFINITY));
  return {
    maxEntries: Math.max(1, Math.min(wanted.maxEntries, Math.floor((count * 2) / 3))),
    maxBytes: wanted.maxBytes,
    maxAgeMs: (age * 2) / 3,
  };
}

export class Memory {
  /** Entries of (start, start + length]; the first `#skip` slots of the array are already dropped. */
  #entries: (Entry | undefined)[] = [];
  #skip = 0;
  #start: Sequence;
  #bytes = 0;
  readonly #limits: MemoryLimits;

  constructor(start: Sequence, limits: MemoryLimits) {
    this.#start = start;
    this.#limits = limits;
  }

  /** Memory holds everything after this sequence. */
  get start(): Sequence {
    return this.#start;
  }

  get end(): Sequence {
    return this.#start + this.length;
  }

  get length(): number {
    return this.#entries.length - this.#skip;
  }

  get bytes(): number {
    return this.#bytes;
  }

  at(sequence: Sequence): Entry | undefined {
    return this.#entries[this.#skip + sequence - this.#start - 1];
  }

  /** `entry.sequence` must be `end + 1`. `now` is the log's time, in milliseconds. */
  push(entry: Entry, now: number): void {
    if (entry.sequence !== this.end + 1)
      throw new RangeError(`memory ends at ${this.end}, got ${entry.sequence}`);
    this.#entries.push(entry);
    this.#bytes += weight(entry);
    this.expire(now);
  }

  expire(now: number): void {
    const { maxEntries, maxBytes, maxAgeMs } = this.#limits;
    for (;;) {
      const oldest = this.#entries[this.#skip];
      if (oldest === undefined) break;
      if (this.length <= maxEntries && this.#bytes <= maxBytes && now - oldest.at <= maxAgeMs) break;
      this.#entries[this.#skip] = undefined;
      this.#skip++;
      this.#start++;
      this.#bytes -= weight(oldest);
    }
    if (this.#skip > 1024 && this.#skip * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#skip);
      this.#skip = 0;
    }
  }

  /** Forgets everything after `sequence`. */
  truncate(sequence: Sequence): void {
    if (sequence < this.#start) return this.restart(sequence);
    for (const entry of this.#entries.splice(this.#skip + sequence - this.#start)) {
      if (entry !== undefined) this.#bytes -= weight(entry);
    }
  }

  /** Forgets everything; memory begins after `sequence`. */
  restart(sequence: Sequence): void {
    this.#entries = [];
    this.#skip = 0;
    this.#bytes = 0;
    this.#start = sequence;
  }
}

/** About what an entry keeps alive, in bytes. */
function weight(entry: Entry): number {
  return entry.body.length + 512;
}
