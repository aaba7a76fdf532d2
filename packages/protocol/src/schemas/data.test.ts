import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catalogue, eventTypes } from "../catalogue.ts";
import { anyText } from "../topics.test-arbitraries.ts";
import { dataProblems } from "./data.ts";

/** The payloads that the vendor's documents show. */
const samples: Record<string, Record<string, unknown>> = {
  "property.created": {
    property_id: "prop_4821",
    name: "Seestraße 12",
    address: "8002 Zürich",
    property_type: "residential",
    total_value: 2_500_000,
    total_tokens: 25_000,
    status: "pending",
  },
  "token.transferred": {
    token_id: "tok_42",
    from_address: "0x52908400098527886E0F7030069857D2E4169EE7",
    to_address: "0xde709f2102306220921060314715629080e2fb77",
    amount: 10.5,
    transaction_id: "txn_9f31",
    timestamp: "2026-01-15T10:31:06Z",
  },
  "transaction.completed": {
    transaction_id: "txn_9f31",
    transaction_type: "purchase",
    token_id: "tok_42",
    amount: 10.5,
    price_per_token: 101.25,
    total_amount: 1063.125,
    buyer_address: "0xde709f2102306220921060314715629080e2fb77",
    seller_address: "0x52908400098527886E0F7030069857D2E4169EE7",
    timestamp: "2026-01-15T10:31:06Z",
    status: "completed",
  },
};

function without(data: Record<string, unknown>, field: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).filter(([name]) => name !== field));
}

describe("the data of an event", () => {
  it.each(Object.entries(samples))("is right as the vendor documents it: %s", (type, data) => {
    expect(dataProblems(type, data)).toEqual([]);
  });

  it("may say id for property_id, and leave out the time of a transfer", () => {
    const property = without(samples["property.created"] ?? {}, "property_id");
    expect(dataProblems("property.created", { ...property, id: "prop_4821" })).toEqual([]);
    expect(
      dataProblems("token.transferred", without(samples["token.transferred"] ?? {}, "timestamp")),
    ).toEqual([]);
  });

  it.each(
    Object.entries(samples).flatMap(([type, data]) =>
      Object.entries(catalogue[type as keyof typeof catalogue].fields)
        .filter(([, kind]) => !kind.endsWith("?"))
        .map(([field, kind]) => [type, field, kind, data] as const),
    ),
  )("of %s is told to lack %s, a %s, if it does or has another kind", (type, field, expected, data) => {
    expect(dataProblems(type, without(data, field))).toEqual([{ field, expected, problem: "missing" }]);
    for (const wrong of [null, true, [], {}, expected === "string" ? 1 : "1"]) {
      expect(dataProblems(type, { ...data, [field]: wrong })).toEqual([
        { field, expected, problem: "wrong_type" },
      ]);
    }
  });

  it("may lack what is not promised, or have null there, but not another kind", () => {
    for (const absent of [
      {},
      { current_price: null },
      { current_price: undefined },
      { current_price: 1.5 },
    ]) {
      expect(dataProblems("token.price_changed", absent)).toEqual([]);
    }
    expect(dataProblems("token.price_changed", { current_price: "1.5" })).toEqual([
      { field: "current_price", expected: "number", problem: "wrong_type" },
    ]);
  });

  it("may have fields that nobody documents", () => {
    const more = { ...samples["token.transferred"], memo: [1], __proto__: { token_id: 1 } };
    expect(dataProblems("token.transferred", more)).toEqual([]);
  });

  it("has only its own fields", () => {
    const problems = dataProblems("token.transferred", Object.create(samples["token.transferred"] ?? {}));
    expect(problems.map(({ problem }) => problem)).toEqual(Array(5).fill("missing"));
  });

  it("is anything for an event that the catalogue does not know", () => {
    for (const type of ["vendor.new_thing", "constructor", "__proto__", ""]) {
      expect(dataProblems(type, { token_id: 7 })).toEqual([]);
    }
  });

  it("never throws and stands in no problem that is told", () => {
    const secret = "unmistakable";
    const fields = fc.dictionary(
      fc.oneof(fc.constantFrom("name", "amount", "token_id", "status", "price"), anyText),
      fc.oneof(fc.anything(), fc.constant(secret)),
    );
    fc.assert(
      fc.property(fc.constantFrom(...eventTypes), fields, (type, data) => {
        const problems = dataProblems(type, data);
        expect(JSON.stringify(problems)).not.toContain(secret);
        const known = Object.keys(catalogue[type].fields);
        for (const { field } of problems) expect(known).toContain(field);
      }),
    );
  });
});
