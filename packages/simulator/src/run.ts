/** Lets a market run into a sender at a steady rate. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Market } from "./market.ts";
import type { Sender } from "./sender.ts";

export interface RunOptions {
  readonly market: Market;
  readonly sender: Sender;
  /** Events a second, on average. */
  readonly rate: number;
  /** How many events are sent at a time, at the same average rate. Default: 1. */
  readonly burst?: number;
  /** Ends after so many events. Default: never. */
  readonly count?: number;
  readonly signal?: AbortSignal;
}

/** A market that had to wait for its sender does not hurry to make up for more than this. */
const mostBehindMs = 1_000;

/** Resolves when `count` events were taken by the sender, or when either was stopped. */
export async function run(options: RunOptions): Promise<void> {
  const { market, sender, rate, burst = 1, count = Number.POSITIVE_INFINITY, signal } = options;
  const pause = (1_000 * burst) / rate;
  let due = performance.now();
  for (let sent = 0; sent < count; sent += 1) {
    if (sent > 0 && sent % burst === 0) {
      due = Math.max(due + pause, performance.now() - mostBehindMs);
      if (!(await reached(due, signal))) return;
    }
    if (signal?.aborted === true || !(await sender.send(market.next()))) return;
  }
}

/** False if the signal came first. */
async function reached(due: number, signal: AbortSignal | undefined): Promise<boolean> {
  const left = due - performance.now();
  if (left <= 0) return true;
  try {
    await sleep(left, undefined, signal === undefined ? {} : { signal });
    return true;
  } catch {
    return false;
  }
}
