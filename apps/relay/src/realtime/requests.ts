/** What clients may ask for over Socket.IO, read from whatever they sent. Unknown fields are ignored. */
import { cursorForm, type Position, parseCursor, type Refusal, type Topic } from "@sharmo-relay/protocol";
import { type OpenRequest, readTopics, refuse } from "../fanout/open.ts";

export type Read<T> = { readonly ok: true; readonly request: T } | Refusal;

export interface ReadRequest {
  readonly topics: readonly Topic[];
  readonly since: Position;
  readonly until: Position | undefined;
  readonly limit: number;
}

export type EndRequest =
  | { readonly kind: "subscription"; readonly subscription: string }
  | { readonly kind: "topics"; readonly topics: readonly Topic[] };

const maxReadLimit = 1_000;
const defaultReadLimit = 100;

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(payload: unknown): Fields | undefined {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload)
    ? (payload as Fields)
    : undefined;
}

export function readSubscribe(payload: unknown, maxTopics: number): Read<OpenRequest> {
  const fields = fieldsOf(payload);
  if (fields === undefined) {
    return refuse(
      "invalid_topic",
      'subscribe takes an object, for example { topics: ["token.price_changed"] }',
    );
  }
  const topics = readTopics(fields["topics"], maxTopics);
  if (!topics.ok) return topics;
  const since = readCursor(fields["since"]);
  if (since === "bad") return badCursor("since");
  const request: OpenRequest = {
    topics: topics.topics,
    snapshot: fields["snapshot"] === true,
    conflate: fields["conflate"] === true,
    ...(since === undefined ? {} : { since }),
  };
  return { ok: true, request };
}

export function readUnsubscribe(payload: unknown, maxTopics: number): Read<EndRequest> {
  const fields = fieldsOf(payload) ?? {};
  const { subscription } = fields as { subscription?: unknown };
  if (typeof subscription === "string") return { ok: true, request: { kind: "subscription", subscription } };
  const topics = readTopics(fields["topics"], maxTopics);
  if (!topics.ok) return topics;
  return { ok: true, request: { kind: "topics", topics: topics.topics } };
}

export function readRead(payload: unknown, maxTopics: number): Read<ReadRequest> {
  const fields = fieldsOf(payload) ?? {};
  const topics = readTopics(fields["topics"], maxTopics);
  if (!topics.ok) return topics;
  const since = readCursor(fields["since"]);
  const until = readCursor(fields["until"]);
  if (since === undefined || since === "bad") return badCursor("since");
  if (until === "bad") return badCursor("until");
  const limit = fields["limit"] ?? defaultReadLimit;
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > maxReadLimit) {
    return refuse("invalid_cursor", `limit must be a whole number from 1 to ${maxReadLimit}`);
  }
  return { ok: true, request: { topics: topics.topics, since, until, limit } };
}

export function readToken(payload: unknown): string | undefined {
  const token = fieldsOf(payload)?.["token"];
  return typeof token === "string" && token !== "" ? token : undefined;
}

function readCursor(value: unknown): Position | undefined | "bad" {
  if (value === undefined || value === null) return undefined;
  return parseCursor(value) ?? "bad";
}

function badCursor(field: string): Refusal {
  return refuse("invalid_cursor", `${field} must be a cursor: ${cursorForm}`);
}
