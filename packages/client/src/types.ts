/// <reference lib="esnext.disposable" preserve="true" />
/** What the public functions take and give. */
import type {
  Cursor,
  EventGroup,
  EventOf,
  EventType,
  FilterKey,
  FilterKeyOf,
  GapReason,
  SharmoEvent,
} from "@sharmo-relay/protocol";
import type { RelayError } from "./errors.ts";
import type { Status } from "./status.ts";

declare const brand: unique symbol;
/** A name or pattern that the catalogue does not check; made by `untyped`. */
export type Untyped = string & { readonly [brand]: "untyped" };

/** An event name of the catalogue, a group such as `token.*`, or `*`. */
export type Pattern = EventType | `${EventGroup}.*` | "*";

/** The event names that a pattern matches. */
export type TypesOf<P extends Pattern> = P extends EventType
  ? P
  : P extends `${infer G}.*`
    ? Extract<EventType, `${G}.${string}`>
    : EventType;

/**
 * At most one key, and only one that an event of the pattern has: `{ token_id: "tok_42" }`. For a group or `*` these
 * are the keys of all its events together; an event that lacks the key does not match. Values are compared as text,
 * addresses in lower case; at most 128 characters.
 */
export type Filter<P extends Pattern | Untyped> = OneOf<
  P extends Pattern ? FilterKeyOf<TypesOf<P>> : FilterKey
>;
type OneOf<K extends FilterKey> = {
  [One in K]: { readonly [_ in One]: string } & { readonly [_ in Exclude<FilterKey, One>]?: never };
}[K];

/** How an event came: as it happened, from the log, as a latest value, or sent again by an operator. */
export type DeliveryKind = "live" | "catch_up" | "snapshot" | "redelivery";

export interface DeliveryInfo {
  readonly delivery: DeliveryKind;
  /** Its place in the order of events; may be stored and given as `since`. Snapshots and redeliveries have none. */
  readonly cursor?: Cursor;
  /** When the relay accepted it, in milliseconds since 1970. */
  readonly at: number;
  /** A newer event of the same entity (by `created_at`) was accepted before it. */
  readonly late: boolean;
}

/**
 * What a handler gets: the event as Sharmo sent it (`id`, `type`, `created_at`, `data`) and how it came. A union that
 * narrows on `type` for a group or `*`; names newer than this package's catalogue come too, so leave a `default`.
 * Numbers in `data` are JavaScript numbers: one with more than 15 digits is rounded.
 */
export type EventFor<P extends Pattern | Untyped> = P extends Pattern
  ? Delivered<EventOf<TypesOf<P>>>
  : Delivered<SharmoEvent>;
type Delivered<E> = E extends unknown ? E & DeliveryInfo : never;

/** Called once per event, in order. What it returns is not awaited; a rejection goes to `onError` like a throw. */
export type Handler<P extends Pattern | Untyped> = (event: EventFor<P>) => unknown;

/** What is missing, told before the first event after it. */
export interface GapInfo {
  readonly topics: readonly string[];
  readonly reason: GapReason;
  /** False if events of the topics may be, but need not be, among what is missing. */
  readonly certain: boolean;
  /** The gap lies after `from`, up to and including `to`. Events of other types in between still follow. */
  readonly from: Cursor;
  readonly to: Cursor;
  /** Starts the subscription anew with the latest values, as with `{ snapshot: true }`. */
  resync(): void;
}

export interface SubscribeOptions {
  /** Begin with the latest value of each token or property (`e.delivery` is `snapshot`). Default false. */
  readonly snapshot?: boolean;
  /** Begin after this cursor instead of now. With `snapshot`, latest values come only if something is missing. */
  readonly since?: string;
  /**
   * While behind, only the newest event per entity of the types that carry a value (`token.price_changed`, …).
   * Holds only while all handlers of the topic want it. Default false.
   */
  readonly conflate?: boolean;
  /** Without it a gap goes to `onError` with code `gap`. */
  readonly onGap?: (gap: GapInfo) => void;
  /**
   * A refused subscription (`forbidden`, `invalid_topic`, `too_many_topics`, `invalid_cursor`; it ends with that), a
   * throwing handler (`handler_failed`, the subscription goes on), or a gap nobody else hears of. Without it:
   * `reportError` where there is one, else the console.
   */
  readonly onError?: (error: RelayError) => void;
  /** Ends the subscription when aborted. */
  readonly signal?: AbortSignal;
}

export interface Ready {
  /** Delivery starts after this; may be stored. */
  readonly cursor: Cursor;
  /** Nothing is missing as far as is known: false if a gap was told. */
  readonly recovered: boolean;
}

export interface Subscription extends Disposable {
  /** As the relay names it, for example `token.price_changed?token_id=tok_42`. */
  readonly topic: string;
  /**
   * Resolves when delivery has begun; with `snapshot`, when all latest values were delivered. Rejects with
   * `RelayError` if the subscription is refused, or with code `closed` if it ends before.
   */
  readonly ready: Promise<Ready>;
  /** Everything up to here was given to the handler or told as a gap; undefined before that. */
  readonly cursor: Cursor | undefined;
  /** The handler is not called again. Twice does no harm. */
  unsubscribe(): void;
}

export interface StreamOptions extends Omit<SubscribeOptions, "onError"> {
  /**
   * How many events may wait for the consumer, default 1,000. When it is reached the stream stops taking more and goes
   * on from its place when half of it is consumed: nothing is lost, as long as the relay still stores it. Latest
   * values and what has already arrived may pass the bound.
   */
  readonly buffer?: number;
}

/** `break`, `return` and an error in the loop body end the subscription. `next` rejects with `RelayError` if refused. */
export interface EventStream<E> extends AsyncIterableIterator<E, undefined, undefined> {
  readonly ready: Promise<Ready>;
  next(): Promise<IteratorResult<E, undefined>>;
  return(): Promise<IteratorResult<E, undefined>>;
}

/** Why the token provider is asked: for a first connection, in time before the old one ends, after it, or when refused. */
export type TokenReason = "connect" | "renew" | "expired" | "refused";

/**
 * Gives a JWT, or null when nobody is signed in. One call at a time; `signal` is aborted when the answer is no longer
 * wanted. A rejection or an expired token is tried again, later and later, up to every 30 s.
 */
export type TokenProvider = (request: {
  readonly reason: TokenReason;
  readonly signal: AbortSignal;
}) => Promise<string | null> | string | null;

export interface RelayOptions {
  /** Where the relay is: `https://relay.example.com`, with the path if it is not `/`. In browsers may be `/` for the page's own origin. */
  readonly url: string;
  readonly token: TokenProvider;
}

export interface Relay {
  /**
   * Calls `handler` for every event of the topic from now on (or as the options say), each once and in order, across
   * reconnects, restarts of the relay, and renewed tokens. Connects with the first subscription.
   */
  on<P extends Pattern | Untyped>(topic: P, handler: Handler<P>, options?: SubscribeOptions): Subscription;
  on<P extends Pattern | Untyped>(
    topic: P,
    filter: Filter<P>,
    handler: Handler<P>,
    options?: SubscribeOptions,
  ): Subscription;
  /** The same as an async iterator: `for await (const e of relay.stream("transaction.*")) …`. */
  stream<P extends Pattern | Untyped>(topic: P, options?: StreamOptions): EventStream<EventFor<P>>;
  stream<P extends Pattern | Untyped>(
    topic: P,
    filter: Filter<P>,
    options?: StreamOptions,
  ): EventStream<EventFor<P>>;
  /** The same object until something changes. */
  readonly status: Status;
  /** Calls `listener` on every change, not at once. Returns what ends it. */
  onStatus(listener: (status: Status) => void): () => void;
  /**
   * Asks the token provider anew and connects with its answer, whatever the state: after signing in or out, as
   * another user, or to try again at once. Subscriptions go on from their place.
   */
  reconnect(): void;
  /** Ends the connection and every subscription, for good. */
  close(): void;
}
