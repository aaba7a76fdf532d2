/** From bytes to an event: UTF-8, JSON, and the rules of the envelope `{id, type, created_at, data}`. */
import { isUtf8 } from "node:buffer";
import {
  addressFields,
  filterKeys,
  groupOf,
  isRoutableType,
  maxTypeLength,
  primaryKeyOf,
  reservedGroups,
  routingOf,
} from "@sharmo-relay/protocol";
import type { NewEvent } from "../log/event-log.ts";
import { createdAtForm, parseCreatedAt } from "./created-at.ts";
import { type JsonScan, scanJson } from "./json-scan.ts";

const maxDepth = 64;

/** A body that is JSON, with what `JSON.parse` does not tell. */
export interface Document {
  readonly value: unknown;
  readonly scan: JsonScan;
}

export type DocumentResult =
  | { readonly ok: true; readonly document: Document }
  | { readonly ok: false; readonly reason: "invalid_json" | "invalid_event"; readonly message: string };

/** The fields of `data` that may be routed by, and whose numbers keep their digits. */
const routedFields: ReadonlySet<string> = new Set([...filterKeys, ...addressFields, "id"]);

/** Nothing of the body stands in a message; `JSON.parse` would quote it. */
export function readDocument(body: Buffer): DocumentResult {
  if (!isUtf8(body)) {
    return { ok: false, reason: "invalid_json", message: "Send the JSON in UTF-8: the bytes are not." };
  }
  // Keeps a byte order mark, which JSON does not allow.
  const text = body.toString("utf8");
  const scan = scanJson(text, maxDepth, routedFields);
  if (scan.tooDeep) {
    return { ok: false, reason: "invalid_event", message: `Nest at most ${maxDepth} levels deep.` };
  }
  try {
    return { ok: true, document: { value: JSON.parse(text), scan } };
  } catch {
    const message = text.startsWith("\ufeff")
      ? "Send the JSON without a byte order mark."
      : "Send one JSON object: the body is not JSON.";
    return { ok: false, reason: "invalid_json", message };
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type EnvelopeField = "id" | "type" | "created_at" | "data";
const envelopeFields: readonly EnvelopeField[] = ["id", "type", "created_at", "data"];

export type EnvelopeResult =
  | { readonly ok: true; readonly event: NewEvent; readonly data: JsonObject }
  | { readonly ok: false; readonly field: EnvelopeField | undefined; readonly message: string };

/**
 * Printable: letters, marks, digits, punctuation, symbols, and the space. Not: control characters, lone surrogates,
 * format characters (bidi controls, zero width), private and unassigned ones, other white space, and what is drawn
 * as nothing. Two ids that look the same in a log would otherwise be two events.
 */
const idShape =
  /^[^\p{C}\p{Default_Ignorable_Code_Point}\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]{1,128}$/u;
const plainIdShape = /^[\x20-\x7e]{1,128}$/;

/** `body` are the bytes that `document` was read from; the event keeps them. */
export function readEnvelope({ value, scan }: Document, body: Buffer): EnvelopeResult {
  if (!isObject(value)) return bad(undefined, "Send one JSON object with id, type, created_at and data.");
  // Of two values under one key, two parsers may take two: then an id could stand for two events.
  if (scan.repeatedKey !== undefined) {
    const field = envelopeFields.find((name) => name === scan.repeatedKey);
    return bad(field, `Send each key of the envelope once: ${field ?? "one"} stands there twice.`);
  }
  const id = own(value, "id");
  if (typeof id !== "string" || !(plainIdShape.test(id) || idShape.test(id))) {
    return bad("id", "Send id as a string of 1 to 128 printable characters.");
  }
  const type = own(value, "type");
  if (typeof type !== "string" || !isRoutableType(type)) return bad("type", typeMessage(type));
  const createdAtText = own(value, "created_at");
  const createdAt = typeof createdAtText === "string" ? parseCreatedAt(createdAtText) : undefined;
  if (createdAt === undefined) return bad("created_at", `Send created_at as ${createdAtForm}.`);
  const data = own(value, "data");
  if (!isObject(data)) return bad("data", "Send data as a JSON object.");

  const { filters } = routingOf(type, data, (field, given) => textOf(scan, field, given));
  const primaryKey = primaryKeyOf(type);
  const entity = filters.find((filter) => filter.key === primaryKey)?.value;
  const event: NewEvent = { id, type, createdAt, filters, body };
  return { ok: true, event: entity === undefined ? event : { ...event, entity }, data };
}

/** Only what the sender wrote: a prototype has no say. */
function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function textOf(scan: JsonScan, field: string, value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const digits = typeof value === "number" ? scan.numbers.get(field) : undefined;
  // A piece cut from a text keeps the whole text in memory, and filters live as long as their event.
  return digits === undefined ? undefined : Buffer.from(digits, "latin1").toString("latin1");
}

function typeMessage(type: unknown): string {
  const group = typeof type === "string" ? reservedGroups.find((name) => name === groupOf(type)) : undefined;
  return group === undefined
    ? `Send type as group.name of a-z, 0-9 and _, at most ${maxTypeLength} characters.`
    : `Do not send events of the group ${group}: it is reserved.`;
}

function bad(field: EnvelopeField | undefined, message: string): EnvelopeResult {
  return { ok: false, field, message };
}
