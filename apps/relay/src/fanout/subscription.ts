/**
 * One subscription: topics, a position, and a state. Pure; the shell (`connection.ts`) does what `plan` says.
 *
 *                 ┌────────────── lagging, restarted ──────────────┐
 *                 ▼                                                │
 *     snapshot ─▶ catching_up ── position = the node's: join ──▶ tailing
 *                 │    ▲
 *                 └────┘ pages from memory or the log
 *
 * - tailing: joined to its rooms; its position is the node's position, always.
 * - catching_up: in no room; fed in pages until its position equals the node's, then joined in the same tick (M).
 *   A position beyond the node's waits for the node (M).
 * - snapshot: the latest values as they stood at `at` are on their way; goes on catching up from exactly `at`.
 * - After a fork every position is cut down to the fork (M); a tailing one with the node's own. What it had above the
 *   fork is remembered, so that what is put back is not sent again and what is lost is told only to those without it.
 * A page counts only if it was read under the epoch and head the node believes in now (M).
 */
import type { Epoch, Sequence, SubscriptionId, Topic } from "@sharmo-relay/protocol";
import { matches } from "@sharmo-relay/protocol";
import type { Entry, EpochHistory, EventEntry, LogRange, LostEntry } from "../log/event-log.ts";
import { cursorIn, holds, type Stretch } from "../log/lineage.ts";
import type { Fork } from "../tail/tail.ts";
import { type Asked, lostTo, type MissingPart, missingIn, withTold } from "./gaps.ts";

export type State =
  | { readonly kind: "snapshot"; readonly at: Sequence; readonly rest: readonly EventEntry[] }
  | { readonly kind: "catching_up"; readonly position: Sequence; readonly reading: boolean }
  | { readonly kind: "tailing" };

export interface Subscription extends Asked {
  readonly id: SubscriptionId;
  /** In the order asked, each once. */
  readonly topics: readonly Topic[];
  readonly conflate: boolean;
  readonly state: State;
  /** What it has of branches that died. */
  readonly had: readonly Stretch[];
}

export const tailing: State = { kind: "tailing" };

/** What a subscription may be told: an event, or that some are lost. */
export type Item = EventEntry | LostEntry;

/** Forks of which is remembered what a subscription had. */
const maxHad = 8;

/** What a subscription sees of its node. */
export interface NodeView {
  readonly epoch: Epoch;
  readonly history: EpochHistory;
  readonly position: Sequence;
  /** Memory holds everything after this. */
  readonly memoryStart: Sequence;
}

export type Plan =
  | { readonly do: "nothing" }
  | { readonly do: "show"; readonly rest: readonly EventEntry[] }
  | { readonly do: "join" }
  | { readonly do: "await_node" }
  | { readonly do: "memory"; readonly after: Sequence; readonly through: Sequence }
  | { readonly do: "read"; readonly after: Sequence; readonly through: Sequence };

/** What to do next, if the socket can take more. */
export function plan(subscription: Subscription, node: NodeView): Plan {
  const { state } = subscription;
  if (state.kind === "tailing") return { do: "nothing" };
  if (state.kind === "snapshot") return { do: "show", rest: state.rest };
  if (state.reading) return { do: "nothing" };
  if (state.position > node.position) return { do: "await_node" };
  if (state.position === node.position) return { do: "join" };
  return {
    do: state.position >= node.memoryStart ? "memory" : "read",
    after: state.position,
    through: node.position,
  };
}

/** The position up to which everything was sent, told as a gap, or is of no concern. */
export function positionOf(subscription: Subscription, node: Pick<NodeView, "position">): Sequence {
  const { state } = subscription;
  if (state.kind === "tailing") return node.position;
  return state.kind === "snapshot" ? state.at : state.position;
}

export function at(subscription: Subscription, state: State): Subscription {
  return { ...subscription, state };
}

export function catchingUp(position: Sequence): State {
  return { kind: "catching_up", position, reading: false };
}

/** The first `count` values of the snapshot were sent. */
export function shown(subscription: Subscription, count: number): Subscription {
  const { state } = subscription;
  if (state.kind !== "snapshot") return subscription;
  const rest = state.rest.slice(count);
  return at(subscription, rest.length === 0 ? catchingUp(state.at) : { ...state, rest });
}

/** The log is another one after the fork. A tailing subscription goes with its node. */
export function forked(before: Subscription, fork: Fork): Subscription {
  const { history, through: position } = fork.before;
  const through = positionOf(before, { position });
  const had = through > fork.at ? [...before.had, { history, through }].slice(-maxHad) : before.had;
  const subscription = { ...before, had };
  const { state } = subscription;
  switch (state.kind) {
    case "tailing":
      return subscription;
    case "snapshot":
      if (state.at <= fork.at) return subscription;
      return at(subscription, {
        kind: "snapshot",
        at: fork.at,
        rest: state.rest.filter((e) => e.sequence <= fork.at),
      });
    case "catching_up":
      return at(subscription, catchingUp(Math.min(state.position, fork.at)));
  }
}

/**
 * True if the subscription had the event before a failover: it was put back since, or the log is again the one that
 * had been left, where it has its old place.
 */
function hasAlready(
  { had }: Pick<Subscription, "had">,
  { was = [], sequence }: EventEntry,
  history: EpochHistory,
): boolean {
  return (
    had.length > 0 &&
    [...was, cursorIn(history, sequence)].some((place) => had.some((stretch) => holds(stretch, place)))
  );
}

export type Page =
  /** Read under another epoch or head, or for another position: read again. */
  | { readonly use: false }
  | {
      readonly use: true;
      readonly missing: MissingPart | undefined;
      readonly entries: readonly Item[];
      /** The subscription after `missing` was told and `entries` were sent. */
      readonly subscription: Subscription;
    };

/** Judges a page read for the position `after`. */
export function takePage(subscription: Subscription, range: LogRange, after: Sequence, node: NodeView): Page {
  const { state } = subscription;
  const fits =
    state.kind === "catching_up" &&
    state.position === after &&
    range.after <= after &&
    range.through > after &&
    range.epoch === node.epoch &&
    range.head >= range.through &&
    range.through <= node.position;
  if (!fits) return { use: false };
  const missing = missingIn(subscription, range.trimmedThrough, after);
  const told =
    missing === undefined ? subscription.told : withTold(subscription, range.trimmedThrough, after);
  const next: Subscription = { ...subscription, told, state: catchingUp(range.through) };
  return {
    use: true,
    missing,
    entries: wanted(next, range.entries, after, node.history),
    subscription: next,
  };
}

/** What of these entries belongs to the subscription and comes after the position. */
export function wanted(
  subscription: Subscription,
  entries: readonly Entry[],
  after: Sequence,
  history: EpochHistory,
): Item[] {
  return entries.filter(
    (entry): entry is Item => entry.sequence > after && isFor(subscription, entry, history),
  );
}

function isFor(subscription: Subscription, entry: Entry, history: EpochHistory): boolean {
  if (entry.kind === "lost") return lostTo(subscription.had, entry.lost) !== undefined;
  return (
    entry.kind === "event" &&
    entry.sequence > toldOf(subscription, entry.type) &&
    lacks(subscription, entry, history)
  );
}

function toldOf({ told }: Asked, type: string): Sequence {
  return told.get(type) ?? 0;
}

/** True if the event is of its topics and it was not sent before a failover. */
export function lacks(subscription: Subscription, entry: EventEntry, history: EpochHistory): boolean {
  if (!subscription.topics.some((topic) => matches(topic, entry))) return false;
  return !hasAlready(subscription, entry, history);
}
