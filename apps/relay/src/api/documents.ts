/**
 * Stored events as JSON text. The event's bytes are put in as they came; only what surrounds them is printed, so
 * that `10.50` and numbers beyond 2^53 stay what they were.
 *
 *     {"cursor":…,"received_at":…,"receipt":{"late":false,"filters":["token_id=tok_1"]},"event":<bytes>}
 *
 * `receipt` is what the relay made of it: whether a newer event of the same entity was there before, and the filters
 * it is routed by, as they stand after `?` in a topic. Without the grant for an event it says only that the event is
 * withheld, and `event` has no more than id and type.
 */
import type { Cursor } from "@sharmo-relay/protocol";
import type { EventEntry } from "../log/event-log.ts";

export function eventDocument(entry: EventEntry, cursor: Cursor, visible: boolean): Buffer {
  const open = `{"cursor":${JSON.stringify(cursor)},"received_at":${JSON.stringify(isoTime(entry.at))},"receipt":`;
  if (!visible) {
    const { id, type } = entry;
    return Buffer.from(`${open}{"withheld":true},"event":${JSON.stringify({ id, type })}}`);
  }
  const filters = entry.filters.map((filter) => `${filter.key}=${encodeURIComponent(filter.value)}`);
  const receipt = JSON.stringify({ late: entry.late, ...(filters.length === 0 ? {} : { filters }) });
  return Buffer.concat([Buffer.from(`${open}${receipt},"event":`), entry.body, closing]);
}

const closing = Buffer.from("}");
const comma = Buffer.from(",");

/** `{"<name>":[documents],…rest}`; `rest` is printed after the list. */
export function listDocument(name: string, documents: readonly Buffer[], rest: object): Buffer {
  const parts: Buffer[] = [Buffer.from(`{${JSON.stringify(name)}:[`)];
  for (const [index, document] of documents.entries()) {
    if (index > 0) parts.push(comma);
    parts.push(document);
  }
  const tail = JSON.stringify(rest).slice(1);
  parts.push(Buffer.from(tail === "}" ? "]}" : `],${tail}`));
  return Buffer.concat(parts);
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
