/**
 * Cuts off clients that take nothing. A slow client keeps its connection however long it needs; one whose socket took
 * not a byte for the whole limit, while bytes were waiting, holds memory for nobody. It can come back with its cursor.
 */
import type { Member } from "./hub.ts";
import type { Progress } from "./sink.ts";

type Watched = Pick<Member, "sink" | "principal">;

interface Waiting extends Progress {
  readonly since: number;
}

export interface StallWatchOptions<M extends Watched> {
  connections(): Iterable<M>;
  readonly limitMs: number;
  /** Called before it is cut off. */
  stalled(member: M, waitingBytes: number): void;
}

export class StallWatch<M extends Watched> {
  readonly #options: StallWatchOptions<M>;
  readonly #timer: NodeJS.Timeout;
  /** Those for whom bytes waited at the last look. */
  #waiting = new Map<M, Waiting>();

  constructor(options: StallWatchOptions<M>) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(performance.now()), options.limitMs / 12);
  }

  /** `now`: in milliseconds, of a clock that nobody sets. */
  look(now: number): void {
    const before = this.#waiting;
    this.#waiting = new Map();
    for (const member of this.#options.connections()) {
      const bytes = member.sink.buffered();
      if (bytes === 0) continue;
      const progress = member.sink.progress();
      const known = before.get(member);
      // what is written meanwhile, pings too, changes neither figure
      const moved = known === undefined || known.taken !== progress.taken || known.left !== progress.left;
      const since = moved ? now : known.since;
      if (now - since >= this.#options.limitMs) {
        this.#options.stalled(member, bytes);
        member.sink.cut();
      } else {
        this.#waiting.set(member, { ...progress, since });
      }
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
