/**
 * One client: its subscriptions and the socket they share. The shell around `subscription.ts`: it reads pages,
 * writes frames, joins and leaves rooms. Nothing here waits between the last page of a subscription and its join.
 */
import {
  allows,
  type GapReason,
  type Sequence,
  type SubscriptionId,
  type Topic,
} from "@sharmo-relay/protocol";
import type { Principal } from "../auth/principal.ts";
import type { EventEntry, LogRange, LostEntry } from "../log/event-log.ts";
import type { Fork } from "../tail/tail.ts";
import type { Frame } from "./frames.ts";
import { gapOf, lostGap, lostTo, type MissingPart } from "./gaps.ts";
import type { Hub, Member } from "./hub.ts";
import type { Sink } from "./sink.ts";
import {
  at,
  catchingUp,
  forked,
  type Item,
  lacks,
  type NodeView,
  plan,
  positionOf,
  type Subscription,
  shown,
  tailing,
  takePage,
  wanted,
} from "./subscription.ts";

/** What is sent in one go before the socket is looked at again. */
const burst = { entries: 128, bytes: 256 * 1024 };

/** Pause before a page that could not be read is asked for again, in milliseconds. */
const retryReadMs = { least: 300, most: 1_500 };

/** Made once for all connections: each has a first subscription. */
const names: SubscriptionId[] = [];

function nameOf(count: number): SubscriptionId {
  const known = names[count];
  if (known !== undefined) return known;
  const name = `s${count}` as SubscriptionId;
  if (count < 100) names[count] = name;
  return name;
}

export class Connection implements Member {
  readonly hub: Hub;
  readonly sink: Sink;
  reached = 0;
  readonly #maxBuffered: number;
  #principal: Principal;
  #subscriptions = new Map<SubscriptionId, Subscription>();
  #count = 0;
  /** Subscriptions that are being opened. */
  #opening = 0;
  /** Some subscription may have had, before a failover, what is to come. */
  #rewound = false;
  #closed = false;
  #pumping = false;
  #awaitingDrain = false;
  #timers: Set<NodeJS.Timeout> | undefined;

  constructor(hub: Hub, sink: Sink, principal: Principal, maxBuffered: number) {
    this.hub = hub;
    this.sink = sink;
    this.#principal = principal;
    this.#maxBuffered = maxBuffered;
    hub.add(this);
  }

  get principal(): Principal {
    return this.#principal;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get topicCount(): number {
    let count = 0;
    for (const { topics } of this.#subscriptions.values()) count += topics.length;
    return count;
  }

  get subscriptions(): readonly Subscription[] {
    return [...this.#subscriptions.values()];
  }

  /** Which subscription holds a topic: never more than one. */
  holder({ name }: Topic): Subscription | undefined {
    for (const subscription of this.#subscriptions.values())
      if (subscription.topics.some((topic) => topic.name === name)) return subscription;
    return undefined;
  }

  /** A new name; the subscription itself comes with `open`. */
  nextId(): SubscriptionId {
    this.#count++;
    return nameOf(this.#count);
  }

  /** Until `work` is done no cursor is told: the subscription that it opens may begin before it. */
  async whileOpening(work: Promise<void>): Promise<void> {
    this.#opening++;
    try {
      await work;
    } finally {
      this.#opening--;
    }
  }

  /**
   * Opens a subscription, taking its topics from those that hold them. The caller has answered the client in this
   * same tick; `pump` follows in it too.
   */
  open(subscription: Subscription): void {
    this.drop(subscription.topics);
    this.#subscriptions.set(subscription.id, subscription);
    if (subscription.had.length > 0) this.#rewound = true;
    if (subscription.state.kind === "tailing") this.hub.join(this, subscription.topics);
    this.hub.observe.subscriptions(1);
    this.pump();
  }

  /** Ends these topics, whichever subscription holds them. */
  drop(topics: readonly Topic[]): void {
    const names = new Set(topics.map((topic) => topic.name));
    for (const subscription of this.subscriptions) {
      const gone = subscription.topics.filter((topic) => names.has(topic.name));
      if (gone.length === 0) continue;
      if (subscription.state.kind === "tailing") this.hub.leave(this, gone);
      if (gone.length === subscription.topics.length) {
        this.#subscriptions.delete(subscription.id);
        this.hub.observe.subscriptions(-1);
      } else {
        this.#subscriptions.set(subscription.id, {
          ...subscription,
          topics: subscription.topics.filter((topic) => !names.has(topic.name)),
        });
      }
    }
  }

  /** Ends the subscription of this name, if there is one. */
  end(name: string): void {
    const subscription = this.subscriptions.find(({ id }) => id === name);
    if (subscription !== undefined) this.drop(subscription.topics);
  }

  /** Takes a new token of the same holder; answers with the topics it no longer grants. */
  renew(principal: Principal): string[] {
    this.#principal = principal;
    const refused = this.subscriptions
      .flatMap((subscription) => subscription.topics)
      .filter((topic) => !allows(principal.grants, topic));
    this.drop(refused);
    return refused.map((topic) => topic.name);
  }

  live(frame: Frame): boolean {
    if (this.#rewound && !this.#someLacks(frame.entry)) return false;
    if (this.sink.buffered() > this.#maxBuffered) {
      this.hub.observe.lagged();
      this.fallBehind(frame.entry.sequence - 1);
      return false;
    }
    this.sink.live(frame);
    return true;
  }

  /** Of what tails. */
  #someLacks(entry: EventEntry): boolean {
    return this.subscriptions.some(
      (s) => s.state.kind === "tailing" && lacks(s, entry, this.hub.node.history),
    );
  }

  lost(entry: LostEntry): void {
    for (const subscription of this.subscriptions)
      if (subscription.state.kind === "tailing") this.#tellLost(subscription, entry);
  }

  /** What tails stops tailing at this position and catches up. */
  fallBehind(position: Sequence): void {
    for (const subscription of this.subscriptions) {
      if (subscription.state.kind !== "tailing") continue;
      this.hub.leave(this, subscription.topics);
      this.#set(at(subscription, catchingUp(position)));
      this.sink.notice("relay.lagging", {
        subscription: subscription.id,
        cursor: this.hub.cursorAt(position),
      });
    }
    this.#pumpLater();
  }

  forked(fork: Fork): void {
    for (const subscription of this.subscriptions) this.#set(forked(subscription, fork));
    this.#rewound = this.subscriptions.some(({ had }) => had.length > 0);
    this.#pumpLater();
  }

  /** Tells how far everything on this socket is complete. */
  tellCursor(): void {
    if (this.sink.buffered() > this.#maxBuffered) return;
    // whoever keeps it comes back with it: none before it is known where a further subscription begins
    if (this.#opening > 0) return;
    // who comes back with a cursor is shown no snapshot: none before the snapshot is whole
    if (this.subscriptions.some(({ state }) => state.kind === "snapshot")) return;
    const { node } = this.hub;
    // one that is ahead of this node is not told to go back
    const positions = this.subscriptions.map((subscription) => positionOf(subscription, node));
    const least = positions.length === 0 ? node.position : Math.min(...positions);
    this.sink.notice("relay.cursor", { cursor: this.hub.cursorAt(least) });
  }

  /** Goes on with whatever is not tailing, as far as the socket takes it. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      for (const { id } of this.subscriptions) this.#advance(id);
    } finally {
      this.#pumping = false;
    }
  }

  close(): void {
    if (this.#closed) return;
    for (const { topics } of this.subscriptions) this.drop(topics);
    this.#closed = true;
    for (const timer of this.#timers ?? []) clearTimeout(timer);
    this.hub.remove(this);
  }

  #advance(id: SubscriptionId): void {
    for (;;) {
      const subscription = this.#subscriptions.get(id);
      if (subscription === undefined || this.#closed) return;
      if (this.#refuses(subscription)) return;
      const view = this.#view();
      const next = plan(subscription, view);
      if (next.do === "nothing") return;
      if (next.do === "await_node") return this.hub.awaitNode(this);
      if (next.do === "join") return this.#join(subscription);
      if (this.sink.buffered() > this.#maxBuffered / 4) return this.#awaitDrain();
      if (next.do === "read") return this.#read(subscription, next.after, next.through);
      if (next.do === "show") this.#show(subscription, next.rest.slice(0, burst.entries));
      else this.#fromMemory(subscription, next.after, Math.min(next.through, next.after + burst.entries));
    }
  }

  /** Before each page: nothing leaves that the token does not grant now. True if the subscription is gone. */
  #refuses(subscription: Subscription): boolean {
    const refused = subscription.topics.filter((topic) => !allows(this.#principal.grants, topic));
    if (refused.length === 0) return false;
    this.drop(refused);
    return refused.length === subscription.topics.length;
  }

  #join(subscription: Subscription): void {
    this.hub.join(this, subscription.topics);
    this.#set(at(subscription, tailing));
    this.sink.notice("relay.caught_up", {
      subscription: subscription.id,
      cursor: this.hub.cursorAt(this.hub.node.position),
    });
  }

  #show(subscription: Subscription, values: readonly EventEntry[]): void {
    const { copies } = this.hub;
    this.sink.page(values.map((entry) => copies.of(entry, subscription.id, "snapshot", undefined)));
    this.hub.observe.delivered(values.length, "snapshot");
    const next = shown(subscription, values.length);
    this.#set(next);
    if (next.state.kind !== "catching_up") return;
    this.sink.notice("relay.cursor", {
      subscription: subscription.id,
      cursor: this.hub.cursorAt(next.state.position),
    });
  }

  #fromMemory(subscription: Subscription, after: Sequence, through: Sequence): void {
    const entries: Item[] = [];
    let end = after;
    for (let bytes = 0; end < through && bytes < burst.bytes; ) {
      end++;
      const entry = this.hub.node.memoryAt(end);
      if (entry === undefined) continue;
      entries.push(entry);
      bytes += entry.body.length;
    }
    this.hub.observe.paged("memory");
    this.#set(at(subscription, catchingUp(end)));
    this.#send(subscription, wanted(subscription, entries, after, this.hub.node.history));
  }

  #read(subscription: Subscription, after: Sequence, through: Sequence): void {
    this.#set(at(subscription, { kind: "catching_up", position: after, reading: true }));
    this.hub.node.page(after, through).then(
      (range) => this.#paged(subscription.id, after, range),
      () => this.#readAgainLater(subscription.id, after),
    );
  }

  #paged(id: SubscriptionId, after: Sequence, range: LogRange): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined || this.#closed) return;
    const page = takePage(subscription, range, after, this.#view());
    if (!page.use) {
      if (range.epoch !== this.hub.node.epoch) this.hub.node.compare();
      return this.#readAgainLater(id, after);
    }
    this.hub.observe.paged("log");
    this.#set(page.subscription);
    if (page.missing !== undefined) this.tellGap(id, page.missing, "retention");
    this.#send(page.subscription, page.entries);
    this.pump();
  }

  /** Not at once: the log cannot be read now, or is about to be another one. */
  #readAgainLater(id: SubscriptionId, after: Sequence): void {
    if (this.#closed) return;
    const timer = setTimeout(
      () => {
        this.#timers?.delete(timer);
        const subscription = this.#subscriptions.get(id);
        const state = subscription?.state;
        if (subscription === undefined || state?.kind !== "catching_up") return;
        if (state.reading && state.position === after) this.#set(at(subscription, catchingUp(after)));
        this.pump();
      },
      retryReadMs.least + Math.random() * (retryReadMs.most - retryReadMs.least),
    );
    this.#timers ??= new Set();
    this.#timers.add(timer);
  }

  #send(subscription: Subscription, items: readonly Item[]): void {
    let frames: Frame[] = [];
    let count = 0;
    const send = (): void => {
      if (frames.length > 0) this.sink.page(frames);
      count += frames.length;
      frames = [];
    };
    for (const item of items) {
      if (item.kind === "lost") {
        send();
        this.#tellLost(subscription, item);
      } else if (!subscription.conflate || !this.hub.node.replaced(item)) {
        const cursor = this.hub.cursorAt(item.sequence);
        frames.push(this.hub.copies.of(item, subscription.id, "catch_up", cursor));
      }
    }
    send();
    this.hub.observe.delivered(count, "catch_up");
  }

  #tellLost({ id, topics, had }: Subscription, { lost }: LostEntry): void {
    const from = lostTo(had, lost);
    if (from === undefined) return;
    this.hub.observe.gap(lost.reason);
    this.sink.notice("relay.gap", { subscription: id, ...lostGap(topics, lost, from) });
  }

  tellGap(id: SubscriptionId, missing: MissingPart, reason: GapReason): void {
    this.hub.observe.gap(reason);
    const gap = gapOf(missing, reason, (sequence) => this.hub.cursorAt(sequence));
    this.sink.notice("relay.gap", { subscription: id, ...gap });
  }

  #awaitDrain(): void {
    if (this.#awaitingDrain) return;
    this.#awaitingDrain = true;
    this.sink.whenDrained(() => {
      this.#awaitingDrain = false;
      if (!this.#closed) this.pump();
    });
  }

  /** Lets what is under way in this tick finish first. */
  #pumpLater(): void {
    setImmediate(() => {
      if (!this.#closed) this.pump();
    });
  }

  #set(subscription: Subscription): void {
    this.#subscriptions.set(subscription.id, subscription);
  }

  #view(): NodeView {
    const { epoch, history, position, memoryStart } = this.hub.node;
    return { epoch, history, position, memoryStart };
  }
}
