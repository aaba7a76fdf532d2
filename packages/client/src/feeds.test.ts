/**
 * Many handlers on one connection against a model of the relay: each handler gets each of its events once and in
 * order, and no cursor claims what was neither given nor told as a gap.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { types, World } from "./feeds.test-world.ts";

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
