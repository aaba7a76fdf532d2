import { type Epoch, formatCursor, makeTopic, type SubscriptionId } from "@sharmo-relay/protocol";
import { describe, expect, it } from "vitest";
import type { EventEntry, LogRange } from "../log/event-log.ts";
import type { Fork } from "../tail/tail.ts";
import { missingIn, withTold } from "./gaps.ts";
import {
  catchingUp,
  forked,
  lacks,
  type NodeView,
  plan,
  type Subscription,
  takePage,
} from "./subscription.ts";

const epoch = "aaaaaaaaaaaa" as Epoch;
const node: NodeView = { epoch, history: [{ epoch, first: 1 }], position: 20, memoryStart: 10 };
const subscription: Subscription = {
  id: "s1" as SubscriptionId,
  topics: [makeTopic({ kind: "type", type: "token.created" })],
  conflate: false,
  state: catchingUp(4),
  told: new Map(),
  had: [],
};
const fork: Fork = { at: 2, before: { history: [{ epoch, first: 1 }], through: 20 }, dead: [] };
const range: LogRange = { epoch, head: 20, trimmedThrough: new Map(), after: 4, through: 8, entries: [] };

describe("a page", () => {
  it("counts if it was read for this position, under the epoch and head the node believes in", () => {
    expect(takePage(subscription, range, 4, node)).toMatchObject({
      use: true,
      subscription: { state: { position: 8 } },
    });
  });

  it.each([
    ["another epoch", { ...range, epoch: "bbbbbbbbbbbb" as Epoch }, node],
    ["a head that lies behind the page", { ...range, head: 7 }, node],
    ["a page beyond the node's position", range, { ...node, position: 7 }],
    ["a page that begins after the position", { ...range, after: 5 }, node],
    ["a page that brings nothing", { ...range, through: 4 }, node],
  ])("is thrown away for %s", (_why, page, view) => {
    expect(takePage(subscription, page, 4, view)).toEqual({ use: false });
  });

  it("is thrown away if the subscription was rewound meanwhile", () => {
    expect(takePage(forked(subscription, fork), range, 4, node)).toEqual({ use: false });
  });
});

describe("after a failover", () => {
  const other = "bbbbbbbbbbbb" as Epoch;
  const entry: EventEntry = {
    kind: "event",
    sequence: 7,
    id: "evt_7",
    type: "token.created",
    createdAt: 0,
    filters: [],
    at: 0,
    late: false,
    body: Buffer.alloc(0),
  };
  const rewound = forked({ ...subscription, state: catchingUp(9) }, fork);
  const now = [
    { epoch, first: 1 },
    { epoch: other, first: 3 },
  ];

  it("an event is not sent again if it was put back, or stands where it had been before", () => {
    expect(lacks(rewound, { ...entry, was: [formatCursor(epoch, 8)] }, now)).toBe(false);
    expect(lacks(rewound, entry, [{ epoch, first: 1 }])).toBe(false);
  });

  it("an event is sent if it is another one under a number that was given out before, or comes from beyond", () => {
    expect(lacks(rewound, entry, now)).toBe(true);
    expect(lacks(rewound, { ...entry, was: [formatCursor(epoch, 10)] }, now)).toBe(true);
    expect(lacks(rewound, { ...entry, was: [formatCursor(other, 5)] }, now)).toBe(true);
  });
});

describe("the plan of a subscription", () => {
  it.each([
    [catchingUp(3), { do: "read", after: 3, through: 20 }],
    [catchingUp(10), { do: "memory", after: 10, through: 20 }],
    [catchingUp(20), { do: "join" }],
    [catchingUp(21), { do: "await_node" }],
    [{ kind: "tailing" }, { do: "nothing" }],
    [{ kind: "catching_up", position: 3, reading: true }, { do: "nothing" }],
  ] as const)("of %j is %j", (state, expected) => {
    expect(plan({ ...subscription, state }, node)).toEqual(expected);
  });
});

describe("a gap", () => {
  const trimmed = new Map([
    ["token.created", 12],
    ["user.registered", 15],
  ]);

  it("names what was trimmed of the types asked for, and nothing of others", () => {
    expect(missingIn(subscription, trimmed, 4)).toMatchObject({ certain: true, from: 4, to: 12 });
    expect(missingIn(subscription, trimmed, 12)).toBeUndefined();
    expect(missingIn(subscription, new Map([["user.registered", 15]]), 4)).toBeUndefined();
  });

  it("moves no position: events of other types in it still follow", () => {
    const page = takePage(subscription, { ...range, trimmedThrough: trimmed }, 4, node);
    expect(page).toMatchObject({ missing: { to: 12 }, subscription: { state: { position: 8 } } });
  });

  it("is told once, and what is trimmed later only from there on", () => {
    const told = { ...subscription, told: withTold(subscription, trimmed, 4) };
    expect(missingIn(told, trimmed, 5)).toBeUndefined();
    expect(missingIn(told, new Map([["token.created", 18]]), 5)).toMatchObject({ from: 12, to: 18 });
  });

  it("is not certain for a topic with a key: whose events were trimmed nobody knows", () => {
    const topics = [makeTopic({ kind: "group", group: "token" }, { key: "token_id", value: "tok_1" })];
    expect(missingIn({ ...subscription, topics }, trimmed, 4)).toMatchObject({
      certain: false,
      from: 4,
      to: 12,
    });
  });
});
