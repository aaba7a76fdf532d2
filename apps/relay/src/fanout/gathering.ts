/**
 * When what waits for a sink is written: with the turn of the event loop in which it came, or later together with
 * what follows. A write costs ten times what the frames in it cost, so a node that has no time for each write makes
 * fewer of them.
 *
 *     quiet ── a frame ─▶ written at the end of the turn ─▶ busy ── the window is over, nothing came ─▶ quiet
 *                                                           │ ▲
 *                                         a frame: it waits ▼ │ at most a window, then all that waits in one write
 *                                                         gathering
 *
 * While the node has time to spare, a busy sink is served as a quiet one.
 */

export interface Gathered {
  /** When it was last written to, in milliseconds by `performance.now()`. */
  readonly writtenAt: number;
  /** Writes what waits, if anything does. */
  flush(now: number): void;
}

/** The share of the time that may go into writes before sinks begin to gather. */
const share = 0.5;
/** So much of it can be saved up for a burst, and so much can be owed, in milliseconds of writing. */
const saved = 20;
const owed = 100;

/** Time left for writes: it comes with the time that passes, and goes with the time that writes take. Pure. */
export class WriteTime {
  #left: number = saved;
  #at: number;

  constructor(now: number) {
    this.#at = now;
  }

  spend(ms: number, now: number): void {
    this.#left = Math.max(-owed, this.left(now) - ms);
  }

  left(now: number): number {
    this.#left = Math.min(saved, this.#left + Math.max(0, now - this.#at) * share);
    this.#at = now;
    return this.#left;
  }
}

/** Others have their turn after this much writing at a stretch, in milliseconds: handshakes, webhooks, pings. */
const stretchMs = 2;
/** Writes between two looks at the clock. */
const writesALook = 16;

export class Gathering {
  /** How long a frame waits at most, in milliseconds; 0: never longer than the turn it came in. */
  readonly #windowMs: number;
  readonly #time = new WriteTime(performance.now());
  /** Whose turn it is, in the order they came; written up to `#next` of the first list. */
  readonly #due: Gathered[][] = [];
  #next = 0;
  #soon: Gathered[] = [];
  #later: Gathered[] = [];
  #now = performance.now();
  #hasTime = true;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** An event is about to be given to its sinks: looks at the clock once for all of them. */
  begin(): void {
    this.#now = performance.now();
    this.#hasTime = this.#windowMs === 0 || this.#time.left(this.#now) > 0;
  }

  /** The first frame waits for the sink: it is flushed when its time has come. */
  wait(sink: Gathered): void {
    if (this.#hasTime || this.#now - sink.writtenAt >= this.#windowMs) {
      this.#soon.push(sink);
      this.#immediate ??= setImmediate(() => this.#turn());
    } else {
      this.#later.push(sink);
      this.#timer ??= setTimeout(() => this.#windowOver(), this.#windowMs);
    }
  }

  /** What waits then is not written any more. */
  close(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
  }

  #windowOver(): void {
    this.#timer = undefined;
    this.#due.push(this.#later);
    this.#later = [];
    clearImmediate(this.#immediate);
    this.#turn();
  }

  #turn(): void {
    this.#immediate = undefined;
    if (this.#soon.length > 0) {
      this.#due.push(this.#soon);
      this.#soon = [];
    }
    const begun = performance.now();
    const now = this.#write(begun);
    this.#time.spend(now - begun, now);
    if (this.#due.length > 0) this.#immediate = setImmediate(() => this.#turn());
  }

  /** Until all is written or it has taken long enough. */
  #write(begun: number): number {
    let now = begun;
    for (let written = 1; ; written++) {
      const [list] = this.#due;
      if (list === undefined) return performance.now();
      const sink = list[this.#next];
      if (sink === undefined) {
        this.#due.shift();
        this.#next = 0;
        continue;
      }
      this.#next++;
      sink.flush(now);
      if (written % writesALook !== 0) continue;
      now = performance.now();
      if (now - begun >= stretchMs) return now;
    }
  }
}
