import {
  type GapInfo,
  type Relay,
  RelayError,
  type Status,
  type SubscribeOptions,
} from "@sharmo-relay/client";
import { describe, expect, it } from "vitest";
import type { FrameHost } from "./frame.ts";
import { openLive } from "./live.ts";

const noon = Date.UTC(2026, 10, 24, 12);

/** A relay that hands out what the test says, and a page whose frames the test draws. */
function setUp() {
  const topics = new Map<string, { handler: (event: unknown) => unknown; options: SubscribeOptions }>();
  const statuses: ((status: Status) => void)[] = [];
  const status: Status = { state: "connecting", degraded: false, role: "solo", message: "Connecting" };
  const on = (topic: string, handler: (event: unknown) => unknown, options: SubscribeOptions) => {
    topics.set(topic, { handler, options });
    return { topic, ready: Promise.resolve(), cursor: undefined, unsubscribe: () => {} };
  };
  const relay = {
    on,
    status,
    onStatus: (listener: (status: Status) => void) => {
      statuses.push(listener);
      return () => {};
    },
    reconnect: () => {},
    close: () => {},
  } as unknown as Relay;

  const frames: (() => void)[] = [];
  const host: FrameHost = {
    hidden: () => false,
    requestFrame: (run) => frames.push(run),
    requestTask: (run) => frames.push(run),
    onVisibility: () => {},
  };
  let clock = noon;
  let published = 0;
  const live = openLive(relay, host, () => clock);
  live.subscribe(() => published++);

  let id = 0;
  return {
    live,
    published: () => published,
    frame: () => {
      for (const run of frames.splice(0)) run();
    },
    later: (ms: number) => {
      clock += ms;
    },
    status: (state: Status["state"]) => {
      for (const listener of statuses) listener({ ...status, state });
    },
    event: (topic: string, data: object, delivery = "live", type = topic) =>
      topics.get(topic)?.handler({
        id: `evt_${++id}`,
        type,
        created_at: new Date(clock + id).toISOString(),
        data,
        delivery,
      }),
    gap: (topic: string, gap: Pick<GapInfo, "reason" | "resync">) =>
      topics.get(topic)?.options.onGap?.({ ...gap, certain: false } as GapInfo),
    refuse: (topic: string) =>
      topics.get(topic)?.options.onError?.(new RelayError("forbidden", "not granted", { details: {} })),
    asks: (topic: string) => topics.get(topic)?.options,
  };
}

describe("events", () => {
  it("are published once per frame, however many come", () => {
    const page = setUp();
    for (let n = 1; n <= 500; n++) page.event("token.price_changed", { token_id: "a", current_price: n });
    page.event("transaction.*", { amount: 1 }, "live", "transaction.created");
    expect(page.published()).toBe(0);
    page.frame();
    expect(page.published()).toBe(1);
    const { board, activity, meter } = page.live.state();
    expect(board.rows.get("a")).toMatchObject({ price: 500, previous: 499 });
    expect(activity.shown).toHaveLength(1);
    expect(meter.total).toBe(501);
  });

  it("that were stored before are shown at once and not counted", () => {
    const page = setUp();
    expect(page.asks("token.price_changed")).toMatchObject({ snapshot: true });
    page.event("token.price_changed", { token_id: "a", current_price: 7 }, "snapshot");
    page.frame();
    expect(page.live.state().board.rows.get("a")).toMatchObject({ price: 7, flashes: 0 });
    expect(page.live.state().meter.total).toBe(0);
  });
});

describe("what is refused", () => {
  it("is named where it would be shown, and the rest goes on", () => {
    const page = setUp();
    page.refuse("transaction.*");
    page.refuse("transaction.*");
    page.refuse("token.price_updated");
    page.event("token.price_changed", { token_id: "a", current_price: 7 });
    page.frame();
    expect(page.live.state().refusals).toEqual({
      prices: [],
      activity: ["Your token does not grant transaction.*"],
    });
    expect(page.live.state().board.order).toEqual(["a"]);
  });
});

describe("gaps", () => {
  it("of one reason are one notice, from the moment the connection was lost", () => {
    const page = setUp();
    let resyncs = 0;
    const gap = { reason: "retention", resync: () => resyncs++ } as const;
    page.status("live");
    page.status("reconnecting");
    page.later(180_000);
    page.status("catching_up");
    page.gap("token.price_changed", gap);
    page.gap("transaction.*", gap);
    const [notice, ...others] = page.live.state().gaps;
    expect(others).toEqual([]);
    expect(notice?.missing).toEqual([
      { what: "price changes", certain: false, from: noon, to: noon + 180_000 },
      { what: "transactions", certain: false, from: noon, to: noon + 180_000 },
    ]);
    if (notice !== undefined) page.live.reload(notice);
    // Transactions have no latest value to ask for.
    expect(resyncs).toBe(1);
    expect(page.live.state().gaps).toEqual([]);
  });

  it("in names are nobody's business: they are asked for again", () => {
    const page = setUp();
    let resyncs = 0;
    page.gap("token.created", { reason: "retention", resync: () => resyncs++ });
    expect(resyncs).toBe(1);
    expect(page.live.state().gaps).toEqual([]);
  });
});
