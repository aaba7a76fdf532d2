/**
 * Paces handshakes when thousands of clients come back at once: so many are under way together, the others wait in the
 * order they came, and who would wait too long is sent away at once, to come back later. A handshake that was begun is
 * then finished before the client gives it up, and live delivery keeps its share of the processor.
 *
 *     waiting ── a place is free ─▶ under way ── left, or its time is over ─▶ done
 *        │
 *        └── the queue is full, the wait too long, or it hung up ─▶ refused, gone
 */

export interface AdmissionLimits {
  /** Handshakes under way together. */
  readonly atOnce: number;
  /** Those who wait; more are refused. */
  readonly waiting: number;
  /** Longest wait in milliseconds; well below the patience of a client. */
  readonly waitMs: number;
  /** How long one that goes no further keeps its place from others, in milliseconds. */
  readonly placeMs: number;
}

const admissionLimits: AdmissionLimits = { atOnce: 128, waiting: 4_000, waitMs: 4_000, placeMs: 500 };

export interface Newcomer {
  /** Its turn; `leave` gives its place to the next, and may be called more than once. */
  admitted(leave: () => void): void;
  /** There is no turn for it now. */
  refused(): void;
}

interface Waiting {
  readonly newcomer: Newcomer;
  readonly since: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #queue = new Set<Waiting>();
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #scheduled = false;

  constructor(limits: AdmissionLimits = admissionLimits) {
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** The function takes it out of the queue again; without effect once it had its turn. */
  enter(newcomer: Newcomer): () => void {
    if (this.#queue.size === 0 && this.#underWay < this.#limits.atOnce) {
      this.#admit(newcomer);
      return () => undefined;
    }
    if (this.#queue.size >= this.#limits.waiting) {
      newcomer.refused();
      return () => undefined;
    }
    const waiting: Waiting = { newcomer, since: performance.now() };
    this.#queue.add(waiting);
    this.#watch();
    return () => {
      this.#queue.delete(waiting);
    };
  }

  /** Refuses all who wait. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const waiting of this.#queue) {
      this.#queue.delete(waiting);
      waiting.newcomer.refused();
    }
  }

  #admit(newcomer: Newcomer): void {
    this.#underWay++;
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      clearTimeout(timer);
      this.#underWay--;
      this.#next();
    };
    const timer = setTimeout(leave, this.#limits.placeMs);
    newcomer.admitted(leave);
  }

  /** Not at once: what else has waited for this turn of the loop comes first. */
  #next(): void {
    if (this.#scheduled || this.#queue.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const waiting of this.#queue) {
        if (this.#underWay >= this.#limits.atOnce) return;
        this.#queue.delete(waiting);
        this.#admit(waiting.newcomer);
      }
    });
  }

  /** The first in the queue has waited longest. */
  #watch(): void {
    if (this.#timer !== undefined) return;
    const [first] = this.#queue;
    if (first === undefined) return;
    const left = first.since + this.#limits.waitMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        const now = performance.now();
        for (const waiting of this.#queue) {
          if (now - waiting.since < this.#limits.waitMs) break;
          this.#queue.delete(waiting);
          waiting.newcomer.refused();
        }
        this.#watch();
      },
      Math.max(left, 1),
    );
  }
}
