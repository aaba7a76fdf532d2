/** What the vendor's dashboard shows: each attempt with the status and the beginning of the answer. */

export interface Delivery {
  readonly eventId: string;
  readonly type: string;
  /** From 1; the vendor makes at most 6. */
  readonly attempt: number;
  /** When the attempt began, ISO 8601. */
  readonly at: string;
  readonly tookMs: number;
  /** Absent if there was no answer. */
  readonly status?: number;
  /** The beginning of the answer, or why there was none. */
  readonly response: string;
  /**
   * - `delivered`: answered 2xx
   * - `lost_answer`: answered 2xx, but the sender acts as if it had not heard it, and will send again
   * - `retrying`: will be tried again at `nextAt`
   * - `failed`: was the last attempt
   */
  readonly outcome: "delivered" | "lost_answer" | "retrying" | "failed";
  /** The event had been answered 2xx before this attempt. */
  readonly again: boolean;
  readonly nextAt?: string;
}

export interface DeliveryRecord {
  add(delivery: Delivery): void;
  /** Newest last. */
  list(): readonly Delivery[];
}

/** Keeps the last `limit` deliveries. */
export function createRecord(limit: number): DeliveryRecord {
  const kept: Delivery[] = [];
  return {
    add: (delivery) => {
      kept.push(delivery);
      if (kept.length > limit) kept.shift();
    },
    list: () => [...kept],
  };
}
