/**
 * Copies of events for one subscription. Clients that come back together are sent the same events, most of them under
 * the same name of a subscription, so a copy's frame is kept for those who come next.
 */
import type { Cursor, Delivery, SubscriptionId } from "@sharmo-relay/protocol";
import type { EventEntry } from "../log/event-log.ts";
import { Frame, storedMeta } from "./frames.ts";

/** Bytes of the frames kept; with more all are given up. */
const maxBytes = 2 * 1024 * 1024;

export class Copies {
  readonly #kept = new Map<string, Map<EventEntry, Frame>>();
  #bytes = 0;
  #asked = false;

  /** Without a `cursor` the copy moves none. */
  of(entry: EventEntry, subscription: SubscriptionId, delivery: Delivery, cursor: Cursor | undefined): Frame {
    this.#asked = true;
    const kind = `${subscription} ${delivery}`;
    const known = this.#kept.get(kind)?.get(entry);
    if (known !== undefined) return known;
    const meta = { ...storedMeta(entry), subscription, delivery };
    const frame = new Frame(entry, cursor === undefined ? meta : { ...meta, cursor });
    this.#keep(kind, frame);
    return frame;
  }

  #keep(kind: string, frame: Frame): void {
    this.#bytes += 2 * frame.entry.body.length + 512;
    if (this.#bytes > maxBytes) this.forget();
    const frames = this.#kept.get(kind);
    if (frames === undefined) this.#kept.set(kind, new Map([[frame.entry, frame]]));
    else frames.set(frame.entry, frame);
  }

  /** The log is another one: its cursors are too. */
  forget(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }

  /** To be called from time to time: gives up what nobody has asked for since the last call. */
  rest(): void {
    if (!this.#asked) this.forget();
    this.#asked = false;
  }
}
