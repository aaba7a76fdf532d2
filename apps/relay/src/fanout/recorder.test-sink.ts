/** What tests of fan-out put at the ends of it: a socket that keeps what was written, and somebody who may see all. */
import { makeTopic, parseTopic, type SubscriptionId, type Topic } from "@sharmo-relay/protocol";
import type { Principal } from "../auth/principal.ts";
import type { EventEntry } from "../log/event-log.ts";
import type { Frame as EventFrame } from "./frames.ts";
import type { FanoutObserver } from "./node.ts";
import type { Progress, Sink } from "./sink.ts";

export const principal: Principal = {
  subject: "u1",
  tokenId: undefined,
  issuedAtMs: undefined,
  expiresAtMs: Number.MAX_SAFE_INTEGER,
  grants: { events: [makeTopic({ kind: "all" })], read: false, admin: false },
};

export const silent: FanoutObserver = {
  delivered: () => undefined,
  lagged: () => undefined,
  paged: () => undefined,
  gap: () => undefined,
  subscriptions: () => undefined,
  connections: () => undefined,
};

export function topic(text: string): Topic {
  const parsed = parseTopic(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.topic;
}

export type Frame =
  | {
      readonly kind: "event";
      readonly entry: EventEntry;
      readonly cursor: string | undefined;
      readonly to: SubscriptionId | undefined;
      readonly delivery: string | undefined;
    }
  | { readonly kind: "notice"; readonly name: string; readonly notice: Record<string, unknown> };

/** A socket that keeps what was written; `stalled` makes it take nothing. */
export class Recorder implements Sink {
  frames: Frame[] = [];
  stalled = false;
  /** What each frame that nobody read takes in its buffer. */
  readonly #frameBytes: number;
  #waiting: (() => void)[] = [];

  constructor(frameBytes = 0) {
    this.#frameBytes = frameBytes;
  }

  buffered(): number {
    return this.stalled ? 1e9 : this.frames.length * this.#frameBytes;
  }
  whenDrained(call: () => void): void {
    this.#waiting.push(call);
  }
  drain(): void {
    this.stalled = false;
    for (const call of this.#waiting.splice(0)) call();
  }
  live(frame: EventFrame): void {
    this.page([frame]);
  }
  page(frames: readonly EventFrame[]): void {
    for (const { entry, meta } of frames) {
      const { cursor, subscription: to, delivery } = meta;
      this.frames.push({ kind: "event", entry, cursor, to, delivery });
    }
  }
  together(work: () => void): void {
    work();
  }
  notice(name: string, notice: object): void {
    this.frames.push({ kind: "notice", name, notice: { ...notice } });
  }
  progress(): Progress {
    return { taken: this.frames.length, left: 0 };
  }
  end(): void {}
  cut(): void {}
}
