/** When the vendor tries a failed delivery again. */
import type { Random } from "../random.ts";

const minute = 60_000;

/** Each counted from the attempt before it; after the fifth the delivery is marked failed. */
export const vendorDelays: readonly number[] = [
  5 * minute,
  15 * minute,
  30 * minute,
  60 * minute,
  120 * minute,
];

/** The milliseconds before retry number `retry` (from 1), or `undefined` if there is none. */
export function delayBefore(retry: number, timeScale: number): number | undefined {
  const delay = vendorDelays[retry - 1];
  return delay === undefined ? undefined : delay / timeScale;
}

/** The milliseconds that a delivery is late by whose first `steps` attempts got nowhere. */
export function delayOf(steps: number, timeScale: number): number {
  return vendorDelays.slice(0, steps).reduce((sum, delay) => sum + delay, 0) / timeScale;
}

/** What bad luck an event will have. */
export interface Fate {
  /** Its first attempts get nowhere: newer events overtake it. */
  readonly stepsLate: number;
  /** Its receiver's answers get lost, so it is sent again although it arrived. */
  readonly answersToLose: number;
}

export function drawFate(
  random: Random,
  shares: { readonly late: number; readonly duplicates: number },
): Fate {
  const late = random.chance(shares.late);
  const again = random.chance(shares.duplicates);
  return {
    stepsLate: late ? random.pick([1, 1, 1, 2, 2, 3]) : 0,
    answersToLose: again ? random.pick([1, 1, 1, 2]) : 0,
  };
}
