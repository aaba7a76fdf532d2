/** The follower as fan-out and the API see it. */
import {
  type Epoch,
  isValueType,
  matches,
  type Position,
  type Sequence,
  type Topic,
} from "@sharmo-relay/protocol";
import type { ApiNode } from "./api/node.ts";
import type { FanoutNode } from "./fanout/node.ts";
import type { Item } from "./fanout/subscription.ts";
import type { EpochHistory, EventEntry, Known, LogRange } from "./log/event-log.ts";
import { LogError } from "./log/event-log.ts";
import type { Follower } from "./tail/follower.ts";
import type { Placed } from "./tail/place.ts";
import type { Tail } from "./tail/tail.ts";

/** Nobody gets here before the log's first answer: handshakes are refused until then. */
function tailOf(follower: Follower): Tail {
  if (follower.tail === undefined) throw new LogError("unavailable", "the event log has not answered yet");
  return follower.tail;
}

export function fanoutNode(follower: Follower): FanoutNode {
  return {
    get epoch(): Epoch {
      return tailOf(follower).epoch;
    },
    get history(): EpochHistory {
      return tailOf(follower).history;
    },
    get position(): Sequence {
      return tailOf(follower).position;
    },
    get memoryStart(): Sequence {
      return tailOf(follower).memory.start;
    },
    memoryAt(sequence: Sequence): Item | undefined {
      const entry = tailOf(follower).memory.at(sequence);
      return entry?.kind === "control" ? undefined : entry;
    },
    page: (position: Sequence, through: Sequence): Promise<LogRange> =>
      follower.pages.after(position, through, tailOf(follower).epoch),
    place: (cursor: Position): Promise<Placed> => follower.place(cursor),
    placeNow: (cursor: Position): Placed => follower.placeNow(cursor),
    compare: (): void => {
      void follower.compare();
    },
    latest: (topics: readonly Topic[]): readonly EventEntry[] | undefined =>
      follower
        .latestNow()
        ?.values()
        .filter((entry) => topics.some((topic) => matches(topic, entry))),
    replaced(entry: EventEntry): boolean {
      if (entry.entity === undefined || !isValueType(entry.type)) return false;
      const newest = follower.latestNow()?.newest(entry.type, entry.entity);
      return newest !== undefined && newest.sequence > entry.sequence;
    },
  };
}

export function apiNode(follower: Follower): ApiNode {
  return {
    history: (): EpochHistory => follower.tail?.history ?? [],
    head: (): Sequence => follower.tail?.position ?? 0,
    known: (): Known | undefined => follower.known(),
    latest: (): readonly EventEntry[] | undefined => follower.latestNow()?.values(),
    place: (cursor: Position): Promise<Placed> => follower.place(cursor),
  };
}
