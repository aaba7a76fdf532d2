/** What fan-out needs of the node it runs on. `tail/follower.ts` is one; fan-out itself knows no log. */
import type { Epoch, Position, Sequence, Topic } from "@sharmo-relay/protocol";
import type { EpochHistory, EventEntry, LogRange } from "../log/event-log.ts";
import type { Placed } from "../tail/place.ts";
import type { Item } from "./subscription.ts";

export interface FanoutNode {
  readonly epoch: Epoch;
  readonly history: EpochHistory;
  readonly position: Sequence;
  readonly memoryStart: Sequence;
  memoryAt(sequence: Sequence): Item | undefined;
  /** The page with what follows `position`; rejects when the log cannot be read. */
  page(position: Sequence, through: Sequence): Promise<LogRange>;
  place(cursor: Position): Promise<Placed>;
  /** As `place`, from what is known now. */
  placeNow(cursor: Position): Placed;
  /** Asks the log for epoch and head soon. */
  compare(): void;
  /** What a snapshot of these topics shows, the lowest sequence first, at exactly `position`; undefined while that is not known. */
  latest(topics: readonly Topic[]): readonly EventEntry[] | undefined;
  /** True if an event of the same type and entity was accepted after this one and is at or below `position`. */
  replaced(entry: EventEntry): boolean;
}

/** What happens to clients, for metrics. */
export interface FanoutObserver {
  delivered(count: number, kind: "live" | "catch_up" | "snapshot"): void;
  lagged(): void;
  paged(source: "memory" | "log"): void;
  gap(reason: string): void;
  subscriptions(change: 1 | -1): void;
  connections(change: 1 | -1): void;
}
