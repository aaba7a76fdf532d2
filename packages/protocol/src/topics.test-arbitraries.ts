/** Topics and events for property tests, made of few words, so that they often have to do with one another. */
import fc from "fast-check";
import { addressFields, eventTypes, filterKeys } from "./catalogue.ts";
import { type Filter, makeTopic, type Pattern, type Routing, routingOf, type Topic } from "./topics.ts";

/** Text of any UTF-16 code units, lone surrogates among them. */
export const anyText: fc.Arbitrary<string> = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0, max: 0xffff })), { maxLength: 80 })
  .map((units) => String.fromCharCode(...units));

const word = fc.constantFrom("token", "transaction", "user", "property", "a", "b_1", "9", "created", "x");

const typeName = fc.oneof(
  fc.constantFrom(...eventTypes),
  fc.array(word, { minLength: 2, maxLength: 3 }).map((words) => words.join(".")),
);

export const pattern: fc.Arbitrary<Pattern> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Pattern>({ kind: "all" }) },
  { weight: 3, arbitrary: word.map((group): Pattern => ({ kind: "group", group })) },
  { weight: 4, arbitrary: typeName.map((type): Pattern => ({ kind: "type", type })) },
);

/** What may stand after `=`: often one of a few, sometimes anything. */
export const filterValue: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("1", "tok_1", "0xAb", "0xab", "0xAB", "ü €", "%41", "a&b=c?d") },
  { weight: 1, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 64 }) },
);

export const filter: fc.Arbitrary<Filter> = fc.record({
  key: fc.constantFrom(...filterKeys),
  value: filterValue,
});

export const topic: fc.Arbitrary<Topic> = fc
  .tuple(pattern, fc.option(filter, { nil: undefined }))
  .map(([of, by]) => makeTopic(of, by));

const dataField = fc.constantFrom(...filterKeys, ...addressFields, "id", "name");
const dataValue = fc.oneof(
  { weight: 6, arbitrary: filterValue },
  { weight: 1, arbitrary: fc.integer() },
  { weight: 1, arbitrary: fc.constantFrom(null, true, "", [], {}, "x".repeat(129), "\ud800") },
);

/** An event's routing, from data as a sender may write it. */
export const event: fc.Arbitrary<Routing> = fc
  .tuple(typeName, fc.array(fc.tuple(dataField, dataValue), { maxLength: 5 }))
  .map(([type, fields]) => routingOf(type, Object.fromEntries(fields)));

/** The narrowest event of a topic: one that fits it and as little else as possible. */
export function witness({ pattern: of, filter: by }: Topic): Routing {
  const type = of.kind === "type" ? of.type : `${of.kind === "group" ? of.group : "nobody"}.has_this_name`;
  return { type, filters: by === undefined ? [] : [by] };
}
