/**
 * Many handlers on one connection against a model of the relay: each handler gets each of its events once and in
 * order, and no cursor claims what was neither given nor told as a gap.
 */
import { type Cursor, matches, parseCursor, type SharmoEvent } from "@sharmo-relay/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Membership } from "./feed.ts";
import { ServerModel, topicOf } from "./feeds.test-server.ts";
import { createFeeds, type Feeds } from "./feeds.ts";
import { createReceiver, type HandlerReceiver } from "./subscription.ts";
import type { GapInfo, Ready } from "./types.ts";

// few, so that handlers meet on them
const topics = ["token.price_changed", "*", "token.price_changed", "token.price_changed?token_id=t1"].map(
  topicOf,
);
const types = ["token.price_changed", "token.created"];

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

class World {
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

type Act = (world: World, n: number) => void;
const acts: Record<string, readonly [weight: number, Act]> = {
  accept: [10, (world, n) => world.accept(n)],
  deliver: [8, (world, n) => world.deliver((n % 5) + 1)],
  answer: [8, (world) => world.server.answer()],
  advance: [6, (world, n) => world.server.advance((n % 4) + 1)],
  flush: [6, (world) => world.flush()],
  tellCursor: [3, (world) => world.server.tellCursor()],
  lag: [2, (world) => world.server.lag()],
  wait: [1, (world) => world.wait(40_000)],
  refuse: [
    1,
    ({ server }) => {
      server.refuseNext = true;
    },
  ],
  connect: [4, (world) => world.connect()],
  disconnect: [2, (world) => world.disconnect()],
  fork: [
    1,
    (world, n) => {
      world.isDisturbed = true;
      world.server.fork(Math.max(0, world.server.head - (n % 4)));
    },
  ],
  giveBack: [
    1,
    ({ server }) => {
      const event = server.lostEvents.shift();
      if (event !== undefined) server.accept(event);
    },
  ],
  trim: [
    1,
    (world, n) => {
      world.isDisturbed = true;
      world.server.trim(types[n % types.length] ?? "", n % (world.server.head + 1));
    },
  ],
  now: [3, (world, n) => world.add(n, "now")],
  values: [3, (world, n) => world.add(n, "values")],
  since: [2, (world, n) => world.add(n, "since")],
  sinceOrValues: [2, (world, n) => world.add(n, "since or values")],
  remove: [1, (world, n) => world.remove(n)],
  pause: [1, (world, n) => world.one(n)?.pause()],
  tire: [1, (world, n) => world.one(n)?.tire((n % 3) + 1)],
  resume: [1, (world, n) => world.one(n)?.resume()],
  resync: [1, (world, n) => world.one(n)?.resync()],
};
const names = Object.entries(acts).flatMap(([name, [weight]]) => Array<string>(weight).fill(name));
const script = fc.array(fc.tuple(fc.constantFrom(...names), fc.nat({ max: 60 })), {
  minLength: 40,
  maxLength: 200,
});

function play(steps: readonly (readonly [string, number])[]): World {
  const world = new World();
  world.connect();
  for (const [name, n] of steps) {
    acts[name]?.[1](world, n);
    for (const watcher of world.watchers) watcher.check(watcher.cursor);
  }
  world.settle();
  expect(world.problems).toEqual([]);
  return world;
}

describe("handlers that share topics on one connection", () => {
  test("each gets each of its events once and in order, whatever happens", () => {
    fc.assert(
      fc.property(script, (steps) => {
        const world = play(steps);
        const { server } = world;
        for (const watcher of world.watchers) {
          expect(watcher.ready, `${watcher.topic.name} never began`).toBeDefined();
          watcher.check(server.cursorAt(server.head));
        }
        expect(world.feeds.catchingUp()).toBe(false);
      }),
      { numRuns: Number(process.env["RUNS"] ?? 1_500) },
    );
  }, 120_000);

  test("a topic that is refused for now rests before it is asked for again", () => {
    const world = new World();
    world.connect();
    world.server.refuseNext = true;
    world.add(0, "now");
    for (let round = 0; round < 5; round++) {
      world.flush();
      world.server.answer();
      world.deliver(10);
      world.wait(99);
    }
    expect(world.feeds.resting()).toBe(true);
    expect(world.server.asked).toHaveLength(0);
    world.wait(10);
    world.flush();
    expect(world.server.asked).toHaveLength(1);
  });
});
