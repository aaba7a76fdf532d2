/**
 * How long a client may stay: until its token expires, unless it brings a new one in time. One timer for all of them:
 * looking at every client five times a second costs less than a timer for each.
 */
import type { Principal } from "../auth/principal.ts";

/** The warning comes this long before the end, or at four fifths of a shorter life. */
const warnBeforeMs = 60_000;
const lookEveryMs = 200;

export interface SessionEvents {
  expiring(expiresAtMs: number): void;
  expired(): void;
}

const sessions = new Set<Session>();
let timer: NodeJS.Timeout | undefined;

function look(): void {
  const now = performance.now();
  for (const session of sessions) session.look(now);
}

export class Session {
  readonly #events: SessionEvents;
  #expiresAtMs = 0;
  /** When something is to be told, by a clock that nobody sets. */
  #due = 0;
  #warned = false;

  constructor(principal: Principal, events: SessionEvents) {
    this.#events = events;
    this.renewed(principal);
    sessions.add(this);
    timer ??= setInterval(look, lookEveryMs);
  }

  renewed({ expiresAtMs }: Principal): void {
    const left = expiresAtMs - Date.now();
    this.#expiresAtMs = expiresAtMs;
    this.#warned = false;
    this.#due = performance.now() + left - Math.min(warnBeforeMs, left / 5);
  }

  look(now: number): void {
    if (now < this.#due) return;
    if (this.#warned) {
      this.close();
      return this.#events.expired();
    }
    this.#warned = true;
    this.#due = now + this.#expiresAtMs - Date.now();
    this.#events.expiring(this.#expiresAtMs);
  }

  close(): void {
    sessions.delete(this);
    if (sessions.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }
}
