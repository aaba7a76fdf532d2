/** What the page shows, all of it, and what a person can do about it. The store that fills it is in `live.ts`. */
import type { GapInfo } from "@sharmo-relay/client";
import type { Activity } from "./activity.ts";
import type { Connection } from "./connection.ts";
import type { Missing } from "./gap.ts";
import type { PriceBoard } from "./price-board.ts";
import type { RateMeter } from "./rate.ts";

/** All that is missing for one reason. */
export interface GapNotice {
  readonly reason: GapInfo["reason"];
  readonly missing: readonly Missing[];
  /** Each asks the relay for the latest values of something; empty where there are none to ask for. */
  readonly resyncs: readonly (() => void)[];
}

/** Sentences, one for each topic that was refused, by the part of the page that shows it. */
export interface Refusals {
  readonly prices: readonly string[];
  readonly activity: readonly string[];
}

export interface LiveState {
  readonly connection: Connection;
  readonly board: PriceBoard;
  readonly activity: Activity;
  readonly meter: RateMeter;
  readonly gaps: readonly GapNotice[];
  readonly refusals: Refusals;
  /** The stored values have been asked for and have not come yet. */
  readonly loading: boolean;
}

export interface Live {
  readonly state: () => LiveState;
  readonly subscribe: (listener: () => void) => () => void;
  readonly holdActivity: () => void;
  readonly releaseActivity: () => void;
  readonly showWaiting: () => void;
  /** Asks for the latest values in place of what is missing. */
  readonly reload: (gap: GapNotice) => void;
  readonly dismiss: (gap: GapNotice) => void;
  readonly reconnect: () => void;
  readonly close: () => void;
}
