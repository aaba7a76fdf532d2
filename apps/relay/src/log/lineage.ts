/** Questions to an epoch history. Pure. */
import { type Cursor, type Epoch, formatCursor, type Sequence } from "@sharmo-relay/protocol";
import { type EpochHistory, type EpochRecord, LogError } from "./event-log.ts";

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
