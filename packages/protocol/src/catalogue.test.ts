import { describe, expect, it } from "vitest";
import {
  addressFields,
  catalogue,
  type EventType,
  eventTypes,
  type FilterKey,
  filterKeys,
  groupOf,
  idKeys,
  isEventType,
  isValueType,
  primaryKeyOf,
} from "./catalogue.ts";
import { isRoutableType, routingOf } from "./topics.ts";

/** As the vendor's documents name them: first the specification, then what only its other guides have. */
const documented = {
  guide: [
    ...["property.created", "property.updated", "property.status_changed", "property.deleted"],
    ...[
      "token.created",
      "token.transferred",
      "token.price_changed",
      "token.offering_started",
      "token.offering_ended",
    ],
    ...["transaction.created", "transaction.completed", "transaction.failed", "transaction.refunded"],
    ...["user.registered", "user.kyc_submitted", "user.kyc_approved", "user.kyc_rejected"],
    ...["platform.maintenance_scheduled", "platform.feature_launched"],
  ],
  variant: [
    ...["property.tokenized", "property.sold", "property.delisted"],
    ...["token.issued", "token.price_updated", "token.dividend_issued"],
    ...["transaction.pending", "user.kyc_updated", "user.kyc_verified"],
  ],
};

/** Fields the vendor's documents promise; no other event has any. */
const promised: Partial<Record<EventType, Record<string, "string" | "number">>> = {
  "property.created": {
    name: "string",
    address: "string",
    property_type: "string",
    total_value: "number",
    total_tokens: "number",
    status: "string",
  },
  "token.transferred": {
    token_id: "string",
    from_address: "string",
    to_address: "string",
    amount: "number",
    transaction_id: "string",
  },
  "transaction.completed": {
    transaction_id: "string",
    transaction_type: "string",
    token_id: "string",
    amount: "number",
    price_per_token: "number",
    total_amount: "number",
    buyer_address: "string",
    seller_address: "string",
    timestamp: "string",
    status: "string",
  },
};

describe("the catalogue", () => {
  it("has the 19 events of the specification and the nine of the vendor's other guides", () => {
    const of = (source: "guide" | "variant"): string[] =>
      eventTypes.filter((type) => catalogue[type].source === source);
    expect(of("guide").sort()).toEqual([...documented.guide].sort());
    expect(of("variant").sort()).toEqual([...documented.variant].sort());
    expect(eventTypes).toHaveLength(28);
  });

  it("names only events that can be routed, in five groups", () => {
    expect(eventTypes.every(isRoutableType)).toBe(true);
    expect(new Set(eventTypes.map(groupOf))).toEqual(
      new Set(["property", "token", "transaction", "user", "platform"]),
    );
  });

  it.each(eventTypes)("promises of %s what is documented, and nothing else", (type) => {
    const required = Object.entries(catalogue[type].fields).filter(([, kind]) => !kind.endsWith("?"));
    expect(Object.fromEntries(required)).toEqual(promised[type] ?? {});
  });

  it.each(eventTypes)(
    "has for %s just the filter keys that an event with all its fields is routed by",
    (type) => {
      const fields = Object.keys(catalogue[type].fields);
      const data = Object.fromEntries([...fields, "id"].map((field) => [field, `${field}_1`]));
      const keys = new Set(routingOf(type, data).filters.map((filter) => filter.key));
      const own = Object.entries(idKeys).find(([, group]) => group === groupOf(type))?.[0];
      const expected = filterKeys.filter(
        (key: FilterKey) =>
          (key !== "address" && (fields.includes(key) || key === own)) ||
          (key === "address" && addressFields.some((field) => fields.includes(field))),
      );
      expect([...keys].sort()).toEqual([...expected].sort());
    },
  );

  it("marks as values the four whose newest event alone matters", () => {
    expect(eventTypes.filter(isValueType).sort()).toEqual([
      "property.status_changed",
      "property.updated",
      "token.price_changed",
      "token.price_updated",
    ]);
    expect(isValueType("token.something_new")).toBe(false);
  });

  it("does not take names of every object for events", () => {
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", ""]) {
      expect(isEventType(name)).toBe(false);
      expect(isValueType(name)).toBe(false);
    }
  });
});

describe("the group of an event", () => {
  it.each([
    ["token.created", "token"],
    ["vendor.new_thing.v2", "vendor"],
    ["a.b", "a"],
    ["token", ""],
    ["relays", ""],
    ["", ""],
  ])("%j is %j", (type, group) => expect(groupOf(type)).toBe(group));
});

describe("the latest value", () => {
  it.each([
    ["token.price_changed", "token_id"],
    ["token.something_new", "token_id"],
    ["property.updated", "property_id"],
    ["transaction.created", undefined],
    ["user.registered", undefined],
    ["platform.feature_launched", undefined],
    ["tokens.created", undefined],
  ])("of %s is kept by %s", (type, key) => expect(primaryKeyOf(type)).toBe(key));
});
