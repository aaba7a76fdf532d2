/**
 * The arithmetic of gaps: what of the types asked for was trimmed after a position, told once and never too much; and
 * what a failover lost. Pure.
 */
import {
  type Cursor,
  formatCursor,
  type Gap,
  type GapReason,
  type Position,
  patternMatches,
  type Sequence,
  type Topic,
} from "@sharmo-relay/protocol";
import type { Lost } from "../log/event-log.ts";
import { endOf, epochAt, type Stretch } from "../log/lineage.ts";

/** What a gap is judged for. */
export interface Asked {
  readonly topics: readonly Topic[];
  /** Per type, up to where a gap was told; nothing at or below is delivered any more. */
  readonly told: ReadonlyMap<string, Sequence>;
}

export interface MissingPart {
  readonly topics: readonly Topic[];
  /** False if only topics with a key are concerned: the log does not say whose events were trimmed. */
  readonly certain: boolean;
  readonly from: Sequence;
  readonly to: Sequence;
}

/** The gap after `position`, if any that was not told yet. Exact for whole types: the highest trimmed one is missing. */
export function missingIn(
  asked: Asked,
  trimmedThrough: ReadonlyMap<string, Sequence>,
  position: Sequence,
): MissingPart | undefined {
  const gone = [...trimmedThrough].filter(
    ([type, through]) => isEventType(type) && through > position && through > (asked.told.get(type) ?? 0),
  );
  const topics = asked.topics.filter((topic) => gone.some(([type]) => patternMatches(topic.pattern, type)));
  if (topics.length === 0) return undefined;
  const concerned = gone.filter(([type]) => topics.some((topic) => patternMatches(topic.pattern, type)));
  return {
    topics,
    certain: topics.some((topic) => topic.filter === undefined),
    from: Math.min(...concerned.map(([type]) => Math.max(position, asked.told.get(type) ?? 0))),
    to: Math.max(...concerned.map(([, through]) => through)),
  };
}

/** The log keeps entries that are no events under types of the reserved group: nobody misses those. */
function isEventType(type: string): boolean {
  return !type.startsWith("relay.");
}

/** Remembers what was told, so that each gap is told once and nothing of it is delivered after. */
export function withTold(
  asked: Asked,
  trimmedThrough: ReadonlyMap<string, Sequence>,
  position: Sequence,
): ReadonlyMap<string, Sequence> {
  const told = new Map(asked.told);
  for (const [type, through] of trimmedThrough) {
    const concerned = asked.topics.some((topic) => patternMatches(topic.pattern, type));
    if (concerned && isEventType(type) && through > position)
      told.set(type, Math.max(through, told.get(type) ?? 0));
  }
  return told;
}

/** As it stands on the wire. */
export function gapOf(
  missing: MissingPart,
  reason: GapReason,
  cursorAt: (sequence: Sequence) => Cursor,
): Omit<Gap, "subscription"> {
  return {
    topics: missing.topics.map((topic) => topic.name),
    reason,
    certain: missing.certain,
    from: cursorAt(missing.from),
    to: cursorAt(missing.to),
  };
}

/** From where on somebody who had this of dead branches lacks what was lost; undefined if nothing is lacking. */
export function lostTo(had: readonly Stretch[], lost: Lost): Position | undefined {
  let from: Position | undefined;
  for (const { history, through } of had) {
    // what is beyond the end of that epoch on its way lies on another branch
    const reached = Math.min(through, endOf(history, lost.epoch) ?? 0);
    if (reached >= lost.to) return undefined;
    if (reached > Math.max(lost.from, from?.sequence ?? 0))
      from = { epoch: epochAt(history, reached), sequence: reached };
  }
  return from ?? { epoch: lost.epoch, sequence: lost.from };
}

/** Events of a dead branch that nobody knows any more: which topics they were of nobody can tell. */
export function lostGap(topics: readonly Topic[], lost: Lost, from: Position): Omit<Gap, "subscription"> {
  return {
    topics: topics.map((topic) => topic.name),
    reason: lost.reason,
    certain: false,
    from: formatCursor(from.epoch, from.sequence),
    to: formatCursor(lost.epoch, lost.to),
  };
}

/** Where an unknown cursor lies on this log nobody can tell: what is behind it, up to `to`, may be missing. */
export function unknownGap(topics: readonly Topic[], since: Position, to: Cursor): Omit<Gap, "subscription"> {
  return {
    topics: topics.map((topic) => topic.name),
    reason: "unknown_cursor",
    certain: false,
    from: formatCursor(since.epoch, since.sequence),
    to,
  };
}
