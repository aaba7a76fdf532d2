/**
 * The page's store: subscribes through the SDK, gathers what arrives, and publishes a new state at most once per
 * frame. What the state becomes is decided by the reducers; here is only the wiring.
 */
import type { GapInfo, Relay, RelayError, SubscribeOptions } from "@sharmo-relay/client";
import {
  type ActivityEvent,
  type ActivityRow,
  activityRow,
  arrive,
  emptyActivity,
  hold,
  release,
  showWaiting,
} from "./activity.ts";
import { connectionOf } from "./connection.ts";
import { browserFrames, type FrameHost, perFrame } from "./frame.ts";
import type { GapNotice, Live, LiveState, Refusals } from "./live-state.ts";
import { applyPrices, emptyBoard, type PriceUpdate } from "./price-board.ts";
import { count, emptyMeter } from "./rate.ts";

interface Arrived {
  readonly prices: PriceUpdate[];
  readonly stored: ActivityRow[];
  readonly rows: ActivityRow[];
  events: number;
}

/** What a subscription means for the page. */
interface Feed {
  readonly part: keyof Refusals;
  /** For the sentence about a gap; without it the values are reloaded unasked. */
  readonly what?: string;
  /** Whether the relay has latest values of it. */
  readonly values: boolean;
  /** The page does well without it: a refusal is not worth a word. */
  readonly optional?: boolean;
}

type Came = ActivityEvent & { readonly delivery: string };

export function openLive(
  relay: Relay,
  frames: FrameHost = browserFrames(),
  now: () => number = Date.now,
): Live {
  let state: LiveState = {
    connection: connectionOf(relay.status, now()),
    board: emptyBoard,
    activity: emptyActivity,
    meter: emptyMeter,
    gaps: [],
    refusals: { prices: [], activity: [] },
    loading: true,
  };
  let arrived = nothing();
  /** When the connection was last lost, for the sentences about gaps. */
  let lostAt: number | undefined;
  const listeners = new Set<() => void>();

  const publish = (change: Partial<LiveState>): void => {
    state = { ...state, ...change };
    for (const listener of listeners) listener();
  };

  const flush = perFrame(() => {
    const { prices, stored, rows, events } = arrived;
    arrived = nothing();
    publish({
      board: applyPrices(state.board, prices),
      activity: arrive(arrive(state.activity, stored, true), rows, false),
      meter: count(state.meter, events, now()),
    });
  }, frames);

  const take = (event: Came, put: (stored: boolean) => void): void => {
    const stored = event.delivery === "snapshot";
    put(stored);
    if (!stored) arrived.events += 1;
    flush();
  };
  const takePrice =
    (kind: PriceUpdate["kind"]) =>
    (event: Came): void =>
      take(event, (stored) => arrived.prices.push({ kind, event, stored }));
  const takeRow = (event: Came): void =>
    take(event, (stored) => (stored ? arrived.stored : arrived.rows).push(activityRow(event)));

  const onGap = ({ what, values }: Feed, gap: GapInfo): void => {
    if (what === undefined) {
      gap.resync();
      return;
    }
    const { reason, certain } = gap;
    const known = state.gaps.find((notice) => notice.reason === reason);
    const notice: GapNotice = {
      reason,
      missing: [...(known?.missing ?? []), { what, certain, from: lostAt, to: now() }],
      resyncs: [...(known?.resyncs ?? []), ...(values ? [() => gap.resync()] : [])],
    };
    publish({ gaps: [...state.gaps.filter((other) => other !== known), notice] });
  };
  const dismiss = (gap: GapNotice): void => publish({ gaps: state.gaps.filter((other) => other !== gap) });

  const onError = (feed: Feed, topic: string, error: RelayError): void => {
    if (feed.optional === true || error.code === "closed") return;
    const sentence =
      error.code === "forbidden" ? `Your token does not grant ${topic}` : `${topic}: ${error.message}`;
    const { refusals } = state;
    if (refusals[feed.part].includes(sentence)) return;
    publish({ refusals: { ...refusals, [feed.part]: [...refusals[feed.part], sentence] } });
  };

  const options = (feed: Feed, topic: string): SubscribeOptions => ({
    snapshot: feed.values,
    onGap: (gap) => onGap(feed, gap),
    onError: (error) => onError(feed, topic, error),
  });

  // Names before prices, so that the table is in its order from the start.
  const created: Feed = { part: "prices", values: true, optional: true };
  const prices: Feed = { part: "prices", what: "price changes", values: true };
  // The vendor's other name for the same thing.
  const updated: Feed = { ...prices, optional: true };
  const transactions: Feed = { part: "activity", what: "transactions", values: false };
  const transfers: Feed = { part: "activity", what: "transfers", values: true };
  const subscriptions = [
    relay.on("token.created", takePrice("token"), options(created, "token.created")),
    relay.on("token.price_changed", takePrice("price"), options(prices, "token.price_changed")),
    relay.on("token.price_updated", takePrice("price"), options(updated, "token.price_updated")),
    relay.on("transaction.*", takeRow, options(transactions, "transaction.*")),
    relay.on("token.transferred", takeRow, options(transfers, "token.transferred")),
  ];
  void Promise.allSettled(subscriptions.map((subscription) => subscription.ready)).then(() => {
    publish({ loading: false });
  });

  const stopStatus = relay.onStatus((status) => {
    const connection = connectionOf(status, now(), state.connection);
    if (connection.brokenSince !== undefined) lostAt = connection.brokenSince;
    publish({ connection });
  });

  return {
    state: () => state,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    holdActivity: () => publish({ activity: hold(state.activity) }),
    releaseActivity: () => publish({ activity: release(state.activity) }),
    showWaiting: () => publish({ activity: showWaiting(state.activity) }),
    reload: (gap) => {
      for (const resync of gap.resyncs) resync();
      dismiss(gap);
    },
    dismiss,
    reconnect: () => relay.reconnect(),
    close: () => {
      stopStatus();
      relay.close();
    },
  };
}

function nothing(): Arrived {
  return { prices: [], stored: [], rows: [], events: 0 };
}
