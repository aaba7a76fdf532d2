/** Query parameters, read strictly: what is not known or not right is refused by name, not passed over. */
import {
  cursorForm,
  isRoutableType,
  type Position,
  parseCursor,
  parseTopic,
  type Topic,
} from "@sharmo-relay/protocol";
import { ApiError, invalid } from "./errors.ts";

/** Most topics, and most types, of one request. */
const maxNames = 100;

export type Query = ReadonlyMap<string, readonly string[]>;

export function readQuery(search: string, known: readonly string[]): Query {
  const query = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (!known.includes(name)) {
      throw invalid(`unknown parameter ${short(name)}; expected ${known.join(", ") || "none"}`, {
        expected: known,
      });
    }
    const values = query.get(name);
    if (values === undefined) query.set(name, [value]);
    else values.push(value);
  }
  return query;
}

/** A value from outside, as it may stand in a message. */
function short(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 97)}...` : value);
}

function single(query: Query, name: string): string | undefined {
  const values = query.get(name) ?? [];
  if (values.length > 1) throw invalid(`${name} stands more than once`);
  return values[0];
}

export function readLimit(query: Query, fallback: number, max: number): number {
  const text = single(query, "limit");
  if (text === undefined) return fallback;
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= max) return limit;
  throw invalid(`limit is ${short(text)}; expected a whole number from 1 to ${max}`);
}

export function readSince(query: Query): Position | undefined {
  const text = single(query, "since");
  if (text === undefined) return undefined;
  const position = parseCursor(text);
  if (position === undefined) throw invalid(`since is ${short(text)}; expected a cursor ${cursorForm}`);
  return position;
}

/** Canonical, in the order asked, each once. */
export function readTopics(query: Query): Topic[] {
  const topics = new Map<string, Topic>();
  for (const text of many(query, "topic")) {
    const parsed = parseTopic(text);
    if (!parsed.ok) throw invalid(`topic ${short(text)}: ${parsed.message}`, { topic: text.slice(0, 200) });
    topics.set(parsed.topic.name, parsed.topic);
  }
  return [...topics.values()];
}

export function readTypes(query: Query): ReadonlySet<string> {
  const types = new Set<string>();
  for (const text of many(query, "type")) {
    if (!isRoutableType(text)) {
      throw invalid(
        `type is ${short(text)}; expected an event name such as token.price_changed (groups go into topic)`,
      );
    }
    types.add(text);
  }
  return types;
}

function many(query: Query, name: string): readonly string[] {
  const values = query.get(name) ?? [];
  if (values.length > maxNames) {
    throw new ApiError(
      400,
      "validation_error",
      `${name} stands ${values.length} times; expected at most ${maxNames}`,
    );
  }
  return values;
}
