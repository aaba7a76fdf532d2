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
