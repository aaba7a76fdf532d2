/** Where one client's frames go. What is written first arrives first, whatever its kind. */
import type { EventMeta, RelayNotices } from "@sharmo-relay/protocol";
import type { EventEntry } from "../log/event-log.ts";
import type { LiveFrame } from "./frames.ts";

export interface Sink {
  /** Bytes that were written and that the operating system has not taken. */
  buffered(): number;
  /** Calls once, soon after something was taken, or after a second at the latest. */
  whenDrained(call: () => void): void;
  live(frame: LiveFrame): void;
  /** A copy for one subscription. */
  event(entry: EventEntry, meta: EventMeta): void;
  notice<N extends keyof RelayNotices>(name: N, notice: RelayNotices[N]): void;
}

/** Longest wait for a sign of draining before the sink is looked at again, in milliseconds. */
const lookAgainMs = 1_000;

interface Draining {
  on(event: "drain", listener: () => void): unknown;
  off(event: "drain", listener: () => void): unknown;
}

/** Calls once, at the next "drain" of what a sink writes to, or when it is time to look again. */
export function onceDrained(source: Draining, call: () => void): void {
  const done = (): void => {
    clearTimeout(timer);
    source.off("drain", done);
    call();
  };
  const timer = setTimeout(done, lookAgainMs);
  source.on("drain", done);
}
