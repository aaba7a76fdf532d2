/** Where a client's cursor stands on this node's log. Pure. */
import type { Position, Sequence } from "@sharmo-relay/protocol";
import type { DeadBranch } from "../log/event-log.ts";
import { endOf, placeOfDead, type Stretch } from "../log/lineage.ts";
import type { Tail } from "./tail.ts";

export type Placed =
  /** `has`: what the client has of a branch that died, above `sequence`. */
  | { readonly kind: "at"; readonly sequence: Sequence; readonly has?: Stretch }
  | { readonly kind: "beyond_head" }
  /** Nobody knows its epoch: what was between is lost to us. */
  | { readonly kind: "unknown_epoch" }
  | { readonly kind: "unavailable" };

export function placeOf(
  tail: Pick<Tail, "history" | "heard">,
  branches: readonly DeadBranch[],
  cursor: Position,
): Placed {
  const end = endOf(tail.history, cursor.epoch);
  if (end === Number.POSITIVE_INFINITY) {
    if (cursor.sequence > tail.heard) return { kind: "beyond_head" };
    return { kind: "at", sequence: cursor.sequence };
  }
  const sequence = placeOfDead(tail.history, branches, cursor);
  if (sequence === undefined) return { kind: "unknown_epoch" };
  if (sequence === cursor.sequence) return { kind: "at", sequence };
  // of the way to its epoch only the end is sure
  const has = { history: [{ epoch: cursor.epoch, first: 1 }], through: cursor.sequence };
  return { kind: "at", sequence, has };
}
