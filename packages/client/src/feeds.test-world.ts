/**
 * A client on the model of the relay: handlers that know what they may expect, and the queues between. What a handler
 * got that it should not have got stands in `problems`.
 */
import { type Cursor, matches, parseCursor, type SharmoEvent } from "@sharmo-relay/protocol";
import type { Membership } from "./feed.ts";
import { ServerModel, topicOf } from "./feeds.test-server.ts";
import { createFeeds, type Feeds } from "./feeds.ts";
import { createReceiver, type HandlerReceiver } from "./subscription.ts";
import type { GapInfo, Ready } from "./types.ts";

// few, so that handlers meet on them
const topics = ["token.price_changed", "*", "token.price_changed", "token.price_changed?token_id=t1"].map(
  topicOf,
);
export const types = ["token.price_changed", "token.created"];

interface Begin {
  readonly since?: Cursor;
  readonly snapshot?: boolean;
}

/** One handler, and everything it may expect. */
class Watcher {
  readonly topic: (typeof topics)[number];
  readonly #world: World;
  readonly #receiver: HandlerReceiver;
  #membership: Membership;
  #paused: { readonly cursor: Cursor | undefined } | undefined;
  ready: Ready | undefined;
  ids = new Set<string>();
  gaps: { readonly from: number; readonly to: number }[] = [];
  lastGap: GapInfo | undefined;
  #last: { readonly epoch: string; readonly sequence: number } | undefined;
  #left = new Set<string>();
  #wantsValues: boolean;
  #isStarted = false;
  #furthest = 0;
  #leisure = Number.POSITIVE_INFINITY;

  constructor(world: World, topic: (typeof topics)[number], begin: Begin) {
    this.#world = world;
    this.topic = topic;
    this.#wantsValues = begin.snapshot === true;
    const inner = createReceiver(
      (event) => this.#got(event as never),
      {
        ...begin,
        onGap: (gap) => this.#missing(gap),
        onError: (error) => void world.problems.push(String(error.cause ?? error)),
      },
      {
        fail: (error) => void world.problems.push(String(error)),
        resync: () => this.#begin({ snapshot: true }),
      },
    );
    this.#receiver = {
      ...inner,
      started: (ready) => {
        this.#start(ready);
      },
    };
    this.#membership = this.#join(begin.since, begin.snapshot === true);
  }

  get paused(): boolean {
    return this.#paused !== undefined;
  }

  get cursor(): Cursor | undefined {
    return this.#paused ? this.#paused.cursor : this.#membership.cursor;
  }

  leave(): void {
    this.#membership.leave();
  }

  /** As a stream does that is full. */
  pause(): void {
    if (this.paused || !this.#isStarted) return;
    this.#paused = { cursor: this.#membership.cursor };
    this.#membership.leave();
  }

  /** Pauses after so many events. */
  tire(events: number): void {
    this.#leisure = events;
  }

  resume(): void {
    this.#leisure = Number.POSITIVE_INFINITY;
    if (this.#paused === undefined) return;
    const { cursor } = this.#paused;
    this.#paused = undefined;
    this.#membership = this.#join(cursor, false);
  }

  resync(): void {
    if (!this.paused) this.lastGap?.resync();
  }

  #join(cursor: Cursor | undefined, snapshot: boolean): Membership {
    return this.#world.feeds.join(this.topic, this.#receiver, { cursor, snapshot, conflate: false });
  }

  #begin({ snapshot }: Begin): void {
    this.#membership.leave();
    this.ready = undefined;
    this.#isStarted = false;
    this.ids = new Set();
    this.gaps = [];
    this.#furthest = 0;
    this.lastGap = undefined;
    this.#last = undefined;
    this.#left = new Set();
    this.#wantsValues = true;
    this.#membership = this.#join(undefined, snapshot === true);
  }

  #start(ready: Ready): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.ready = ready;
    if (!this.#wantsValues || this.#world.isDisturbed || this.gaps.length > 0) return;
    const { server } = this.#world;
    const at = server.positionOf(ready.cursor);
    const values = new Map<unknown, string>();
    for (const { sequence, event, routing } of server.history) {
      if (sequence <= at && matches(this.topic, routing)) {
        values.set((event.data as { token_id: string }).token_id, event.id);
      }
    }
    if (this.#world.sinceOf(this) !== undefined) return;
    // a snapshot that was cut off by a lost connection is shown anew, so there may be older ones too
    for (const id of values.values()) if (!this.ids.has(id)) this.#world.problems.push(`not shown: ${id}`);
  }

  #missing(gap: GapInfo): void {
    this.lastGap = gap;
    const from = parseCursor(gap.from)?.sequence ?? 0;
    this.gaps.push({ from, to: parseCursor(gap.to)?.sequence ?? 0 });
  }

  #got(event: SharmoEvent & { readonly cursor?: Cursor; readonly delivery: string }): void {
    const { problems } = this.#world;
    const where = `${event.id} at ${event.cursor} to ${this.topic.name}`;
    if (this.ids.has(event.id)) problems.push(`twice: ${where}`);
    this.ids.add(event.id);
    // a full stream stops in the middle of whatever is arriving
    if (event.delivery !== "snapshot" && --this.#leisure <= 0) this.pause();
    if (event.delivery === "snapshot") {
      if (!this.#wantsValues) problems.push(`values that were not asked for: ${where}`);
      return;
    }
    if (this.ready === undefined) return void problems.push(`before ready: ${where}`);
    const at = parseCursor(event.cursor);
    const start = parseCursor(this.ready.cursor);
    if (at === undefined || start === undefined) return void problems.push(`no cursor: ${where}`);
    if (at.epoch === start.epoch && at.sequence <= start.sequence) problems.push(`from before: ${where}`);
    const own = parseCursor(this.cursor);
    if (own?.epoch === at.epoch && own.sequence < at.sequence) problems.push(`ahead of its cursor: ${where}`);
    if (this.#left.has(at.epoch)) problems.push(`from an epoch left: ${where}`);
    if (this.#last !== undefined) {
      if (this.#last.epoch !== at.epoch) this.#left.add(this.#last.epoch);
      else if (at.sequence <= this.#last.sequence) problems.push(`out of order: ${where}`);
    }
    this.#last = at;
  }

  /** Everything between the start and `cursor` was given, shown, or told as missing. */
  check(cursor: Cursor | undefined): void {
    if (this.ready === undefined || cursor === undefined) return;
    const { server, isDisturbed, problems } = this.#world;
    const now = parseCursor(cursor)?.sequence ?? 0;
    if (!isDisturbed && now < this.#furthest) problems.push(`went back to ${cursor}`);
    this.#furthest = now;
    const start = server.positionOf(this.ready.cursor);
    const end = server.positionOf(cursor);
    for (const { sequence, event, routing } of server.history) {
      if (sequence <= start || sequence > end || this.ids.has(event.id)) continue;
      if (!matches(this.topic, routing)) continue;
      const isGone = this.#wantsValues || !server.entries.some((entry) => entry.event.id === event.id);
      if (isGone && this.gaps.some(({ from, to }) => from < sequence && sequence <= to)) continue;
      throw new Error(
        `${event.id} (${sequence}) was never given to ${this.topic.name}, which says ${cursor}`,
      );
    }
  }
}

export class World {
  readonly server = new ServerModel();
  readonly feeds: Feeds;
  watchers: Watcher[] = [];
  /** What a handler got that it should not have got. */
  readonly problems: string[] = [];
  #since = new Map<Watcher, Cursor>();
  #soon: (() => void)[] = [];
  #now = 1_000;
  #count = 0;
  #connected = false;
  /** A failover or retention: what a snapshot shows is no longer plain. */
  isDisturbed = false;

  constructor() {
    this.feeds = createFeeds({
      request: (name, payload, to) => {
        if (!this.#connected) throw new Error(`${name} while not connected`);
        this.server.asked.push({ name, payload, to });
      },
      soon: (call) => this.#soon.push(call),
      now: () => this.#now,
      random: () => 0.5,
      changed() {},
    });
  }

  sinceOf(watcher: Watcher): Cursor | undefined {
    return this.#since.get(watcher);
  }

  flush(): void {
    for (let call = this.#soon.shift(); call !== undefined; call = this.#soon.shift()) call();
  }

  accept(n: number): void {
    this.#count++;
    const type = types[n % types.length] ?? "";
    this.server.accept({
      id: `evt_${this.#count}`,
      type,
      created_at: "2026-01-01T00:00:00Z",
      data: { token_id: `t${n % 3}` },
    });
  }

  deliver(count: number): void {
    for (let i = 0; i < count; i++) {
      const frame = this.server.wire.shift();
      if (frame === undefined) return;
      if ("to" in frame) frame.to(frame.answer as never);
      else if ("event" in frame) this.feeds.event(frame.event, frame.meta);
      else this.feeds.notice(frame.notice, frame.payload);
      for (const watcher of this.watchers) watcher.check(watcher.cursor);
    }
  }

  connect(): void {
    if (this.#connected) return;
    this.#connected = true;
    this.feeds.connected();
  }

  disconnect(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.server.disconnect();
    this.feeds.lost();
  }

  wait(ms: number): void {
    this.#now += ms;
    if (this.#connected) this.feeds.tick();
  }

  add(n: number, begin: "now" | "values" | "since" | "since or values"): void {
    if (this.watchers.length >= 6) return;
    const topic = topics[n % topics.length] ?? topicOf("*");
    // few places, so that handlers meet there too
    const place = Math.floor(((n % 3) * this.server.head) / 2);
    const since = begin.startsWith("since") ? this.server.cursorAt(place) : undefined;
    const watcher = new Watcher(this, topic, {
      ...(since && { since }),
      ...(begin.endsWith("values") && { snapshot: true }),
    });
    if (since) this.#since.set(watcher, since);
    this.watchers.push(watcher);
  }

  remove(n: number): void {
    const [watcher] = this.watchers.splice(n % (this.watchers.length || 1), 1);
    watcher?.leave();
  }

  one(n: number): Watcher | undefined {
    return this.watchers[n % (this.watchers.length || 1)];
  }

  /** Nothing more happens; whatever is under way comes to its end. */
  settle(): void {
    this.connect();
    for (const watcher of this.watchers) watcher.resume();
    for (let round = 0; round < 60; round++) {
      this.wait(40_000);
      this.flush();
      this.server.answer();
      this.server.advance(50);
      this.deliver(1_000);
      this.flush();
    }
  }
}
