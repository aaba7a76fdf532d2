/** All topics of one connection. No sockets and no clock of its own. */
import type { Cursor, EventMeta, Gap, SharmoEvent, Topic } from "@sharmo-relay/protocol";
import { type Beginning, createFeed, type Feed, type FeedDeps, type Membership } from "./feed.ts";
import type { Request, Requests } from "./requests.ts";
import type { Receiver } from "./subscription.ts";

export interface FeedsDeps extends FeedDeps {
  /** Calls back once everything that happens now has happened. */
  soon(call: () => void): void;
}

export interface Feeds {
  join(topic: Topic, receiver: Receiver, begin: Beginning): Membership;
  connected(): void;
  lost(): void;
  /** Time has passed. */
  tick(): void;
  event(event: SharmoEvent, meta: EventMeta): void;
  /** A `relay.*` event. */
  notice(name: string, payload: unknown): void;
  /** A new token does not grant these topics. */
  dropped(topics: readonly string[]): void;
  /** Some handler waits for what it missed while it was away. */
  catchingUp(): boolean;
  /** Some topic was refused for now. */
  resting(): boolean;
}

export function createFeeds(deps: FeedsDeps): Feeds {
  let feeds: readonly Feed[] = [];
  /** Requests without an answer: what the server holds may differ from what is known here. */
  let pending = 0;
  let isConnected = false;
  let settling = false;

  /** Once for all that happens in one go, so that handlers added together share what is asked for them. */
  const settle = (): void => {
    if (settling) return;
    settling = true;
    deps.soon(() => {
      settling = false;
      if (isConnected) for (const feed of feeds) feed.settle();
      feeds = feeds.filter((feed) => !feed.empty);
      deps.changed();
    });
  };

  const request: Request<Requests> = (name, payload, answered) => {
    pending++;
    deps.request(name, payload, (answer) => {
      pending--;
      answered(answer);
      settle();
    });
  };

  return {
    join(topic, receiver, begin) {
      let feed = feeds.find((one) => one.topic.name === topic.name);
      if (feed === undefined) {
        feed = createFeed(topic, { ...deps, request, changed: settle });
        feeds = [...feeds, feed];
      }
      settle();
      return feed.join(receiver, begin);
    },
    connected() {
      isConnected = true;
      settle();
    },
    lost() {
      isConnected = false;
      pending = 0;
      for (const feed of feeds) feed.lost();
      settle();
    },
    tick: settle,
    event(event, meta) {
      for (const feed of feeds) feed.event(event, meta);
    },
    notice(name, payload) {
      const notice = payload as Partial<Gap> & { readonly cursor?: Cursor };
      // the least of all subscriptions, so it tells of those that tail only if all do
      if (notice.subscription === undefined && (pending > 0 || feeds.some((feed) => feed.behind))) return;
      for (const feed of feeds) feed.notice(name, notice);
      settle();
    },
    dropped(topics) {
      for (const feed of feeds) if (topics.includes(feed.topic.name)) feed.dropped();
      settle();
    },
    catchingUp: () => feeds.some((feed) => feed.catchingUp),
    resting: () => feeds.some((feed) => feed.resting),
  };
}
