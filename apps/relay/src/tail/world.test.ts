import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { calm, type Link } from "./world.test-link.ts";
import { types, World } from "./world.test-world.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const node = fc.nat(1);
const client = fc.nat(1);
const noticed = fc.tuple(fc.constantFrom(0, 50, 400, 1_500), fc.constantFrom(0, 20, 300, 3_000));

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant("post" as const), type: fc.nat(2), to: node }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.constantFrom(1, 5, 5, 20, 20, 100, 1_000, 3_000, 8_000, 40_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("weather" as const),
      node,
      weather: fc.record({
        lost: fc.constantFrom(0, 0, 0.3, 1),
        late: fc.constantFrom(2, 50, 600),
        unanswered: fc.constantFrom(0, 0, 0.2),
        far: fc.constantFrom(2, 30, 300),
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fail over" as const),
      lost: fc.nat(3),
      lives: fc.boolean(),
      noticed: fc.tuple(noticed, noticed),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("die" as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("start" as const), node }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("hold" as const), node, ms: fc.constantFrom(100, 1_000, 4_000) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("disconnect" as const), client }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("connect" as const), client, node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("stall" as const), client }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("read" as const), client }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("trim" as const), type: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("tell cursors" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function take(world: World, s: Step): Promise<void> | void {
  switch (s.do) {
    case "post":
      return world.post(types[s.type] ?? types[0], s.to);
    case "pass":
      return world.pass(s.ms);
    case "weather":
      return world.weather(s.node, s.weather);
    case "fail over":
      return world.failOver(s);
    case "die":
      return world.die(s.node);
    case "start":
      return world.start(s.node);
    case "hold":
      return world.hold(s.node, s.ms);
    case "disconnect":
      return world.clients[s.client]?.disconnect();
    case "connect":
      return world.connect(s.client, s.node);
    case "stall": {
      const stalling = world.clients[s.client];
      if (stalling !== undefined) stalling.stalls = true;
      return;
    }
    case "read": {
      const reading = world.clients[s.client];
      if (reading !== undefined) reading.stalls = false;
      return;
    }
    case "trim":
      return world.trim(types[s.type] ?? types[0]);
    case "tell cursors":
      for (const each of world.clients) each.tellCursor();
  }
}

/** A world under fake time that ends with the test. */
async function quietWorld(): Promise<World> {
  vi.useFakeTimers();
  const world = new World(1, 1_000);
  await world.pass(100);
  world.connect(0, 0);
  await world.pass(10);
  return world;
}

/** Client 0 leaves with a cursor of an epoch that the log then loses, of which only node 0 knows. */
async function leaveOnDeadBranch(world: World, after: readonly [number, number] = [0, 0]): Promise<void> {
  const atOnce = [
    [0, 0],
    [0, 0],
  ] as const;
  world.post(types[0], 0);
  await world.pass(20);
  world.failOver({ lost: 0, lives: false, noticed: atOnce });
  await world.pass(2_000);
  world.post(types[0], 0);
  await world.pass(20);
  world.clients[0]?.disconnect();
  world.die(1);
  world.failOver({ lost: 3, lives: false, noticed: [after, [0, 0]] });
  world.start(1);
}

describe("two nodes on a log that fails over", () => {
  it("lose nothing that was answered, deliver it once and in order or name it, and never say too much", {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.constantFrom(3, 1_000),
        fc.array(step, { minLength: 20, maxLength: 120, size: "max" }),
        async (seed, remembers, steps) => {
          vi.useFakeTimers();
          try {
            const world = new World(seed, remembers);
            await world.pass(100);
            world.connect(0, 0);
            world.connect(1, 1);
            for (const s of steps) {
              await take(world, s);
              await world.pass(0);
            }
            await world.end();
          } finally {
            vi.clearAllTimers();
            vi.useRealTimers();
          }
        },
      ),
      { numRuns: 120 },
    );
  });

  it("place a client of a dead branch also where that branch was never known", async () => {
    const world = await quietWorld();
    await leaveOnDeadBranch(world);
    await world.pass(8_000);
    world.connect(0, 1);
    await world.end();
    expect(world.clients[0]?.gaps).toEqual([]);
  });

  it("record a dead branch again when a failover took the record", async () => {
    const world = await quietWorld();
    await leaveOnDeadBranch(world);
    await world.pass(8_000);
    const noticed = [
      [0, 0],
      [0, 0],
    ] as const;
    world.die(1);
    world.failOver({ lost: 3, lives: false, noticed });
    world.start(1);
    await world.pass(8_000);
    world.connect(0, 1);
    await world.end();
    expect(world.clients[0]?.gaps).toEqual([]);
  });

  it("call nothing lost that another node puts back", async () => {
    const world = await quietWorld();
    world.post(types[0], 0);
    world.post(types[0], 0);
    await world.pass(20);
    world.die(1);
    world.start(1);
    await world.pass(1_000);
    const noticed = [
      [0, 0],
      [0, 0],
    ] as const;
    world.failOver({ lost: 2, lives: false, noticed });
    await world.pass(10_000);
    await world.end();
    expect(world.current.entries.map(({ kind }) => kind)).toEqual(["event", "event"]);
    expect(world.clients[0]?.gaps).toEqual([]);
  });

  it("put back what another node had put back, if a failover takes it before they have read it there", async () => {
    const world = await quietWorld();
    world.weather(1, { ...calm, lost: 1 });
    world.post(types[0], 1);
    await world.pass(20);
    const noticed = [
      [0, 0],
      [0, 0],
    ] as const;
    world.failOver({ lost: 1, lives: false, noticed });
    const other = world.nodes[1]?.link as Link;
    const asks = vi.spyOn(other, "unknownIds");
    while (asks.mock.results.length === 0) await world.pass(1);
    await world.pass(5);
    expect(world.current.entries.length, "the other node has put it back").toBe(1);
    expect(world.nodes[1]?.follower?.tail?.position, "this one has not read it there").toBe(0);
    world.die(0);
    world.failOver({ lost: 1, lives: false, noticed });
    await world.end();
    expect(world.current.entries.map(({ kind }) => kind)).toEqual(["event"]);
  });

  it("call no cursor invalid by a head that was asked for before its client came", async () => {
    const world = await quietWorld();
    const other = world.nodes[1];
    world.weather(1, { ...calm, lost: 1 });
    const asked = vi.spyOn(other?.link as Link, "state");
    while (asked.mock.calls.length === 0) {
      world.hold(1, 500);
      await world.pass(1);
    }
    await world.pass(5);
    world.post(types[0], 0);
    await world.pass(20);
    world.clients[0]?.disconnect();
    world.connect(0, 1);
    await world.pass(600);
    expect(world.clients[0]?.node, "it stays").toBe(other);
    await world.end();
  });

  it("call no cursor unknown before the others had their time to tell of its branch", async () => {
    const world = await quietWorld();
    await leaveOnDeadBranch(world, [1_000, 0]);
    for (let n = 0; n < 40; n++) {
      await world.pass(50);
      if (world.clients[0]?.node === undefined) world.connect(0, 1);
    }
    await world.end();
    expect(world.clients[0]?.gaps).toEqual([]);
  });
});
