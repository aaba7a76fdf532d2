/** How many events came in each of the last seconds: a ring of counters, told the time, never asking for it. */

/** Seconds that are kept; the bars in the header. */
export const keptSeconds = 40;
/** Seconds over which the rate is taken. */
const rateSeconds = 10;

export interface RateMeter {
  readonly total: number;
  /** The second of the newest counter, in seconds since 1970; 0 before the first event. */
  readonly second: number;
  /** Oldest first; the last one belongs to `second`. */
  readonly counts: readonly number[];
}

export const emptyMeter: RateMeter = {
  total: 0,
  second: 0,
  counts: Array.from({ length: keptSeconds }, () => 0),
};

export function count(meter: RateMeter, events: number, now: number): RateMeter {
  if (events === 0) return meter;
  const moved = upTo(meter, now);
  const counts = [...moved.counts];
  counts[keptSeconds - 1] = (counts[keptSeconds - 1] ?? 0) + events;
  return { ...moved, total: meter.total + events, counts };
}

/** Events per second over the last ten whole seconds. */
export function rateAt(meter: RateMeter, now: number): number {
  const counts = barsAt(meter, now).slice(-rateSeconds);
  return counts.reduce((sum, value) => sum + value, 0) / rateSeconds;
}

/** The counters as of `now`, oldest first, without the second that is still running. */
export function barsAt(meter: RateMeter, now: number): readonly number[] {
  return upTo(meter, now).counts.slice(0, -1);
}

function upTo(meter: RateMeter, now: number): RateMeter {
  const second = Math.floor(now / 1000);
  const passed = second - meter.second;
  // A clock set back goes on in the newest counter.
  if (passed <= 0) return meter;
  const empty = Array.from({ length: Math.min(passed, keptSeconds) }, () => 0);
  return { ...meter, second, counts: [...meter.counts, ...empty].slice(-keptSeconds) };
}
