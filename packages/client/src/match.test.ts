import { eventTypes, filterKeys, makeTopic, matches, parseTopic, routingOf } from "@sharmo-relay/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isFor } from "./match.ts";

const texts = ["1", "tok_1", "0xAb", "0xab", "İ", "K"];
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...texts) },
  fc.constantFrom("", "x".repeat(129), "\ud800", 1, 42, null, true, {}),
);
const fields = [...filterKeys, "id", "from_address", "to_address", "buyer_address", "seller_address"];
const data = fc.dictionary(fc.constantFrom(...fields), value, { minKeys: 2, maxKeys: 8 });
const type = fc.oneof(
  fc.constantFrom(...eventTypes, "vendor.new_thing", "token.a.b"),
  fc.constantFrom("token.transferred", "user.registered", "property.created"),
);
const pattern = fc.constantFrom(
  "*",
  "token.*",
  "user.*",
  "token.transferred",
  "property.created",
  "vendor.new_thing",
);

test("an event is for a topic exactly if the protocol says so", () => {
  let found = 0;
  fc.assert(
    fc.property(
      pattern,
      fc.constantFrom(...filterKeys),
      fc.option(fc.constantFrom(...texts), { freq: 8, nil: undefined }),
      type,
      data,
      (name, key, wanted, eventType, body) => {
        const parsed = parseTopic(name);
        if (!parsed.ok) throw new Error(parsed.message);
        const { topic: all } = parsed;
        const topic = wanted === undefined ? all : makeTopic(all.pattern, { key, value: wanted });
        const expected = matches(topic, routingOf(eventType, body));
        if (expected && wanted !== undefined) found++;
        expect(isFor(topic, { id: "e", type: eventType, created_at: "", data: body })).toBe(expected);
      },
    ),
    { numRuns: 5_000 },
  );
  expect(found).toBeGreaterThan(50);
});

test("a number is compared as a number, since JSON.parse changes its text", () => {
  const event = (tokenId: unknown) => ({
    id: "e",
    type: "token.created",
    created_at: "",
    data: { token_id: tokenId },
  });
  const topic = (id: string) => makeTopic({ kind: "all" }, { key: "token_id", value: id });
  expect(isFor(topic("10.50"), event(10.5))).toBe(true);
  expect(isFor(topic("12345678901234567890"), event(Number("12345678901234567890")))).toBe(true);
  expect(isFor(topic("7"), event(8))).toBe(false);
  expect(isFor(topic("7"), { ...event(7), data: null })).toBe(false);
});
