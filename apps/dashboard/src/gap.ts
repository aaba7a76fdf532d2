/** What is missing, as one sentence for all that is missing for the same reason. */
import type { GapInfo } from "@sharmo-relay/client";
import { formatTime } from "./format.ts";

export interface Missing {
  /** In the plural, for example `price changes`. */
  readonly what: string;
  /** False: perhaps nothing of it. */
  readonly certain: boolean;
  /** When the page last had everything, in ms; undefined if that is not known. */
  readonly from: number | undefined;
  /** When the gap was told. */
  readonly to: number;
}

const reasons: Readonly<Record<GapInfo["reason"], string>> = {
  retention: "the relay no longer keeps them",
  log_lost: "they were lost in a failover",
  unknown_cursor: "the relay’s log does not know this page’s place",
  log_reset: "the relay’s log was started anew",
};

const list = new Intl.ListFormat("en-GB", { type: "conjunction" });

export function gapSentence(reason: GapInfo["reason"], missing: readonly Missing[]): string {
  const what = list.format(new Set(missing.map((one) => one.what)));
  const verb = missing.every((one) => one.certain) ? "are" : "may be";
  return `Some ${what} ${span(missing)} ${verb} missing: ${reasons[reason]}.`;
}

function span(missing: readonly Missing[]): string {
  const to = Math.max(...missing.map((one) => one.to));
  const from = Math.min(...missing.map((one) => one.from ?? Number.NEGATIVE_INFINITY));
  const end = formatTime(to, to);
  return Number.isFinite(from) ? `between ${formatTime(from, to)} and ${end}` : `before ${end}`;
}
