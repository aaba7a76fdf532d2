/**
 * One topic: the server's subscription of it and the handlers that share it. A state machine without sockets, clock
 * or promises: what happens is a call, what it wants of the server is a call of `request`.
 *
 * The server lets a connection hold a topic once, so all handlers of a topic share one subscription, and each has a
 * place of its own relative to it:
 *
 *     apart ──▶ joined                it has a cursor and resumes there, or none and begins where the topic tails
 *     apart ──▶ showing ──▶ joined    it wants the latest values first
 *     apart ──▶ reading ──▶ joined    it came late with a cursor
 *     any of them ──▶ apart           when the connection is lost
 *
 * - The subscription is opened with `since` of a handler that has a cursor, else with `snapshot` if one wants that.
 * - A handler that comes later joins when the subscription tails. One with a cursor first reads what lies between
 *   its cursor and the subscription's by `read`, which moves no subscription; what arrives meanwhile is held for it.
 * - Latest values for a late handler: the topic moves to a new subscription with `snapshot`, which goes on from the
 *   server's head. Whoever was joined has everything before that head if the old subscription tailed when the answer
 *   came; otherwise it is apart again, and reads.
 * So no handler misses or repeats an event because of what another one asked for.
 */
import type {
  Cursor,
  EventMeta,
  Gap,
  SharmoEvent,
  SubscriptionId,
  Topic,
  WireError,
} from "@sharmo-relay/protocol";
import { delayAfter, slowBackoff } from "./backoff.ts";
import { finalCodes, RelayError } from "./errors.ts";
import { isFor } from "./match.ts";
import type { Request, Requests } from "./requests.ts";
import type { Item, Receiver } from "./subscription.ts";

/** Where and how a handler begins: after the cursor; with the latest values; or, with both, with them if need be. */
export interface Beginning {
  readonly cursor: Cursor | undefined;
  readonly snapshot: boolean;
  readonly conflate: boolean;
}

/** A handler's place in the feed. */
export interface Membership {
  /** Everything up to here was given to it or told as a gap. */
  readonly cursor: Cursor | undefined;
  leave(): void;
}

export interface Feed {
  readonly topic: Topic;
  /** Nobody is here, and nothing is under way. */
  readonly empty: boolean;
  /** The server's subscription is not fed as events happen. */
  readonly behind: boolean;
  /** Some handler waits for what it missed while it was away. */
  readonly catchingUp: boolean;
  /** It was refused for now. */
  readonly resting: boolean;
  join(receiver: Receiver, begin: Beginning): Membership;
  /** Asks the server for what is needed now. Called while connected, after anything happened, and now and then. */
  settle(): void;
  /** Any event that arrives; the feed knows its own. */
  event(event: SharmoEvent, meta: EventMeta): void;
  /** A notice with a subscription, or one that tells of all that tail. */
  notice(name: string, notice: Partial<Gap> & { readonly cursor?: Cursor }): void;
  lost(): void;
  /** The server ended it. */
  dropped(): void;
}

export interface FeedDeps {
  readonly request: Request<Requests>;
  /** `settle` may have something to ask for. */
  changed(): void;
  now(): number;
  random(): number;
}

interface Member extends Beginning {
  readonly receiver: Receiver;
  at: "apart" | "showing" | "reading" | "joined" | "gone";
  /** Stale once it has joined: then it has what the feed has. */
  cursor: Cursor | undefined;
  snapshot: boolean;
  /** What arrived while it is reading. */
  later: Item[];
}

/** Most events that a late handler asks for at once. */
const pageLimit = 500;

export function createFeed(topic: Topic, { request, changed, now, random }: FeedDeps): Feed {
  const topics = [topic.name];
  let members: readonly Member[] = [];
  let id: SubscriptionId | undefined;
  let tails = false;
  /** Where the server's subscription is. */
  let place: Cursor | undefined;
  /** It fetches what was missed. */
  let resumed = false;
  let conflated = false;
  let recovered = true;
  let asking = false;
  /** Refused for now so many times in a row; asks again when it has rested. */
  let failures = 0;
  let restsUntil = 0;

  const cursorOf = (member: Member): Cursor | undefined => (member.at === "joined" ? place : member.cursor);

  const setApart = (member: Member): void => {
    member.cursor = cursorOf(member);
    member.at = "apart";
    member.later = [];
  };

  const start = (member: Member, cursor: Cursor, complete = true): void => {
    failures = 0;
    member.snapshot = false;
    member.receiver.started({ cursor, recovered: complete });
  };

  const join = (member: Member, cursor: Cursor, complete?: boolean): void => {
    member.at = "joined";
    start(member, cursor, complete);
  };

  const give = (to: Member["at"], item: Item): void => {
    for (const member of members) {
      if (member.at === to) member.receiver.give(item);
      else if (to === "joined" && member.at === "reading") member.later.push(item);
    }
  };

  const leave = (member: Member): void => {
    members = members.filter((other) => other !== member);
    member.at = "gone";
  };

  const fail = ({ code, message, details }: WireError, fails: (member: Member) => boolean): void => {
    for (const member of members.filter(fails)) {
      leave(member);
      member.receiver.fail(new RelayError(code, message, { details }));
    }
  };

  /** `concerned`: whose cursor was sent. */
  const refused = (error: WireError, concerned: (member: Member) => boolean): void => {
    if (finalCodes.includes(error.code)) {
      return fail(error, (member) => error.code !== "invalid_cursor" || concerned(member));
    }
    restsUntil = now() + delayAfter(failures++, slowBackoff, random());
  };

  const lost = (): void => {
    for (const member of members) setApart(member);
    id = undefined;
    tails = false;
    resumed = false;
    asking = false;
  };

  const concerns = (subscription: SubscriptionId | undefined): boolean =>
    subscription === undefined ? tails : subscription === id;

  const subscribe = (since: Cursor | undefined, snapshot: boolean, conflate: boolean): void => {
    const payload = { topics, snapshot, conflate, ...(since && { since }) };
    asking = true;
    request("subscribe", payload, (ack) => {
      asking = false;
      if (!ack.ok) return refused(ack.error, ({ at, cursor }) => at === "apart" && cursor === since);
      const { cursor, gap } = ack;
      // the new subscription does not send what the old one had not sent yet
      if (!tails) for (const member of members) setApart(member);
      id = ack.subscription;
      tails = ack.state === "live";
      place = cursor;
      resumed = since !== undefined && !tails;
      conflated = conflate;
      recovered = ack.recovered;
      const shows = snapshot && (since === undefined || gap !== undefined);
      for (const member of members) {
        if (member.at !== "apart" || member.cursor !== since) continue;
        const showing = shows && member.snapshot;
        if (!showing && (since === undefined ? member.snapshot : shows)) continue;
        member.at = "showing";
        if (gap !== undefined) member.receiver.give({ gap });
        if (!showing && member.at === "showing") join(member, cursor, recovered);
      }
    });
  };

  const read = (member: Member, since: Cursor, until: Cursor): void => {
    const later: Item[] = [];
    member.at = "reading";
    member.cursor = since;
    member.later = later;
    // a handler may leave at any event
    const isHere = (): boolean => member.at === "reading" && member.later === later;
    const pass = (item: Item): void => {
      if (!isHere()) return;
      if ("meta" in item) member.cursor = item.meta.cursor ?? member.cursor;
      member.receiver.give(item);
    };
    request("read", { topics, since, until, limit: pageLimit }, (answer) => {
      if (!isHere()) return;
      if (!answer.ok) {
        setApart(member);
        return refused(answer.error, (other) => other === member);
      }
      const { events, gap, next } = answer;
      if (gap !== undefined) {
        pass({ gap });
        if (member.snapshot && isHere()) {
          setApart(member);
          member.cursor = undefined;
        }
      }
      if (!isHere()) return;
      start(member, since, gap === undefined);
      for (const [event, meta] of events) pass({ event, meta, delivery: "catch_up" });
      // what was held lies before the new end, so it is read with the rest
      if (next !== undefined) return isHere() ? read(member, next, place ?? until) : undefined;
      for (const item of later) pass(item);
      if (isHere()) member.at = "joined";
    });
  };

  return {
    topic,
    get empty() {
      return members.length === 0 && id === undefined && !asking;
    },
    get behind() {
      return id !== undefined && !tails;
    },
    get catchingUp() {
      return members.some(({ at, cursor }) => (at === "joined" ? resumed : cursor));
    },
    get resting() {
      return failures > 0;
    },
    join(receiver, begin) {
      const member: Member = { ...begin, receiver, at: "apart", later: [] };
      members = [...members, member];
      return {
        get cursor() {
          return cursorOf(member);
        },
        leave() {
          setApart(member);
          leave(member);
          changed();
        },
      };
    },
    settle() {
      if (asking || now() < restsUntil) return;
      const conflate = members.every((member) => member.conflate);
      const unused = members.every(({ at }) => at === "apart") && !(tails && members.length > 0);
      if (id !== undefined && (unused || (conflated && !conflate))) {
        request("unsubscribe", { subscription: id }, () => {});
        lost();
      }
      if (members.length === 0) return;
      const wanting = members.some(({ at, cursor, snapshot }) => at === "apart" && !cursor && snapshot);
      if (id === undefined) {
        const lead = members.find(({ cursor }) => cursor);
        return subscribe(lead?.cursor, lead?.snapshot ?? wanting, conflate);
      }
      if (!tails || place === undefined) return;
      for (const member of members) {
        if (member.at !== "apart") continue;
        if (member.cursor !== undefined) read(member, member.cursor, place);
        else if (!member.snapshot) join(member, place);
      }
      if (wanting) subscribe(undefined, true, conflate);
    },
    event(event, meta) {
      const { subscription, cursor, delivery = "live" } = meta;
      if (!concerns(subscription)) return;
      place = cursor ?? place;
      if (subscription !== undefined || isFor(topic, event)) {
        give(delivery === "snapshot" ? "showing" : "joined", { event, meta, delivery });
      }
    },
    notice(name, notice) {
      if (!concerns(notice.subscription)) return;
      if (name === "relay.gap") return give("joined", { gap: notice as Gap });
      place = notice.cursor;
      if (name === "relay.cursor") {
        for (const member of members) if (member.at === "showing" && place) join(member, place, recovered);
      } else {
        tails = name === "relay.caught_up";
        resumed = !tails;
      }
    },
    lost,
    dropped() {
      lost();
      const message = `the new token does not grant ${topic.name}`;
      fail({ code: "forbidden", message, details: { topics } }, () => true);
    },
  };
}
