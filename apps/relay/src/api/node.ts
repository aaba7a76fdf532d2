/** What the management API needs of the node it runs on. */
import type { Position, Sequence } from "@sharmo-relay/protocol";
import type { EpochHistory, EventEntry, Known } from "../log/event-log.ts";
import type { Placed } from "../tail/place.ts";

export interface ApiNode {
  /** As the node believes now; empty before the log's first answer. */
  history(): EpochHistory;
  /** The highest sequence that may be shown. */
  head(): Sequence;
  known(): Known | undefined;
  /** The latest values; undefined while they are read anew. */
  latest(): readonly EventEntry[] | undefined;
  /** Finds the place of a client's cursor; asks the log where only it can tell. */
  place(cursor: Position): Promise<Placed>;
}
