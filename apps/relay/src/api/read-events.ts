/**
 * Reads stored events after a position: in pages, up to a limit of events, of bytes, of pages and of time, whichever
 * comes first. Where it stopped is where the next request goes on, also if nothing was found on the way.
 */
import { matches, type Sequence, type Topic } from "@sharmo-relay/protocol";
import { type MissingPart, missingIn, withTold } from "../fanout/gaps.ts";
import { type EpochHistory, type EventEntry, type EventLog, type Lost, maxRange } from "../log/event-log.ts";
import { runningEpoch } from "../log/lineage.ts";
import { unavailable } from "./errors.ts";
import type { ApiNode } from "./node.ts";

export interface Wanted {
  /** Events of any of these; at least one. */
  readonly topics: readonly Topic[];
  /** And of one of these types; empty: of any. */
  readonly types: ReadonlySet<string>;
}

export interface ReadLimits {
  readonly events: number;
  readonly bytes: number;
  readonly pages: number;
  readonly ms: number;
}

export interface Found {
  /** The history under which all of this was read. */
  readonly history: EpochHistory;
  readonly entries: readonly EventEntry[];
  /** Everything wanted up to here is in `entries` or in `missing`. */
  readonly position: Sequence;
  readonly missing: MissingPart | undefined;
  /** What was lost in failovers and is named between. */
  readonly lost: readonly Lost[];
}

export async function readEvents(
  log: Pick<EventLog, "readRange">,
  node: ApiNode,
  after: Sequence,
  wanted: Wanted,
  limits: ReadLimits,
): Promise<Found> {
  const history = node.history();
  if (history.length === 0) throw unavailable("the event log has not answered yet; try again");
  const { epoch } = runningEpoch(history);
  const head = node.head();
  const deadline = performance.now() + limits.ms;
  const entries: EventEntry[] = [];
  const gaps = new Gaps(wanted);
  const lost: Lost[] = [];
  let position = after;
  let bytes = 0;
  let size = Math.min(maxRange, limits.events);

  for (let page = 0; position < head && page < limits.pages && performance.now() < deadline; page++) {
    const through = Math.min(head, position + size);
    const range = await log.readRange(position, through, node.known());
    // another epoch began, or the log fell back: what was read so far may be of a dead branch (M)
    if (range.epoch !== epoch || range.head < through || range.through <= position) {
      throw unavailable("the event log has just changed; try again");
    }
    gaps.look(range.trimmedThrough, position);
    const before = entries.length;
    for (const entry of range.entries) {
      if (entry.sequence <= position || entry.sequence > through) continue;
      if (entry.kind === "lost") lost.push(entry.lost);
      if (entry.kind !== "event") continue;
      if (!isWanted(entry, wanted)) continue;
      // at least one, however large, or the reader would never get past it
      const full = entries.length > 0 && bytes + entry.body.length > limits.bytes;
      if (entries.length >= limits.events || full) {
        return { history, entries, position: entry.sequence - 1, missing: gaps.missing, lost };
      }
      entries.push(entry);
      bytes += entry.body.length;
    }
    position = Math.min(range.through, through);
    if (entries.length >= limits.events) break;
    // a stretch with little in it is read in longer strides
    size =
      entries.length === before
        ? maxRange
        : Math.min(maxRange, Math.max(size, limits.events - entries.length));
  }
  return { history, entries, position, missing: gaps.missing, lost };
}

function isWanted(entry: EventEntry, wanted: Wanted): boolean {
  if (wanted.types.size > 0 && !wanted.types.has(entry.type)) return false;
  return wanted.topics.some((topic) => matches(topic, entry));
}

/** What is missing, over all pages of a request; each page is judged by the trims read with it. */
class Gaps {
  readonly #wanted: Wanted;
  #told: ReadonlyMap<string, Sequence> = new Map();
  missing: MissingPart | undefined;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  look(trimmedThrough: ReadonlyMap<string, Sequence>, position: Sequence): void {
    const { topics, types } = this.#wanted;
    const trimmed =
      types.size === 0 ? trimmedThrough : new Map([...trimmedThrough].filter(([type]) => types.has(type)));
    const asked = { topics, told: this.#told };
    const found = missingIn(asked, trimmed, position);
    if (found === undefined) return;
    this.#told = withTold(asked, trimmed, position);
    const held = this.missing;
    this.missing =
      held === undefined
        ? found
        : {
            topics: topics.filter((topic) => held.topics.includes(topic) || found.topics.includes(topic)),
            certain: held.certain || found.certain,
            from: held.from,
            to: Math.max(held.to, found.to),
          };
  }
}
