import { describe, expect, it } from "vitest";
import {
  type ActivityRow,
  activityLength,
  activityRow,
  arrive,
  emptyActivity,
  hold,
  release,
  showWaiting,
} from "./activity.ts";

function rows(from: number, to: number): ActivityRow[] {
  const events = [];
  for (let n = from; n <= to; n++) {
    const createdAt = new Date(Date.UTC(2026, 10, 24) + n * 1000).toISOString();
    events.push(
      activityRow({ id: `evt_${n}`, type: "transaction.created", created_at: createdAt, data: {} }),
    );
  }
  return events;
}

const ids = (list: readonly ActivityRow[]) => list.map((row) => row.id);

describe("the running list", () => {
  it("has the newest on top", () => {
    const list = arrive(arrive(emptyActivity, rows(1, 2), false), rows(3, 4), false);
    expect(ids(list.shown)).toEqual(["evt_4", "evt_3", "evt_2", "evt_1"]);
  });

  it("keeps the newest 200", () => {
    const list = arrive(arrive(emptyActivity, rows(1, 150), false), rows(151, 400), false);
    expect(list.shown).toHaveLength(activityLength);
    expect(list.shown[0]?.id).toBe("evt_400");
  });

  it("puts stored rows below what is newer", () => {
    const list = arrive(arrive(emptyActivity, rows(5, 6), false), rows(1, 3).reverse(), true);
    expect(ids(list.shown)).toEqual(["evt_6", "evt_5", "evt_3", "evt_2", "evt_1"]);
  });

  it("does not repeat rows when stored ones are asked for again", () => {
    const list = arrive(emptyActivity, rows(1, 3), false);
    expect(ids(arrive(list, rows(0, 3), true).shown)).toEqual(["evt_3", "evt_2", "evt_1", "evt_0"]);
  });

  it("lets few rows slide in, and a catch-up appear at once", () => {
    expect(arrive(emptyActivity, rows(1, 2), false).shown.every((row) => row.fresh)).toBe(true);
    expect(arrive(emptyActivity, rows(1, 50), false).shown.some((row) => row.fresh)).toBe(false);
    expect(arrive(emptyActivity, rows(1, 2), true).shown.some((row) => row.fresh)).toBe(false);
  });
});

describe("a list that is held", () => {
  const held = hold(arrive(emptyActivity, rows(1, 2), false));

  it("does not move, and counts what waits", () => {
    const later = arrive(arrive(held, rows(3, 4), false), rows(5, 5), false);
    expect(later.shown).toBe(held.shown);
    expect(later.waitingCount).toBe(3);
  });

  it("shows what waited when it is let go, newest on top", () => {
    const letGo = release(arrive(arrive(held, rows(3, 4), false), rows(5, 5), false));
    expect(ids(letGo.shown)).toEqual(["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]);
    expect(letGo).toMatchObject({ waiting: [], waitingCount: 0, held: false });
  });

  it("shows what waited on demand and holds on", () => {
    const shown = showWaiting(arrive(held, rows(3, 3), false));
    expect(ids(shown.shown)).toEqual(["evt_3", "evt_2", "evt_1"]);
    expect(shown).toMatchObject({ waitingCount: 0, held: true });
  });

  it("counts also what it no longer keeps", () => {
    const later = arrive(held, rows(1, 900), false);
    expect(later.waiting).toHaveLength(activityLength);
    expect(later.waitingCount).toBe(900);
  });

  it("is the same when nothing changes", () => {
    expect(hold(held)).toBe(held);
    expect(release(emptyActivity)).toBe(emptyActivity);
    expect(showWaiting(held)).toBe(held);
    expect(arrive(held, [], false)).toBe(held);
  });
});

describe("the row of an event", () => {
  const createdAt = "2026-11-24T12:00:00Z";

  it("tells a transaction from its documented fields", () => {
    const data = {
      transaction_id: "txn_1",
      transaction_type: "secondary_sale",
      token_id: "tok_1",
      amount: 10,
      price_per_token: 12.5,
      total_amount: 125,
      buyer_address: "0xb",
      seller_address: "0xa",
      timestamp: createdAt,
      status: "completed",
    };
    expect(activityRow({ id: "evt_1", type: "transaction.completed", created_at: createdAt, data })).toEqual({
      id: "evt_1",
      kind: "Secondary sale",
      status: "Completed",
      tone: "good",
      tokenId: "tok_1",
      amount: 10,
      total: 125,
      from: "0xa",
      to: "0xb",
      at: Date.parse(createdAt),
      fresh: false,
    });
  });

  it("tells a transfer", () => {
    const data = { token_id: "tok_1", from_address: "0xa", to_address: "0xb", amount: 10.5 };
    expect(
      activityRow({ id: "evt_1", type: "token.transferred", created_at: createdAt, data }),
    ).toMatchObject({
      kind: "Transfer",
      status: "Transferred",
      tone: "good",
      amount: 10.5,
      total: undefined,
    });
  });

  it("makes do with an event that has nothing but a name", () => {
    for (const data of [undefined, null, "text", [], {}]) {
      const row = activityRow({ id: "evt_1", type: "transaction.failed", created_at: "?", data });
      expect(row).toMatchObject({ kind: "Transaction", status: "Failed", tone: "bad", at: undefined });
    }
  });

  it("works out the total where the event has its parts only", () => {
    const data = { amount: "2", price_per_token: 1.5 };
    expect(activityRow({ id: "evt_1", type: "transaction.created", created_at: createdAt, data }).total).toBe(
      3,
    );
  });
});
