/**
 * Which events a topic matches, written down a second time: a ledger that asked the relay's own code would believe
 * its mistakes.
 */

/** Exactly the fields that the documents name. */
const idFields = ["token_id", "property_id", "transaction_id", "user_id"] as const;
const addressFields = ["from_address", "to_address", "buyer_address", "seller_address"] as const;
const ownGroup: Readonly<Record<string, (typeof idFields)[number]>> = {
  token: "token_id",
  property: "property_id",
  transaction: "transaction_id",
  user: "user_id",
};

export const defaultGrants: readonly string[] = [
  "token.created",
  "token.price_changed",
  "token.offering_started",
  "token.offering_ended",
  "property.*",
  "platform.*",
];

export interface Routed {
  readonly type: string;
  readonly keys: readonly string[];
}

/** The keys that an event answers to. The chaos market writes them all as text. */
export function keysOf(type: string, data: Readonly<Record<string, unknown>>): string[] {
  const keys = new Set<string>();
  for (const field of idFields) if (isText(data[field])) keys.add(`${field}=${data[field]}`);
  const own = ownGroup[type.slice(0, type.indexOf("."))];
  if (own !== undefined && data[own] === undefined && isText(data["id"])) keys.add(`${own}=${data["id"]}`);
  for (const field of addressFields) {
    const address = data[field];
    if (isText(address)) keys.add(`address=${address.toLowerCase()}`);
  }
  return [...keys];
}

export function matches(topic: string, event: Routed): boolean {
  const mark = topic.indexOf("?");
  const pattern = mark < 0 ? topic : topic.slice(0, mark);
  if (mark >= 0 && !event.keys.includes(topic.slice(mark + 1))) return false;
  if (pattern === "*") return true;
  return pattern.endsWith(".*") ? event.type.startsWith(pattern.slice(0, -1)) : event.type === pattern;
}

export function matchesAny(topics: readonly string[], event: Routed): boolean {
  return topics.some((topic) => matches(topic, event));
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
