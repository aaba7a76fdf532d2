/** The messages of protocol 1 over Socket.IO; `docs/protocol.md` tells what each side must do with them. */
import type { SharmoEvent } from "./catalogue.ts";
import type { Cursor } from "./cursor.ts";
import type { WireError } from "./errors.ts";

export const protocolVersion = 1;

/** What goes into Socket.IO's `auth`. */
export interface HandshakeAuth {
  readonly token: string;
  readonly protocol?: number;
}

declare const brand: unique symbol;
/** Names one `subscribe` call on one connection. */
export type SubscriptionId = string & { readonly [brand]: "subscription" };

/** Closed. `retention`: trimmed by age or count. `log_lost`: lost in a failover. `log_reset`: the log is another one. */
export const gapReasons = ["retention", "log_lost", "unknown_cursor", "log_reset"] as const;
export type GapReason = (typeof gapReasons)[number];

/** What is missing: after `from`, up to and including `to`. It moves no cursor. */
export interface Gap {
  readonly subscription: SubscriptionId;
  /** Canonical, in the order asked; only those concerned. */
  readonly topics: readonly string[];
  readonly reason: GapReason;
  /** False if events of the topics may be, but need not be, among what is missing. */
  readonly certain: boolean;
  readonly from: Cursor;
  readonly to: Cursor;
}

export interface SubscribeRequest {
  readonly topics: readonly string[];
  readonly since?: Cursor;
  readonly snapshot?: boolean;
  readonly conflate?: boolean;
  readonly redeliveries?: boolean;
}

export interface SubscribeAck {
  readonly ok: true;
  readonly subscription: SubscriptionId;
  readonly topics: readonly string[];
  /** Where delivery starts; may be stored. */
  readonly cursor: Cursor;
  /** `live`: tails from here on. `catching_up`: `relay.caught_up` tells when it does. */
  readonly state: "live" | "catching_up";
  /** Nothing is missing as far as is known. */
  readonly recovered: boolean;
  readonly gap?: Gap;
}

export interface Refusal {
  readonly ok: false;
  readonly error: WireError;
}

export type UnsubscribeRequest =
  | { readonly subscription: SubscriptionId }
  | { readonly topics: readonly string[] };
export interface UnsubscribeAck {
  readonly ok: true;
}

export interface AuthenticateRequest {
  readonly token: string;
}
export interface AuthenticateAck {
  readonly ok: true;
  /** ISO 8601. */
  readonly expires_at: string;
  /** Topics that the new token does not grant; they are no longer subscribed. */
  readonly dropped: readonly string[];
}

export interface ReadRequest {
  readonly topics: readonly string[];
  readonly since: Cursor;
  readonly until?: Cursor;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
}
export interface ReadAck {
  readonly ok: true;
  readonly events: readonly (readonly [SharmoEvent, EventMeta])[];
  /** Where to read on; absent at the end. */
  readonly next?: Cursor;
  readonly gap?: Omit<Gap, "subscription">;
}

/** How a copy for one subscription came to be. A live frame has no `delivery`. */
export type Delivery = "catch_up" | "snapshot" | "redelivery";

/** The second argument of every event. */
export interface EventMeta {
  /** Absent in snapshots and redeliveries. */
  readonly cursor?: Cursor;
  /** When the relay accepted it, in milliseconds since 1970. */
  readonly at: number;
  /** An event with a newer `created_at` for the same entity was accepted before it. */
  readonly late?: true;
  /** Only on copies for one subscription. */
  readonly subscription?: SubscriptionId;
  readonly delivery?: Delivery;
  readonly original_cursor?: Cursor;
  /** The cursor the event had before a failover. */
  readonly was?: Cursor;
}

export interface CursorNotice {
  readonly cursor: Cursor;
  /** Absent: the minimum over all subscriptions of the socket. */
  readonly subscription?: SubscriptionId;
}

export interface SubscriptionNotice {
  readonly subscription: SubscriptionId;
  readonly cursor: Cursor;
}

/** Events of the relay itself, by name. */
export interface RelayNotices {
  "relay.cursor": CursorNotice;
  "relay.gap": Gap;
  "relay.lagging": SubscriptionNotice;
  "relay.caught_up": SubscriptionNotice;
  "relay.token_expiring": { readonly expires_at: string };
  "relay.draining": { readonly reconnect_after_ms: number };
  /** Events may be late, for longer than a moment; and that this is over. */
  "relay.degraded": { readonly degraded: boolean };
}

/** `connect_error.data`. */
export type ConnectErrorData = Pick<WireError, "code" | "message">;
