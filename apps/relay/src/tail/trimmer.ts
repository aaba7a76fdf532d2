/** Removes what is past its retention, in small steps with pauses, so that no webhook waits for it. */
import type { EventLog } from "../log/event-log.ts";

/** Entries of a type in one step, and the pause after it in milliseconds: longer when there is nothing left to do. */
const step = { entries: 200, busyMs: 100, idleMs: 5_000 };

export class Trimmer {
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #running: Promise<void> = Promise.resolve();

  constructor(log: Pick<EventLog, "trim">, failed: (error: unknown) => void) {
    const schedule = (ms: number): void => {
      if (this.#closed) return;
      // several nodes on one log do not all trim in the same moment
      this.#timer = setTimeout(run, ms * (0.75 + Math.random() / 2));
    };
    const run = (): void => {
      this.#running = log.trim(step.entries).then(
        (removed) => schedule(removed > 0 ? step.busyMs : step.idleMs),
        (error: unknown) => {
          if (!this.#closed) failed(error);
          schedule(step.idleMs);
        },
      );
    };
    schedule(step.idleMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}
