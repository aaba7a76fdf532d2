/**
 * The running list of transactions and transfers, newest first and bounded. While a reader holds it, what arrives
 * waits and is counted; nothing moves under the reader's eyes. A reducer with neither clock nor socket in it.
 */
import { numberOf, sentence, textOf } from "./format.ts";

export const activityLength = 200;
/** More rows than this in one step are a catch-up: they appear without sliding in one by one. */
const slideAtMost = 4;

type Tone = "good" | "bad" | "warn" | "neutral";

export interface ActivityRow {
  readonly id: string;
  /** `Purchase`, `Transfer`, …: in words for the person who reads. */
  readonly kind: string;
  readonly status: string;
  readonly tone: Tone;
  readonly tokenId: string | undefined;
  readonly amount: number | undefined;
  readonly total: number | undefined;
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** `created_at` in ms. */
  readonly at: number | undefined;
  /** Whether it slides in. */
  readonly fresh: boolean;
}

export interface Activity {
  /** Newest first. */
  readonly shown: readonly ActivityRow[];
  /** Arrived while held, newest first. */
  readonly waiting: readonly ActivityRow[];
  /** How many arrived while held, also those no longer kept. */
  readonly waitingCount: number;
  readonly held: boolean;
}

export interface ActivityEvent {
  readonly id: string;
  readonly type: string;
  readonly created_at: string;
  readonly data: unknown;
}

export const emptyActivity: Activity = { shown: [], waiting: [], waitingCount: 0, held: false };

/**
 * Puts new rows on top, the last of `rows` first. `stored` rows were there before the page: they take their place by
 * time, below what is newer.
 */
export function arrive(activity: Activity, rows: readonly ActivityRow[], stored: boolean): Activity {
  if (rows.length === 0) return activity;
  if (stored) return { ...activity, shown: withStored(activity, rows) };
  const newestFirst = rows.toReversed();
  if (activity.held) {
    return {
      ...activity,
      waiting: bounded([...newestFirst, ...activity.waiting]),
      waitingCount: activity.waitingCount + rows.length,
    };
  }
  return { ...activity, shown: bounded([...sliding(newestFirst), ...activity.shown]) };
}

export function hold(activity: Activity): Activity {
  return activity.held ? activity : { ...activity, held: true };
}

/** Shows what waited; goes on holding if it did. */
export function showWaiting(activity: Activity): Activity {
  const { shown, waiting, held } = activity;
  if (waiting.length === 0) return activity;
  return { shown: bounded([...sliding(waiting), ...shown]), waiting: [], waitingCount: 0, held };
}

export function release(activity: Activity): Activity {
  return activity.held ? { ...showWaiting(activity), held: false } : activity;
}

/** The row of an event; every field is read with care, since the vendor promises few of them. */
export function activityRow(event: ActivityEvent): ActivityRow {
  const data: Readonly<Record<string, unknown>> =
    typeof event.data === "object" && event.data !== null ? { ...event.data } : {};
  const transfer = event.type.startsWith("token.");
  const last = event.type.slice(event.type.lastIndexOf(".") + 1);
  const status = textOf(data["status"])?.toLowerCase() ?? last;
  const amount = numberOf(data["amount"]);
  const unitPrice = numberOf(data["price_per_token"]);
  const at = Date.parse(event.created_at);
  return {
    id: event.id,
    kind: transfer ? "Transfer" : sentence(textOf(data["transaction_type"]) ?? "transaction"),
    status: sentence(status),
    tone: toneOf(last, status),
    tokenId: textOf(data["token_id"]),
    amount,
    total: numberOf(data["total_amount"]) ?? product(amount, unitPrice),
    from: textOf(data["from_address"]) ?? textOf(data["seller_address"]),
    to: textOf(data["to_address"]) ?? textOf(data["buyer_address"]),
    at: Number.isNaN(at) ? undefined : at,
    fresh: false,
  };
}

const tones: Readonly<Record<string, Tone>> = {
  completed: "good",
  transferred: "good",
  confirmed: "good",
  success: "good",
  failed: "bad",
  rejected: "bad",
  cancelled: "bad",
  refunded: "warn",
};

/** By the event's name first: it is documented, the words of `status` are not. */
function toneOf(name: string, status: string): Tone {
  return tones[name] ?? tones[status] ?? "neutral";
}

function product(amount: number | undefined, price: number | undefined): number | undefined {
  return amount === undefined || price === undefined ? undefined : amount * price;
}

function sliding(rows: readonly ActivityRow[]): readonly ActivityRow[] {
  return rows.length > slideAtMost ? rows : rows.map((row) => ({ ...row, fresh: true }));
}

function bounded(rows: readonly ActivityRow[]): readonly ActivityRow[] {
  return rows.length > activityLength ? rows.slice(0, activityLength) : rows;
}

/** Values that are asked for again bring events that are in the list already. */
function withStored(activity: Activity, rows: readonly ActivityRow[]): readonly ActivityRow[] {
  const known = new Set([...activity.shown, ...activity.waiting].map((row) => row.id));
  return bounded(byTime([...activity.shown, ...rows.filter((row) => !known.has(row.id))]));
}

function byTime(rows: readonly ActivityRow[]): readonly ActivityRow[] {
  return rows.toSorted((a, b) => (b.at ?? 0) - (a.at ?? 0));
}
