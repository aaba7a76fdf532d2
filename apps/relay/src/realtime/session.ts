/**
 * How long a client may stay: until its token expires, unless it brings a new one in time. One timer a client.
 */
import type { Principal } from "../auth/principal.ts";

/** Longest delay a timer takes (2^31 - 1 ms); a longer one would fire at once. */
const longestTimer = 2_147_000_000;
/** The warning comes this long before the end, or at four fifths of a shorter life. */
const warnBeforeMs = 60_000;

export interface SessionEvents {
  expiring(expiresAtMs: number): void;
  expired(): void;
}

export class Session {
  #timer: NodeJS.Timeout | undefined;
  readonly #events: SessionEvents;

  constructor(principal: Principal, events: SessionEvents) {
    this.#events = events;
    this.renewed(principal);
  }

  renewed(principal: Principal): void {
    const left = principal.expiresAtMs - Date.now();
    this.#warnAfter(left - Math.min(warnBeforeMs, left / 5), principal.expiresAtMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #warnAfter(delay: number, expiresAtMs: number): void {
    this.#wait(delay, () => {
      this.#events.expiring(expiresAtMs);
      this.#wait(expiresAtMs - Date.now(), () => this.#events.expired());
    });
  }

  #wait(delay: number, then: () => void): void {
    clearTimeout(this.#timer);
    const step = Math.min(Math.max(delay, 0), longestTimer);
    this.#timer = setTimeout(() => (delay > step ? this.#wait(delay - step, then) : then()), step);
  }
}
