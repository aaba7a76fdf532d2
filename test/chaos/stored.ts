/** Reads the whole log through `GET /v1/events`, and each event's bytes as they stand there. */
import { tokenOf } from "./client.ts";
import type { Stored } from "./history.ts";
import { hash } from "./sender.ts";

/** Rejects if a node cannot answer now. */
export async function readStored(url: string): Promise<Stored[]> {
  const token = await tokenOf({ sub: "ledger", scope: "events:* relay:read" });
  const stored: Stored[] = [];
  for (let since = ""; ; ) {
    const response = await fetch(`${url}/v1/events?limit=1000${since === "" ? "" : `&since=${since}`}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    if (response.status !== 200) throw new Error(`GET /v1/events: ${response.status} ${bytes.toString()}`);
    const { next, gap } = JSON.parse(bytes.toString()) as { next: string; gap?: unknown };
    if (gap !== undefined) throw new Error(`GET /v1/events tells a gap: ${JSON.stringify(gap)}`);
    for (const document of documentsIn(bytes)) stored.push(document);
    if (next === since) return stored;
    since = next;
  }
}

const listBegins = '{"events":[';
const eventBegins = '"event":';

/** The documents of a page; the event's bytes are cut out, not parsed. */
export function documentsIn(page: Buffer): Stored[] {
  if (!page.subarray(0, listBegins.length).equals(Buffer.from(listBegins))) {
    throw new Error("a page of events begins in another way than expected");
  }
  const found: Stored[] = [];
  let at = listBegins.length;
  while (page[at] === brace.open) {
    const end = endOfObject(page, at);
    const document = page.subarray(at, end);
    // the first: what comes before the event holds no such text
    const from = document.indexOf(eventBegins) + eventBegins.length;
    const event = document.subarray(from, -1);
    const { cursor, event: parsed } = JSON.parse(document.toString()) as {
      cursor: string;
      event: { id: string };
    };
    found.push({ cursor, id: parsed.id, bytesHash: hash(event) });
    at = page[end] === comma ? end + 1 : end;
  }
  return found;
}

const brace = { open: 0x7b, close: 0x7d };
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;

/** Behind the closing brace of the object that begins at `from`. */
function endOfObject(bytes: Buffer, from: number): number {
  let depth = 0;
  let inText = false;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at];
    if (inText) {
      if (byte === backslash) at++;
      else if (byte === quote) inText = false;
    } else if (byte === quote) inText = true;
    else if (byte === brace.open) depth++;
    else if (byte === brace.close && --depth === 0) return at + 1;
  }
  throw new Error("a page of events ends within a document");
}
