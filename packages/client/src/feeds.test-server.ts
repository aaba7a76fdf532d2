/**
 * A small model of the relay as one connection sees it: one log with epochs, forks and retention; subscriptions that
 * tail or catch up; requests answered in order; everything written goes through one queue.
 */
import {
  type Cursor,
  type Epoch,
  type EventMeta,
  formatCursor,
  type Gap,
  matches,
  parseCursor,
  parseTopic,
  patternMatches,
  type ReadAck,
  type ReadRequest,
  type Refusal,
  type Routing,
  routingOf,
  type SharmoEvent,
  type SubscribeAck,
  type SubscribeRequest,
  type SubscriptionId,
  type Topic,
  type UnsubscribeRequest,
} from "@sharmo-relay/protocol";

export interface Entry {
  readonly sequence: number;
  readonly event: SharmoEvent;
  readonly routing: Routing;
}

interface ServerSubscription {
  readonly id: SubscriptionId;
  readonly topic: Topic;
  /** Undefined while it tails. */
  position: number | undefined;
  /** Latest values still to be shown. */
  rest: Entry[] | undefined;
  readonly told: Map<string, number>;
}

export type Frame =
  | { readonly answer: unknown; readonly to: (answer: never) => void }
  | { readonly event: SharmoEvent; readonly meta: EventMeta }
  | { readonly notice: string; readonly payload: object };

export const topicOf = (name: string): Topic => {
  const parsed = parseTopic(name);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.topic;
};

export class ServerModel {
  entries: Entry[] = [];
  /** The entries, and what retention took of them. */
  history: Entry[] = [];
  head = 0;
  #epochs: { readonly name: Epoch; readonly first: number }[] = [{ name: epochName(0), first: 1 }];
  /** Per epoch, its last sequence that is still in the log's history. */
  readonly #cut = new Map<Epoch, number>([[epochName(0), Number.POSITIVE_INFINITY]]);
  readonly trimmed = new Map<string, number>();
  /** What a failover took and a node can put back. */
  lostEvents: SharmoEvent[] = [];
  #subscriptions: ServerSubscription[] = [];
  #ids = 0;
  readonly asked: {
    readonly name: string;
    readonly payload: object;
    readonly to: (answer: never) => void;
  }[] = [];
  wire: Frame[] = [];
  refuseNext = false;

  accept(event: SharmoEvent): void {
    this.head++;
    const data = event.data as Readonly<Record<string, unknown>>;
    const entry = { sequence: this.head, event, routing: routingOf(event.type, data) };
    this.entries.push(entry);
    this.history.push(entry);
    const tailing = this.#subscriptions.filter(({ position, rest }) => position === undefined && !rest);
    if (tailing.some(({ topic }) => matches(topic, entry.routing))) {
      this.wire.push({ event, meta: { cursor: this.cursorAt(this.head), at: 1 } });
    }
  }

  cursorAt(sequence: number): Cursor {
    const epoch = this.#epochs.findLast(({ first }) => first <= Math.max(1, sequence)) ?? this.#epochs[0];
    return formatCursor(epoch?.name ?? epochName(0), sequence);
  }

  /** Where a cursor lies in the log as it is now. */
  positionOf(cursor: Cursor): number {
    const at = parseCursor(cursor);
    if (at === undefined) throw new Error(`not a cursor: ${cursor}`);
    return Math.min(at.sequence, this.#cut.get(at.epoch) ?? 0, this.head);
  }

  /** A failover: everything after `fork` is gone. */
  fork(fork: number): void {
    this.lostEvents.push(...this.entries.filter(({ sequence }) => sequence > fork).map(({ event }) => event));
    this.entries = this.entries.filter(({ sequence }) => sequence <= fork);
    this.history = this.history.filter(({ sequence }) => sequence <= fork);
    for (const [epoch, last] of this.#cut) this.#cut.set(epoch, Math.min(last, fork));
    const name = epochName(this.#cut.size);
    this.#cut.set(name, Number.POSITIVE_INFINITY);
    this.#epochs = [...this.#epochs.filter(({ first }) => first <= fork), { name, first: fork + 1 }];
    for (const [type, through] of this.trimmed) this.trimmed.set(type, Math.min(through, fork));
    this.head = fork;
    for (const subscription of this.#subscriptions) {
      if (subscription.position !== undefined) subscription.position = Math.min(subscription.position, fork);
      for (const [type, through] of subscription.told) subscription.told.set(type, Math.min(through, fork));
      subscription.rest = subscription.rest?.filter(({ sequence }) => sequence <= fork);
    }
  }

  /** Retention takes events of a type. */
  trim(type: string, through: number): void {
    const gone = this.entries.filter((e) => e.event.type === type && e.sequence <= through).at(-1);
    if (gone === undefined) return;
    this.trimmed.set(type, gone.sequence);
    this.entries = this.entries.filter((e) => e.event.type !== type || e.sequence > through);
  }

  latest(topic: Topic): Entry[] {
    const values = new Map<unknown, Entry>();
    for (const entry of this.entries) {
      if (!matches(topic, entry.routing)) continue;
      const id = (entry.event.data as { token_id: string }).token_id;
      values.delete(id);
      values.set(id, entry);
    }
    return [...values.values()];
  }

  disconnect(): void {
    this.#subscriptions = [];
    this.asked.length = 0;
    this.wire = [];
  }

  /** Answers the oldest request. */
  answer(): void {
    const next = this.asked.shift();
    if (next === undefined) return;
    const reply = (answer: unknown): void => {
      this.wire.push({ answer, to: next.to });
    };
    if (next.name === "unsubscribe") {
      const { subscription } = next.payload as { subscription: SubscriptionId } & UnsubscribeRequest;
      this.#subscriptions = this.#subscriptions.filter(({ id }) => id !== subscription);
      return reply({ ok: true });
    }
    if (this.refuseNext) {
      this.refuseNext = false;
      return reply({
        ok: false,
        error: { code: "unavailable", message: "later", details: {} },
      } satisfies Refusal);
    }
    if (next.name === "read") return reply(this.#read(next.payload as ReadRequest));
    this.#subscribe(next.payload as SubscribeRequest, reply);
  }

  /** A step of whatever is not tailing; `count` events of a page. */
  advance(count: number): void {
    for (const subscription of this.#subscriptions) {
      const { id, rest, topic } = subscription;
      if (rest !== undefined) {
        for (const { event } of rest.splice(0, count)) {
          this.wire.push({ event, meta: { at: 1, subscription: id, delivery: "snapshot" } });
        }
        if (rest.length > 0) continue;
        subscription.rest = undefined;
        this.#notice("relay.cursor", { subscription: id, cursor: this.cursorAt(subscription.position ?? 0) });
        continue;
      }
      const { position } = subscription;
      if (position === undefined) continue;
      if (position === this.head) {
        subscription.position = undefined;
        this.#notice("relay.caught_up", { subscription: id, cursor: this.cursorAt(this.head) });
        continue;
      }
      const gap = this.#missing(subscription, position);
      if (gap !== undefined) this.#notice("relay.gap", { subscription: id, ...gap });
      const through = Math.min(this.head, position + count);
      for (const entry of this.entries) {
        if (entry.sequence <= position || entry.sequence > through || !matches(topic, entry.routing))
          continue;
        if (entry.sequence <= (subscription.told.get(entry.event.type) ?? 0)) continue;
        const cursor = this.cursorAt(entry.sequence);
        this.wire.push({
          event: entry.event,
          meta: { cursor, at: 1, subscription: id, delivery: "catch_up" },
        });
      }
      subscription.position = through;
    }
  }

  /** The client takes nothing: what tails catches up. */
  lag(): void {
    for (const subscription of this.#subscriptions) {
      if (subscription.position !== undefined || subscription.rest) continue;
      subscription.position = this.head;
      const cursor = this.cursorAt(this.head);
      this.#notice("relay.lagging", { subscription: subscription.id, cursor });
    }
  }

  tellCursor(): void {
    const positions = this.#subscriptions.map(({ position }) => position ?? this.head);
    this.#notice("relay.cursor", { cursor: this.cursorAt(Math.min(this.head, ...positions)) });
  }

  #notice(notice: string, payload: object): void {
    this.wire.push({ notice, payload });
  }

  #missing(subscription: ServerSubscription, position: number): Omit<Gap, "subscription"> | undefined {
    const { topic, told } = subscription;
    const gone = [...this.trimmed].filter(
      ([type, through]) =>
        through > position && through > (told.get(type) ?? 0) && patternMatches(topic.pattern, type),
    );
    if (gone.length === 0) return undefined;
    for (const [type, through] of gone) told.set(type, through);
    const to = Math.max(...gone.map(([, through]) => through));
    return {
      topics: [topic.name],
      reason: "retention",
      certain: false,
      from: this.cursorAt(position),
      to: this.cursorAt(to),
    };
  }

  #subscribe(
    { topics: [name = ""], since, snapshot }: SubscribeRequest,
    reply: (answer: SubscribeAck) => void,
  ): void {
    const topic = topicOf(name);
    this.#subscriptions = this.#subscriptions.filter((s) => s.topic.name !== topic.name);
    const id = `s${++this.#ids}` as SubscriptionId;
    const position = since === undefined ? this.head : this.positionOf(since);
    const subscription: ServerSubscription = { id, topic, position, rest: undefined, told: new Map() };
    let gap = since === undefined ? undefined : this.#missing(subscription, position);
    if (snapshot === true && (since === undefined || gap !== undefined)) {
      subscription.rest = this.latest(topic);
      subscription.position = this.head;
      if (gap !== undefined) gap = { ...gap, to: this.cursorAt(this.head) };
    } else if (position === this.head) {
      subscription.position = undefined;
    }
    this.#subscriptions.push(subscription);
    reply({
      ok: true,
      subscription: id,
      topics: [topic.name],
      cursor: this.cursorAt(subscription.position ?? this.head),
      state: subscription.position === undefined ? "live" : "catching_up",
      recovered: gap === undefined,
      ...(gap && { gap: { subscription: id, ...gap } }),
    });
  }

  #read({ topics: [name = ""], since, until, limit = 100 }: ReadRequest): ReadAck {
    const topic = topicOf(name);
    const start = this.positionOf(since);
    const end = until === undefined ? this.head : this.positionOf(until);
    const subscription = { topic, told: new Map<string, number>() } as ServerSubscription;
    const gap = this.#missing(subscription, start);
    const found = this.entries.filter(
      ({ sequence, routing }) => sequence > start && sequence <= end && matches(topic, routing),
    );
    // small pages, whatever was asked for
    const page = found.slice(0, Math.min(limit, 2));
    const last = page.at(-1);
    return {
      ok: true,
      events: page.map(({ event, sequence }) => [event, { cursor: this.cursorAt(sequence), at: 1 }] as const),
      ...(found.length > page.length && last && { next: this.cursorAt(last.sequence) }),
      ...(gap && { gap }),
    };
  }
}

function epochName(index: number): Epoch {
  return `epoch${String(index).padStart(6, "0")}` as Epoch;
}
