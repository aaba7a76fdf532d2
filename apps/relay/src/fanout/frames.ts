/**
 * An event as it goes over the wire. The event's bytes are put between what surrounds them, never parsed and printed
 * again, so that numbers arrive as they were written.
 */
import type { Cursor, EventMeta } from "@sharmo-relay/protocol";
import type { EventEntry } from "../log/event-log.ts";
import { Batch } from "./batch.ts";
import { deflatedFrame, messageOf, textFrame } from "./websocket-frame.ts";

/** One event with what is said of it; each form is made once, when first asked for, for all who get it. */
export class Frame {
  readonly entry: EventEntry;
  readonly meta: EventMeta;
  #packet: string | undefined;
  #websocket: Buffer | undefined;
  #deflated: Buffer | undefined;
  #stream: string | undefined;
  #alone: Batch<Frame> | undefined;

  constructor(entry: EventEntry, meta: EventMeta) {
    this.entry = entry;
    this.meta = meta;
  }

  /** A Socket.IO packet of the default namespace: `2["type",event,meta]`. */
  get packet(): string {
    this.#packet ??= `${this.#before()}${this.entry.body.toString("utf8")}${this.#behind()}`;
    return this.#packet;
  }

  /** The WebSocket frame of `4<packet>`, the Engine.IO message. */
  get websocket(): Buffer {
    this.#websocket ??= textFrame(
      Buffer.from(`4${this.#before()}`),
      this.entry.body,
      Buffer.from(this.#behind()),
    );
    return this.#websocket;
  }

  get message(): Buffer {
    return messageOf(this.websocket);
  }

  /** The same, compressed; or as it is, where that saves nothing. */
  get deflated(): Buffer {
    this.#deflated ??= deflatedFrame(this.message) ?? this.websocket;
    return this.#deflated;
  }

  /** A Server-Sent Event. It has no `id` if it moves no cursor. */
  get stream(): string {
    this.#stream ??= streamText(this.entry.type, this.entry.body.toString("utf8"), this.meta.cursor);
    return this.#stream;
  }

  /** The batch that begins with this frame. */
  get alone(): Batch<Frame> {
    this.#alone ??= new Batch(this, undefined);
    return this.#alone;
  }

  #before(): string {
    return `2[${JSON.stringify(this.entry.type)},`;
  }

  #behind(): string {
    return `,${JSON.stringify(this.meta)}]`;
  }
}

export function liveFrame(entry: EventEntry, cursor: Cursor): Frame {
  return new Frame(entry, liveMeta(entry, cursor));
}

export function liveMeta(entry: EventEntry, cursor: Cursor): EventMeta {
  return { cursor, ...storedMeta(entry) };
}

/** What every copy of an event says of it. */
export function storedMeta({ at, late, was }: EventEntry): Pick<EventMeta, "at" | "late" | "was"> {
  const [first] = was ?? [];
  return { at, ...(late ? { late } : {}), ...(first === undefined ? {} : { was: first }) };
}

/** Lines end at CR, LF or CRLF alike (WHATWG HTML, 9.2.6), so each becomes a `data:` line of its own. */
export function streamText(event: string, data: string, id?: Cursor): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}${lines.join("")}\n`;
}
