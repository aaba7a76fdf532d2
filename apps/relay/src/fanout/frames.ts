/**
 * An event as text on the wire. The event's bytes are put between what surrounds them, never parsed and printed
 * again, so that numbers arrive as they were written.
 */
import type { Cursor, EventMeta } from "@sharmo-relay/protocol";
import type { EventEntry } from "../log/event-log.ts";

/** One live event for all sockets of the node; each form is made once, when first asked for. */
export class LiveFrame {
  readonly entry: EventEntry;
  readonly cursor: Cursor;
  #packet: string | undefined;
  #stream: string | undefined;

  constructor(entry: EventEntry, cursor: Cursor) {
    this.entry = entry;
    this.cursor = cursor;
  }

  /** A Socket.IO packet: `2["type",event,meta]`. */
  get packet(): string {
    this.#packet ??= eventPacket(this.entry, liveMeta(this.entry, this.cursor));
    return this.#packet;
  }

  /** A Server-Sent Event. */
  get stream(): string {
    this.#stream ??= eventStream(this.entry, this.cursor);
    return this.#stream;
  }
}

export function liveMeta(entry: EventEntry, cursor: Cursor): EventMeta {
  return { cursor, ...storedMeta(entry) };
}

/** What every copy of an event says of it. */
export function storedMeta({ at, late, was }: EventEntry): Pick<EventMeta, "at" | "late" | "was"> {
  const [first] = was ?? [];
  return { at, ...(late ? { late } : {}), ...(first === undefined ? {} : { was: first }) };
}

/** A Socket.IO packet of the default namespace. */
export function eventPacket(entry: EventEntry, meta: EventMeta): string {
  return `2[${JSON.stringify(entry.type)},${entry.body.toString("utf8")},${JSON.stringify(meta)}]`;
}

/** `id` is absent for what moves no cursor. */
export function eventStream(entry: EventEntry, id: Cursor | undefined): string {
  return streamText(entry.type, entry.body.toString("utf8"), id);
}

/** Lines end at CR, LF or CRLF alike (WHATWG HTML, 9.2.6), so each becomes a `data:` line of its own. */
export function streamText(event: string, data: string, id?: Cursor): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}${lines.join("")}\n`;
}
