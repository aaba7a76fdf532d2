/** What a token may see. Everything that no grant covers is denied. */
import { covers, isFilterValue, makeTopic, matches, parseTopic, type Routing, type Topic } from "./topics.ts";

export interface Grants {
  /** Topics whose events the holder may see, and everything narrower. */
  readonly events: readonly Topic[];
  /** May use the reading routes of the management API. */
  readonly read: boolean;
  /** May change things through the management API. */
  readonly admin: boolean;
}

/** The claims that grants are made of; everything else in a token is ignored here. */
export interface GrantClaims {
  readonly sub?: unknown;
  readonly scope?: unknown;
  readonly wallets?: unknown;
}

/** What every valid token has unless `RELAY_DEFAULT_SCOPE` says otherwise. */
export const defaultScope =
  "events:token.created events:token.price_changed events:token.offering_started events:token.offering_ended events:property.* events:platform.*";

/** Most wallets of one token that count; further ones grant nothing. */
export const maxWallets = 256;

const eventsPrefix = "events:";

/** The topics named by `events:` in a scope string; `invalid` lists the words that do not parse. */
export function parseScope(scope: string): { topics: Topic[]; words: Set<string>; invalid: string[] } {
  const topics: Topic[] = [];
  const invalid: string[] = [];
  const words = new Set(scope.split(" ").filter((word) => word !== ""));
  for (const word of words) {
    if (!word.startsWith(eventsPrefix)) continue;
    const parsed = parseTopic(word.slice(eventsPrefix.length));
    if (parsed.ok) topics.push(parsed.topic);
    else invalid.push(word);
  }
  return { topics, words, invalid };
}

/** Grants of a verified token. A claim of the wrong shape grants nothing. */
export function grantsOf(claims: GrantClaims, base: readonly Topic[]): Grants {
  const { topics, words } = parseScope(typeof claims.scope === "string" ? claims.scope : "");
  const events = [...base, ...topics];
  if (Array.isArray(claims.wallets)) {
    for (const wallet of claims.wallets.slice(0, maxWallets)) {
      if (!isFilterValue(wallet)) continue;
      for (const group of ["token", "transaction"]) {
        events.push(makeTopic({ kind: "group", group }, { key: "address", value: wallet }));
      }
    }
  }
  if (isFilterValue(claims.sub)) {
    events.push(makeTopic({ kind: "group", group: "user" }, { key: "user_id", value: claims.sub }));
  }
  const admin = words.has("relay:admin");
  return { events, read: admin || words.has("relay:read"), admin };
}

/** True if the whole of a topic is granted. A topic is never silently narrowed. */
export function allows(grants: Grants, topic: Topic): boolean {
  return grants.events.some((grant) => covers(grant, topic));
}

/** True if the holder may see this one event. */
export function allowsEvent(grants: Grants, routing: Routing): boolean {
  return grants.events.some((grant) => matches(grant, routing));
}
