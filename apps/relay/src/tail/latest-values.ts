/** The latest values at exactly the node's position: a table from the log, and what the tail has applied since. */
import type { Sequence } from "@sharmo-relay/protocol";
import type { Entry, LatestValues as LatestInLog } from "../log/event-log.ts";
import { LatestTable } from "../log/latest.ts";
import { runningEpoch } from "../log/lineage.ts";
import type { Tail } from "./tail.ts";

export class LatestValues {
  readonly #table: LatestTable;
  /** The table is right once the position has reached this. */
  #from: Sequence = Number.POSITIVE_INFINITY;

  /** `max`: most values kept. */
  constructor(max: number) {
    this.#table = new LatestTable(max);
  }

  /** It must be read from the log. */
  get stale(): boolean {
    return this.#from === Number.POSITIVE_INFINITY;
  }

  /** Undefined while what belongs to this position is not known. */
  at(position: Sequence): LatestTable | undefined {
    return position >= this.#from ? this.#table : undefined;
  }

  begin(values: LatestInLog): void {
    this.#table.load(values.entries);
    this.#from = values.head;
  }

  /** Takes the log's answer, which may be older or newer than what was applied meanwhile. */
  reload(values: LatestInLog, tail: Tail): void {
    if (runningEpoch(values.history).epoch !== tail.epoch || values.head < tail.memory.start) return;
    this.#table.load(values.entries.filter((entry) => entry.sequence <= tail.position));
    for (let sequence = values.head + 1; sequence <= tail.position; sequence++) {
      this.apply(tail.memory.at(sequence));
    }
    this.#from = values.head;
  }

  apply(entry: Entry | undefined): void {
    if (entry?.kind === "event") this.#table.apply(entry);
  }

  /** The log is another one, or entries were passed over unread. */
  forget(): void {
    this.#from = Number.POSITIVE_INFINITY;
  }
}
