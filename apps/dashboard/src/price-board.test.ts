import { describe, expect, it } from "vitest";
import { applyPrices, emptyBoard, historyLength, type PriceBoard, type PriceUpdate } from "./price-board.ts";

const start = Date.UTC(2026, 10, 24, 12);

/** A price that changed `second` seconds after noon. */
function price(
  tokenId: string,
  value: unknown,
  second: number,
  rest: Partial<PriceUpdate> = {},
): PriceUpdate {
  return {
    kind: "price",
    stored: false,
    event: {
      created_at: new Date(start + second * 1000).toISOString(),
      data: { token_id: tokenId, symbol: tokenId.toUpperCase(), current_price: value },
    },
    ...rest,
  };
}

function boardAfter(...updates: PriceUpdate[]): PriceBoard {
  return applyPrices(emptyBoard, updates);
}

describe("a price that changes", () => {
  it("keeps the price before it, its direction, and flashes", () => {
    const row = boardAfter(price("a", 10, 0), price("a", 11, 1), price("a", 9, 2)).rows.get("a");
    expect(row).toMatchObject({
      price: 9,
      previous: 11,
      direction: "down",
      flashes: 2,
      history: [10, 11, 9],
    });
    expect(row?.changedAt).toBe(start + 2000);
  });

  it("does not flash for the first value, nor for stored ones", () => {
    const stored = { stored: true };
    const board = boardAfter(price("a", 10, 0), price("a", 11, 1), price("a", 12, 2, stored));
    expect(board.rows.get("a")).toMatchObject({ price: 12, previous: 11, direction: "up", flashes: 1 });
  });

  it("has no price before it while only stored values are known", () => {
    const stored = { stored: true };
    const created = price("a", 10, 0, { ...stored, kind: "token" });
    const row = boardAfter(created, price("a", 11, 1, stored)).rows.get("a");
    expect(row).toMatchObject({
      price: 11,
      previous: undefined,
      direction: "level",
      history: [11],
      flashes: 0,
    });
    expect(boardAfter(created).rows.get("a")).toMatchObject({ price: 10 });
  });

  it("does not flash when the new price is the old one", () => {
    const row = boardAfter(price("a", 10, 0), price("a", 11, 1), price("a", 11, 2)).rows.get("a");
    expect(row).toMatchObject({ price: 11, previous: 10, flashes: 1, changedAt: start + 2000 });
  });

  it("is not replaced by an older one that a retry brings late", () => {
    const board = boardAfter(price("a", 10, 0), price("a", 12, 60));
    expect(applyPrices(board, [price("a", 11, 30)])).toBe(board);
  });

  it("keeps the last values only", () => {
    const updates = Array.from({ length: 100 }, (_, n) => price("a", n + 1, n));
    const history = boardAfter(...updates).rows.get("a")?.history;
    expect(history).toHaveLength(historyLength);
    expect(history?.at(-1)).toBe(100);
    expect(history?.[0]).toBe(71);
  });
});

describe("fields that the vendor does not promise", () => {
  it("has no price where the event names none, and goes on from the last known one", () => {
    const board = boardAfter(price("a", 10, 0), price("a", undefined, 1));
    expect(board.rows.get("a")).toMatchObject({ price: undefined, previous: 10, direction: "level" });
    expect(applyPrices(board, [price("a", 11, 2)]).rows.get("a")).toMatchObject({
      price: 11,
      previous: 10,
      direction: "up",
      history: [10, 11],
    });
  });

  it("takes `id` for `token_id` and prices written as text", () => {
    const event = { created_at: "2026-11-24T12:00:00Z", data: { id: 7, current_price: "10.50" } };
    expect(boardAfter({ kind: "price", stored: false, event }).rows.get("7")).toMatchObject({ price: 10.5 });
  });

  it("ignores events that name no token", () => {
    for (const data of [undefined, null, "tok_1", [], {}, { token_id: "" }]) {
      const event = { created_at: "2026-11-24T12:00:00Z", data };
      expect(boardAfter({ kind: "price", stored: false, event })).toBe(emptyBoard);
    }
  });

  it("takes a price although its time cannot be read", () => {
    const event = { created_at: "yesterday", data: { token_id: "a", current_price: 3 } };
    const row = boardAfter({ kind: "price", stored: false, event }).rows.get("a");
    expect(row).toMatchObject({ price: 3, changedAt: undefined });
  });

  it("keeps names that a later event leaves out, and learns them from other news of the token", () => {
    const nameless = price("a", 11, 2, {
      event: { created_at: new Date(start + 2000).toISOString(), data: { token_id: "a", current_price: 11 } },
    });
    const named: PriceUpdate = {
      kind: "token",
      stored: true,
      event: { created_at: new Date(start).toISOString(), data: { token_id: "a", name: "Harbour View" } },
    };
    expect(boardAfter(price("a", 10, 1), nameless, named).rows.get("a")).toMatchObject({
      symbol: "A",
      name: "Harbour View",
      price: 11,
    });
  });
});

describe("the table's order", () => {
  it("is by symbol, whatever order events come in, and stable while prices change", () => {
    const board = boardAfter(price("tok10", 1, 0), price("tok9", 1, 0), price("abc", 1, 0));
    expect(board.order).toEqual(["abc", "tok9", "tok10"]);
    expect(applyPrices(board, [price("tok10", 99, 5)]).order).toBe(board.order);
  });

  it("keeps the rows that did not change", () => {
    const before = boardAfter(price("a", 1, 0), price("b", 1, 0));
    const after = applyPrices(before, [price("b", 2, 1)]);
    expect(after.rows.get("a")).toBe(before.rows.get("a"));
    expect(after.rows.get("b")).not.toBe(before.rows.get("b"));
    expect(before.rows.get("b")?.price).toBe(1);
  });
});
