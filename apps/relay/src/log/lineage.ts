/** Questions to an epoch history. Pure. */
import {
  type Cursor,
  type Epoch,
  formatCursor,
  type Position,
  parseCursor,
  type Sequence,
} from "@sharmo-relay/protocol";
import { type DeadBranch, type EpochHistory, type EpochRecord, LogError } from "./event-log.ts";

/** The running epoch. */
export function runningEpoch(history: EpochHistory): EpochRecord {
  const last = history.at(-1);
  if (last === undefined) throw new LogError("unusable", "the log's epoch history is empty");
  return last;
}

/** The epoch that gave out this sequence. */
export function epochAt(history: EpochHistory, sequence: Sequence): Epoch {
  const record = history.findLast((r) => r.first <= sequence) ?? history[0];
  return record === undefined ? runningEpoch(history).epoch : record.epoch;
}

/** The cursor of this sequence, in the epoch that gave it out. */
export function cursorIn(history: EpochHistory, sequence: Sequence): Cursor {
  return formatCursor(epochAt(history, sequence), sequence);
}

export function knowsEpoch(history: EpochHistory, epoch: Epoch): boolean {
  return history.some((r) => r.epoch === epoch);
}

/** Last sequence of `epoch` that is part of this history; Infinity for the running one, undefined if unknown. */
export function endOf(history: EpochHistory, epoch: Epoch): Sequence | undefined {
  const index = history.findIndex((r) => r.epoch === epoch);
  if (index < 0) return undefined;
  const next = history[index + 1];
  return next === undefined ? Number.POSITIVE_INFINITY : next.first - 1;
}

/**
 * The last sequence that two lives of the log have in common; Infinity if the newer only continues the older one's
 * running epoch, or the same history. `head` is the head of `now`.
 */
export function forkPoint(old: EpochHistory, now: EpochHistory, head: Sequence): Sequence {
  let same = 0;
  while (same < old.length && same < now.length) {
    if (old[same]?.epoch !== now[same]?.epoch || old[same]?.first !== now[same]?.first) break;
    same++;
  }
  const oldNext = old[same];
  const nowNext = now[same];
  let fork = Number.POSITIVE_INFINITY;
  if (oldNext !== undefined) fork = Math.min(fork, oldNext.first - 1);
  if (nowNext !== undefined) fork = Math.min(fork, nowNext.first - 1);
  if (oldNext !== undefined && nowNext === undefined) fork = Math.min(fork, head);
  return fork;
}

/** Where each epoch of `old` that is not in `now` left its line: behind `fork`. */
export function deadBranches(old: EpochHistory, now: EpochHistory, fork: Sequence): DeadBranch[] {
  const parent = epochAt(now, Math.max(fork, 1));
  return old
    .filter(({ epoch }) => !knowsEpoch(now, epoch))
    .map(({ epoch }) => ({ epoch, parent, last: fork }));
}

/** How many branches of branches are followed: each is a failover that lost the record of another. */
const maxHops = 16;

/** The place on `history` of a cursor whose epoch is a dead branch; undefined if nothing tells where that left. */
export function placeOfDead(
  history: EpochHistory,
  branches: readonly DeadBranch[],
  { epoch, sequence }: Position,
): Sequence | undefined {
  let at = epoch;
  let place = sequence;
  for (let hop = 0; hop < maxHops; hop++) {
    const end = endOf(history, at);
    if (end !== undefined) return Math.min(place, end);
    const branch = branches.find((b) => b.epoch === at);
    if (branch === undefined) return undefined;
    at = branch.parent;
    place = Math.min(place, branch.last);
  }
  return undefined;
}

/** Everything up to `through` on the way to the last epoch of `history`, which the log may have left. */
export interface Stretch {
  readonly history: EpochHistory;
  readonly through: Sequence;
}

/** True if the stretch holds the place that this cursor named. */
export function holds({ history, through }: Stretch, cursor: Cursor): boolean {
  const place = parseCursor(cursor);
  if (place === undefined || place.sequence > through) return false;
  return epochAt(history, place.sequence) === place.epoch;
}
