/** A bounded read of the log that moves no subscription: the `read` request. */
import { type Cursor, type Gap, matches, type Refusal, type Sequence } from "@sharmo-relay/protocol";
import { liveMeta } from "../fanout/frames.ts";
import { gapOf, lostGap, lostTo, missingIn, unknownGap } from "../fanout/gaps.ts";
import type { Hub } from "../fanout/hub.ts";
import { refuse } from "../fanout/open.ts";
import type { Item } from "../fanout/subscription.ts";
import type { EventEntry } from "../log/event-log.ts";
import { RawJson } from "./raw-json.ts";
import type { ReadRequest } from "./requests.ts";

/** Most sequences looked through for one request. */
const maxScan = 4_096;
/** An answer holds about this many bytes of events at most. */
const maxBytes = 1024 * 1024;

type ReadGap = Omit<Gap, "subscription">;

/** The ack as JSON text, since events are passed on byte for byte. */
export async function readEvents(hub: Hub, request: ReadRequest): Promise<RawJson | Refusal> {
  const { node } = hub;
  const { topics } = request;
  const cursorAt = (sequence: Sequence): Cursor => hub.cursorAt(sequence);
  const placed = await node.place(request.since);
  const until = request.until === undefined ? undefined : await node.place(request.until);
  if (placed.kind === "unavailable" || until?.kind === "unavailable") {
    return refuse("unavailable", "the event log cannot tell where this cursor stands yet; try again");
  }
  if (placed.kind === "beyond_head") {
    return refuse("invalid_cursor", "since lies beyond the newest event of its epoch");
  }
  const unknown = placed.kind === "unknown_epoch";
  const had = placed.kind === "at" && placed.has !== undefined ? [placed.has] : [];
  const start = unknown ? 0 : placed.sequence;
  const end = until?.kind === "at" ? Math.min(until.sequence, node.position) : node.position;
  const found: EventEntry[] = [];
  let gap: ReadGap | undefined = unknown ? unknownGap(topics, request.since, cursorAt(0)) : undefined;
  let position = start;
  let bytes = 0;
  while (position < end && position - start < maxScan && found.length < request.limit && bytes < maxBytes) {
    const page = await pageAfter(hub, position, end);
    if (page === undefined) return refuse("unavailable", "the event log cannot be read now; try again");
    if (position === start) {
      const missing = missingIn({ topics, told: new Map() }, page.trimmed, position);
      if (unknown) gap = unknownGap(topics, request.since, cursorAt(missing?.to ?? 0));
      else gap = missing && gapOf(missing, "retention", cursorAt);
    }
    position = page.through;
    for (const entry of page.entries) {
      if (entry.kind === "lost") {
        const from = lostTo(had, entry.lost);
        // one gap an answer: the first one says that something is missing
        if (from !== undefined) gap ??= lostGap(topics, entry.lost, from);
        continue;
      }
      if (!topics.some((topic) => matches(topic, entry))) continue;
      found.push(entry);
      bytes += entry.body.length;
      if (found.length < request.limit && bytes < maxBytes) continue;
      position = entry.sequence;
      break;
    }
  }
  return ackOf(hub, found, position < end ? hub.cursorAt(position) : undefined, gap);
}

interface PagePart {
  readonly through: Sequence;
  readonly entries: readonly Item[];
  readonly trimmed: ReadonlyMap<string, Sequence>;
}

async function pageAfter(hub: Hub, position: Sequence, end: Sequence): Promise<PagePart | undefined> {
  const { node } = hub;
  const range = await node.page(position, end).catch(() => undefined);
  if (range === undefined || range.epoch !== node.epoch || range.through <= position) return undefined;
  const entries = range.entries.filter(
    (entry): entry is Item => entry.kind !== "control" && entry.sequence > position && entry.sequence <= end,
  );
  return { through: Math.min(range.through, end), entries, trimmed: range.trimmedThrough };
}

function ackOf(
  hub: Hub,
  found: readonly EventEntry[],
  next: Cursor | undefined,
  gap: ReadGap | undefined,
): RawJson {
  const events = found.map((entry) => {
    const meta = JSON.stringify(liveMeta(entry, hub.cursorAt(entry.sequence)));
    return `[${entry.body.toString("utf8")},${meta}]`;
  });
  const rest = `${next === undefined ? "" : `,"next":${JSON.stringify(next)}`}${gap === undefined ? "" : `,"gap":${JSON.stringify(gap)}`}`;
  return new RawJson(`{"ok":true,"events":[${events.join(",")}]${rest}}`);
}
