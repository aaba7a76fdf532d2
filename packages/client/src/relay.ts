/** The public face: puts connection, feeds and handlers together. */
import {
  type Cursor,
  type FilterKey,
  filterKeys,
  isFilterValue,
  makeTopic,
  type Topic,
  type Pattern as TopicPattern,
} from "@sharmo-relay/protocol";
import { createConnection } from "./connection.ts";
import { again, defaultTiming, type Timing, wanted } from "./connection-state.ts";
import { RelayError } from "./errors.ts";
import type { Membership } from "./feed.ts";
import { createFeeds } from "./feeds.ts";
import { type Status, statusOf } from "./status.ts";
import { createStream, defaultBuffer, type Sink, type Source } from "./stream.ts";
import { type AnyHandler, createReceiver, guarded } from "./subscription.ts";
import type {
  DeliveryInfo,
  Relay,
  RelayOptions,
  StreamOptions,
  SubscribeOptions,
  Subscription,
  Untyped,
} from "./types.ts";

/** Lets a topic through that the catalogue does not know, for example of an event newer than this package. */
export function untyped(topic: string): Untyped {
  return topic as Untyped;
}

/**
 * A relay to subscribe with; it connects with the first subscription. Throws `TypeError` if
 * the url cannot be one.
 */
export function createRelay(options: RelayOptions): Relay {
  return assembleRelay(options, defaultTiming);
}

/** `createRelay` for tests that cannot wait. */
export function assembleRelay(options: RelayOptions, timing: Timing): Relay {
  const open = new Set<Open>();
  const listeners = new Set<(status: Status) => void>();

  const feeds = createFeeds({
    request: (name, payload, answered) => connection.request(name, payload, answered),
    // as a method of another object browsers refuse it
    soon: (call) => queueMicrotask(call),
    now: Date.now,
    random: Math.random,
    changed: () => changed(),
  });
  const connection = createConnection(
    { ...addressOf(options.url), token: options.token, timing },
    { ...feeds, changed: () => changed() },
  );

  const look = (): Status =>
    statusOf({
      connection: connection.state,
      catchingUp: feeds.catchingUp(),
      resting: feeds.resting(),
      offline: globalThis.navigator?.onLine === false,
      now: Date.now(),
    });
  let status = look();
  const changed = (): void => {
    const next = look();
    // the seconds to the next attempt run down by themselves
    const said = next.retryAt === undefined && next.message !== status.message;
    if (!said && next.state === status.state && next.retryAt === status.retryAt) return;
    status = next;
    for (const listener of listeners) guarded(() => listener(next));
  };

  const subscribe = (
    topic: Topic,
    handler: AnyHandler,
    given: SubscribeOptions,
    ended?: Sink<never>["end"],
  ): Open => {
    if (connection.state.phase === "closed") throw new RelayError("closed", "the relay is closed");
    const { snapshot = false, conflate = false, signal } = given;
    // whatever it says, the relay is the judge
    const since = given.since as Cursor | undefined;
    let membership: Membership | undefined;
    const end = (error?: RelayError): void => {
      if (!open.delete(subscription)) return;
      signal?.removeEventListener("abort", unsubscribe);
      membership?.leave();
      receiver.end(error);
      ended?.(error);
    };
    const unsubscribe = (): void => end();
    /** Leaves its place, if it has one, and takes another. */
    const begin = (cursor: Cursor | undefined, values: boolean): void => {
      membership?.leave();
      if (open.has(subscription)) {
        membership = feeds.join(topic, receiver, { cursor, snapshot: values, conflate });
      }
    };
    const receiver = createReceiver(handler, given, { fail: end, resync: () => begin(undefined, true) });
    const subscription: Open = {
      topic: topic.name,
      get ready() {
        return receiver.ready;
      },
      get cursor() {
        return membership?.cursor;
      },
      unsubscribe,
      [dispose]: unsubscribe,
      pause: () => membership?.leave(),
      resume: () => begin(membership?.cursor, false),
    };
    open.add(subscription);
    signal?.addEventListener("abort", unsubscribe);
    if (signal?.aborted) end();
    begin(since, snapshot);
    connection.put(wanted);
    return subscription;
  };

  return {
    on(name: string, ...rest: readonly unknown[]) {
      const [filter, handler, given = {}] = (typeof rest[0] === "function" ? [undefined, ...rest] : rest) as [
        object | undefined,
        AnyHandler,
        SubscribeOptions?,
      ];
      return subscribe(topicOf(name, filter), handler, given);
    },
    stream<E extends DeliveryInfo>(name: string, ...rest: readonly object[]) {
      const filtered = filterKeys.some((key) => key in (rest[0] ?? {}));
      const [filter, given = {}] = (filtered ? rest : [undefined, ...rest]) as [
        object | undefined,
        StreamOptions?,
      ];
      return createStream<E>(
        // what arrives for a topic has the type that its name says
        ({ event, end }) => subscribe(topicOf(name, filter), (e: DeliveryInfo) => event(e as E), given, end),
        given.buffer ?? defaultBuffer,
      );
    },
    get status() {
      return status;
    },
    onStatus(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reconnect: () => connection.put(again),
    close() {
      for (const subscription of open) subscription.unsubscribe();
      connection.close();
    },
  };
}

/** A subscription that has not ended. */
interface Open extends Subscription, Source {}

/** Old browsers have no such symbol; then there is no `using` either. */
const dispose: typeof Symbol.dispose = Symbol.dispose ?? "dispose";

function topicOf(name: string, filter: object = {}): Topic {
  const pattern: TopicPattern =
    name === "*"
      ? { kind: "all" }
      : name.endsWith(".*")
        ? { kind: "group", group: name.slice(0, -2) }
        : { kind: "type", type: name };
  const [narrow] = Object.entries(filter) as [FilterKey, unknown][];
  if (narrow === undefined) return makeTopic(pattern);
  const [key, value] = narrow;
  if (isFilterValue(value)) return makeTopic(pattern, { key, value });
  throw new RelayError("invalid_options", `${key} must be a text`);
}

/** Socket.IO takes the path of a url for a namespace, so it gets origin and path apart. */
function addressOf(url: string): { origin: string; path: string } {
  const { origin, pathname } = new URL(url, globalThis.location?.href);
  return { origin, path: `${pathname.replace(/\/$/, "")}/socket.io` };
}
