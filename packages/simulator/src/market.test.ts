import { type CatalogueEntry, catalogue, eventTypes } from "@sharmo-relay/protocol";
import { dataProblems } from "@sharmo-relay/protocol/schemas";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Ledger } from "./market/ledger.test-ledger.ts";
import { createMarket, type MarketOptions, type SimulatedEvent } from "./market.ts";
import { serialise } from "./serialise.ts";

function events(count: number, options?: MarketOptions): SimulatedEvent[] {
  const market = createMarket(options);
  return Array.from({ length: count }, () => market.next());
}

function bytes(count: number, options: MarketOptions): string {
  return events(count, options)
    .map((event) => Buffer.from(serialise(event, "json")).toString())
    .join("\n");
}

/** The payloads that the vendor documents, field by field. */
const documented: Readonly<Record<string, readonly string[]>> = {
  "property.created": [
    "property_id",
    "name",
    "address",
    "property_type",
    "total_value",
    "total_tokens",
    "status",
  ],
  "token.transferred": ["token_id", "from_address", "to_address", "amount", "transaction_id", "timestamp"],
  "transaction.completed": [
    "transaction_id",
    "transaction_type",
    "token_id",
    "amount",
    "price_per_token",
    "total_amount",
    "buyer_address",
    "seller_address",
    "timestamp",
    "status",
  ],
};

const seeds = { seed: fc.string(), tokens: fc.integer({ min: 1, max: 30 }) };

describe("createMarket", () => {
  it("should send the same bytes for the same seed, and others for another", () => {
    const first = bytes(5_000, { seed: "7" });
    expect(bytes(5_000, { seed: "7" }) === first).toBe(true);
    expect(bytes(5_000, { seed: "8" }) === first).toBe(false);
    expect(bytes(5_000, { seed: "7", tokens: 13 }) === first).toBe(false);
  });

  it("should iterate as it is called", () => {
    const iterated: SimulatedEvent[] = [];
    for (const event of createMarket({ seed: "7" })) {
      if (iterated.push(event) === 50) break;
    }
    expect(iterated).toEqual(events(50, { seed: "7" }));
  });

  it("should have the same tokens but other events when it opens at another time", () => {
    const tokensOf = (list: SimulatedEvent[]) =>
      list.filter(({ type }) => type === "token.created").map(({ data }) => data);
    const one = events(400, { start: Date.UTC(2025, 0, 1) });
    const two = events(400, { start: Date.UTC(2025, 0, 2) });
    expect(tokensOf(one).length).toBe(12);
    expect(tokensOf(two)).toEqual(tokensOf(one));
    const ids = new Set(one.map(({ id }) => id));
    expect(two.filter(({ id }) => ids.has(id))).toEqual([]);
  });

  it("should tell simulated time at its pace, and the real time if it is given one", () => {
    const list = events(2_001, { start: 0, pace: 10 });
    const seconds = Date.parse(list.at(-1)?.created_at ?? "") / 1_000;
    expect(seconds).toBeGreaterThan(190);
    expect(seconds).toBeLessThan(210);
    let now = 1_000;
    const market = createMarket({ start: 0, now: () => now });
    expect(market.next().created_at).toBe("1970-01-01T00:00:01.000Z");
    now = 900;
    expect(market.next().created_at).toBe("1970-01-01T00:00:01.000Z");
    now = 2_500;
    expect(market.next().created_at).toBe("1970-01-01T00:00:02.500Z");
  });

  it("should send all 28 types within 5,000 events, price changes most often", () => {
    fc.assert(
      fc.property(fc.string(), (seed) => {
        const counts = new Map<string, number>();
        for (const { type } of events(5_000, { seed })) counts.set(type, (counts.get(type) ?? 0) + 1);
        expect([...counts.keys()].sort()).toEqual([...eventTypes].sort());
        expect(counts.get("token.price_changed")).toBeGreaterThan(2_000);
      }),
      { numRuns: 20 },
    );
  });

  it("should show prices and a transaction soon after it opened", () => {
    const first = (type: string) => events(200).findIndex((event) => event.type === type);
    expect(first("token.price_changed")).toBeLessThan(20);
    expect(first("transaction.created")).toBeLessThan(60);
    expect(first("transaction.created")).toBeGreaterThan(0);
  });

  it("should send documented payloads with exactly their fields, and nothing invented in the others", () => {
    fc.assert(
      fc.property(fc.record(seeds), (options) => {
        for (const { type, data } of events(3_000, options)) {
          expect(dataProblems(type, { ...data })).toEqual([]);
          const keys = Object.keys(data);
          const exact = documented[type];
          if (exact !== undefined) expect(keys.sort()).toEqual([...exact].sort());
          const { fields }: CatalogueEntry = catalogue[type];
          if (!type.startsWith("platform.")) expect(keys.filter((key) => !(key in fields))).toEqual([]);
        }
      }),
      { numRuns: 5 },
    );
  });

  it("should send events that fit together: statuses, supplies, balances, transfers, offerings, KYC, prices", () => {
    fc.assert(
      fc.property(fc.record(seeds), (options) => {
        // Its balances add up to the supply by the way it keeps books; what can break is one below zero.
        const ledger = new Ledger();
        for (const event of events(6_000, options)) ledger.add(event);
      }),
      { numRuns: 15 },
    );
  });

  it("should sell from offerings and between wallets, whole tokens and fractions", () => {
    const kinds = new Map<string, number>();
    let fractions = 0;
    const first = new Set<string>();
    for (const event of events(10_000)) {
      if (event.type !== "transaction.completed") continue;
      const { transaction_type, amount, seller_address, buyer_address } = event.data;
      kinds.set(transaction_type, (kinds.get(transaction_type) ?? 0) + 1);
      if (!Number.isInteger(amount)) fractions += 1;
      // Who sells has bought before.
      if (transaction_type === "resale") expect(first.has(seller_address)).toBe(true);
      first.add(buyer_address);
    }
    expect([...kinds.keys()].sort()).toEqual(["purchase", "resale"]);
    for (const count of kinds.values()) expect(count).toBeGreaterThan(50);
    expect(fractions).toBeGreaterThan(20);
  });

  it("should use wallets in lower and in mixed case, and names beyond ASCII", () => {
    const text = bytes(2_000, {});
    const wallets = new Set(text.match(/0x[0-9a-fA-F]{40}/g));
    const lower = [...wallets].filter((wallet) => wallet === wallet.toLowerCase());
    expect(lower.length).toBeGreaterThan(2);
    expect(wallets.size - lower.length).toBeGreaterThan(2);
    expect(text).toContain("Résidence Élysée");
    expect(text).toContain("Zürich Lofts");
  });

  it("should stay plausible in the long run", () => {
    const ledger = new Ledger();
    const market = createMarket({ seed: "long", tokens: 3 });
    for (let i = 0; i < 100_000; i += 1) ledger.add(market.next());
    for (const { price } of ledger.tokens.values()) {
      expect(price).toBeGreaterThan(200);
      expect(price).toBeLessThan(200_000);
    }
    // Tokens went and others came, again and again.
    expect(ledger.tokens.size).toBeGreaterThan(10);
  });

  it("should refuse sizes and paces that are none", () => {
    expect(() => createMarket({ tokens: 0 })).toThrow("tokens: expected a whole number from 1");
    expect(() => createMarket({ pace: 0 })).toThrow("pace: expected a number above 0");
  });
});
