/**
 * Tells clients that events may be late, once this node has been out of step with its log for a while, and again when
 * it is in step. What lasts only seconds is told to nobody.
 */
import type { Hub, Member } from "../fanout/hub.ts";

/** How long a node is out of step before its clients hear of it, in milliseconds. */
const patienceMs = 5_000;
const lookEveryMs = 500;

export class DegradedNotice {
  readonly #hub: Pick<Hub, "connections">;
  readonly #inStep: () => boolean;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #outSince: number | undefined;
  /** Those who were told and not yet told that it is over. */
  readonly #told = new Set<Member>();

  constructor(
    hub: Pick<Hub, "connections">,
    inStep: () => boolean,
    now: () => number = () => performance.now(),
  ) {
    this.#hub = hub;
    this.#inStep = inStep;
    this.#now = now;
    this.#timer = setInterval(() => this.look(), lookEveryMs);
  }

  /** By itself, twice a second. */
  look(): void {
    if (this.#inStep()) {
      this.#outSince = undefined;
      this.#over();
      return;
    }
    this.#outSince ??= this.#now();
    if (this.#now() - this.#outSince < patienceMs) return;
    for (const member of this.#hub.connections) {
      if (this.#told.has(member)) continue;
      this.#told.add(member);
      member.sink.notice("relay.degraded", { degraded: true });
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #over(): void {
    for (const member of this.#told) {
      if (this.#hub.connections.has(member)) member.sink.notice("relay.degraded", { degraded: false });
    }
    this.#told.clear();
  }
}
