/**
 * Topics: what a client asks for and what a token grants.
 *
 * A topic is `<pattern>` or `<pattern>?<key>=<value>`. The pattern is an event name, a group (`token.*`), or
 * `*`. Values are URI-encoded; addresses are lower case. The printed form is canonical: equal topics have equal
 * strings, and a topic's string is the name of its room.
 */
import { addressFields, type FilterKey, filterKeys, groupOf, type IdKey, idKeys } from "./catalogue.ts";

export type Pattern =
  | { readonly kind: "all" }
  | { readonly kind: "group"; readonly group: string }
  | { readonly kind: "type"; readonly type: string };

export interface Filter {
  readonly key: FilterKey;
  /** Decoded; lower case for `address`. */
  readonly value: string;
}

export interface Topic {
  readonly pattern: Pattern;
  readonly filter?: Filter;
  /** The canonical printed form. */
  readonly name: string;
}

export type TopicResult =
  | { readonly ok: true; readonly topic: Topic }
  | { readonly ok: false; readonly message: string };

/** What an event is routed by: its type and the filters that it answers to. */
export interface Routing {
  readonly type: string;
  readonly filters: readonly Filter[];
}

/** Longest event name, in characters. */
export const maxTypeLength = 64;
/** Longest filter value, decoded, in UTF-16 code units. */
export const maxValueLength = 128;

/** Groups that belong to the relay's and the vendor's own messages; no event and no topic may use them. */
export const reservedGroups: readonly string[] = ["relay", "webhook"];

/** True for what may stand after `=` in a topic: 1 to 128 characters, no lone surrogate (it has no URI encoding). */
export function isFilterValue(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    value.length <= maxValueLength &&
    !/\p{Surrogate}/u.test(value)
  );
}

const typeShape = /^[a-z0-9_]+(\.[a-z0-9_]+)+$/;
const groupShape = /^([a-z0-9_]+)\.\*$/;
const encodedShape = /^[A-Za-z0-9\-_.!~*'()%]+$/;

/** True for a name that an event may have: `group.name`, at most 64 characters, not of a reserved group. */
export function isRoutableType(type: string): boolean {
  return type.length <= maxTypeLength && typeShape.test(type) && !reservedGroups.includes(groupOf(type));
}

/** Reads a topic from outside; the message says what was expected. */
export function parseTopic(text: unknown): TopicResult {
  if (typeof text !== "string") return bad("a topic must be a string, for example token.price_changed");
  if (text.length > maxTypeLength + 3 * maxValueLength * 4) return bad("the topic is too long");
  const mark = text.indexOf("?");
  const pattern = parsePattern(mark < 0 ? text : text.slice(0, mark));
  if (typeof pattern === "string") return bad(pattern);
  if (mark < 0) return { ok: true, topic: makeTopic(pattern) };
  const filter = parseFilter(text.slice(mark + 1));
  if (typeof filter === "string") return bad(filter);
  return { ok: true, topic: makeTopic(pattern, filter) };
}

function bad(message: string): TopicResult {
  return { ok: false, message };
}

function parsePattern(text: string): Pattern | string {
  if (text === "*") return { kind: "all" };
  const group = groupShape.exec(text)?.[1];
  if (group !== undefined) {
    if (group.length > maxTypeLength) return `a group has at most ${maxTypeLength} characters`;
    return reservedGroups.includes(group) ? `the group ${group} is reserved` : { kind: "group", group };
  }
  if (isRoutableType(text)) return { kind: "type", type: text };
  return "expected an event name such as token.price_changed, a group such as token.*, or *";
}

function parseFilter(text: string): Filter | string {
  const mark = text.indexOf("=");
  const key = filterKeys.find((k) => k === text.slice(0, Math.max(mark, 0)));
  if (key === undefined) return `expected ?<key>=<value> with one of the keys ${filterKeys.join(", ")}`;
  const encoded = text.slice(mark + 1);
  if (!encodedShape.test(encoded)) return "the value after = must be URI-encoded and not empty";
  let value: string;
  try {
    value = decodeURIComponent(encoded);
  } catch {
    return "the value after = is not valid URI encoding";
  }
  if (value.length > maxValueLength) return `the value after = has at most ${maxValueLength} characters`;
  return { key, value };
}

/** Puts a topic together from its parts; the address of a filter becomes lower case. */
export function makeTopic(pattern: Pattern, filter?: Filter): Topic {
  if (filter === undefined) return { pattern, name: patternName(pattern) };
  const canonical: Filter = { key: filter.key, value: canonicalValue(filter.key, filter.value) };
  return { pattern, filter: canonical, name: `${patternName(pattern)}?${filterName(canonical)}` };
}

/** In an address A to Z become a to z, and no more: `toLowerCase` makes `İ` two letters and the Kelvin sign a `k`. */
function canonicalValue(key: FilterKey, value: string): string {
  return key === "address" ? value.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : value;
}

function patternName(pattern: Pattern): string {
  if (pattern.kind === "all") return "*";
  return pattern.kind === "group" ? `${pattern.group}.*` : pattern.type;
}

function filterName(filter: Filter): string {
  return `${filter.key}=${encodeURIComponent(filter.value)}`;
}

/** True if everything that `narrow` can match is also matched by `wide`. */
export function covers(wide: Topic, narrow: Topic): boolean {
  return patternCovers(wide.pattern, narrow.pattern) && filterCovers(wide.filter, narrow.filter);
}

function patternCovers(wide: Pattern, narrow: Pattern): boolean {
  if (wide.kind === "all") return true;
  if (narrow.kind === "all") return false;
  if (wide.kind === "group") {
    return (narrow.kind === "group" ? narrow.group : groupOf(narrow.type)) === wide.group;
  }
  return narrow.kind === "type" && narrow.type === wide.type;
}

function filterCovers(wide: Filter | undefined, narrow: Filter | undefined): boolean {
  if (wide === undefined) return true;
  return narrow !== undefined && wide.key === narrow.key && wide.value === narrow.value;
}

/** True if an event with this routing belongs to the topic. */
export function matches(topic: Topic, routing: Routing): boolean {
  if (!patternMatches(topic.pattern, routing.type)) return false;
  const { filter } = topic;
  return (
    filter === undefined || routing.filters.some((f) => f.key === filter.key && f.value === filter.value)
  );
}

export function patternMatches(pattern: Pattern, type: string): boolean {
  if (pattern.kind === "all") return true;
  return pattern.kind === "group" ? groupOf(type) === pattern.group : type === pattern.type;
}

/** The rooms an event goes to: the names of all topics that match it, each once. */
export function roomsOf(routing: Routing): string[] {
  const patterns = [routing.type, `${groupOf(routing.type)}.*`, "*"];
  const suffixes = ["", ...new Set(routing.filters.map((f) => `?${filterName(f)}`))];
  return patterns.flatMap((pattern) => suffixes.map((suffix) => pattern + suffix));
}

/**
 * The filters that an event answers to. `textOf` gives a value as text: a string as it is, a number as it was
 * written (`JSON.parse` would round a long one), `undefined` for anything else.
 */
export function routingOf(
  type: string,
  data: Readonly<Record<string, unknown>>,
  textOf: (field: string, value: unknown) => string | undefined = plainText,
): Routing {
  const filters: Filter[] = [];
  const add = (key: FilterKey, field: string): boolean => {
    if (!Object.hasOwn(data, field)) return false;
    const text = textOf(field, data[field]);
    if (text === undefined || !isFilterValue(text)) return false;
    const value = canonicalValue(key, text);
    if (!filters.some((f) => f.key === key && f.value === value)) filters.push({ key, value });
    return true;
  };
  const group = groupOf(type);
  for (const [key, own] of Object.entries(idKeys) as [IdKey, string][]) {
    if (!add(key, key) && own === group) add(key, "id");
  }
  for (const field of addressFields) add("address", field);
  return { type, filters };
}

function plainText(_field: string, value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : undefined;
}
