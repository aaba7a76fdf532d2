import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { workersOf } from "./count.ts";
import { type Action, type Fleet, type FleetEvent, fleetOf, step } from "./fleet.ts";

/** A fleet that is told events at times; keeps what it does. */
class Told {
  fleet: Fleet;
  now = 0;
  readonly actions: Action[] = [];

  constructor(places: number) {
    this.fleet = fleetOf(places);
  }

  tell(event: FleetEvent, random = 1): readonly Action[] {
    const { fleet, actions } = step(this.fleet, event, this.now, random);
    this.fleet = fleet;
    this.actions.push(...actions);
    return actions;
  }

  /** All its workers serve. */
  static serving(places: number): Told {
    const told = new Told(places);
    told.tell({ kind: "begin" });
    for (let worker = 1; worker <= places; worker++) told.tell({ kind: "started", worker, port: 3000 });
    return told;
  }

  dies(worker: number): readonly Action[] {
    return this.tell({ kind: "exited", worker, how: "SIGKILL", clean: false });
  }
}

describe("a fleet of workers", () => {
  it("forks one for each place, and announces itself once all serve", () => {
    const told = new Told(2);
    expect(told.tell({ kind: "begin" })).toEqual([
      { do: "fork", worker: 1, place: 0 },
      { do: "fork", worker: 2, place: 1 },
    ]);
    expect(told.tell({ kind: "started", worker: 2, port: 3000 })).toEqual([]);
    expect(told.tell({ kind: "started", worker: 1, port: 3000 })).toEqual([{ do: "announce", port: 3000 }]);
  });

  it("ends with the reason of the first that cannot start, and with code 1", () => {
    const told = new Told(3);
    told.tell({ kind: "begin" });
    told.tell({ kind: "started", worker: 1, port: 3000 });
    expect(told.tell({ kind: "refused", worker: 2, message: "port 3000 is in use" })).toEqual([
      { do: "kill", workers: [1, 2, 3] },
      { do: "end", outcome: { code: 1, message: "port 3000 is in use" } },
    ]);
    expect(told.tell({ kind: "refused", worker: 3, message: "port 3000 is in use" })).toEqual([]);
  });

  it("ends with code 1 if one dies before all serve", () => {
    const told = new Told(2);
    told.tell({ kind: "begin" });
    expect(told.dies(1).at(-1)).toMatchObject({
      do: "end",
      outcome: { code: 1, message: expect.stringContaining("SIGKILL") },
    });
  });

  it("replaces one that died, later each time it dies within a minute", () => {
    const told = Told.serving(2);
    const rests: number[] = [];
    let worker = 2;
    for (let death = 1; death <= 5; death++) {
      const rest = told.dies(worker).find((action) => action.do === "rest");
      rests.push(rest?.ms ?? 0);
      const [fork] = told.tell({ kind: "rested", place: 1 });
      if (fork?.do !== "fork") throw new Error("not replaced");
      worker = fork.worker;
      expect(fork.place).toBe(1);
      expect(told.tell({ kind: "started", worker, port: 3000 })).toEqual([]);
    }
    expect(rests).toEqual([100, 200, 400, 800, 1_600]);
    told.now = 60_000;
    expect(told.dies(worker)).toContainEqual({ do: "rest", place: 1, ms: 100 });
  });

  it("spreads what it waits by half", () => {
    const told = Told.serving(1);
    const exited = { kind: "exited", worker: 1, how: "code 1", clean: false } as const;
    expect(told.tell(exited, 0)).toContainEqual({ do: "rest", place: 0, ms: 50 });
  });

  it("gives up when workers keep dying: drains those that live, and says why", () => {
    const told = Told.serving(2);
    let worker = 2;
    for (let death = 1; death <= 10; death++) {
      expect(told.dies(worker)).toContainEqual(expect.objectContaining({ do: "rest" }));
      told.tell({ kind: "rested", place: 1 });
      worker = told.fleet.forked;
      told.tell({ kind: "started", worker, port: 3000 });
    }
    expect(told.dies(worker)).toEqual([
      { do: "drain", workers: [1] },
      { do: "kill", workers: [] },
    ]);
    expect(told.tell({ kind: "exited", worker: 1, how: "code 0", clean: true })).toEqual([
      {
        do: "end",
        outcome: {
          code: 1,
          message: "workers keep ending: 11 within a minute, the last with SIGKILL; the relay ends",
        },
      },
    ]);
  });

  it("puts another in the place of one that was told to leave, which counts as no death", () => {
    const told = Told.serving(2);
    expect(told.tell({ kind: "leaving", worker: 1 })).toEqual([{ do: "rest", place: 0, ms: 100 }]);
    expect(told.tell({ kind: "rested", place: 0 })).toEqual([{ do: "fork", worker: 3, place: 0 }]);
    expect(told.tell({ kind: "exited", worker: 1, how: "code 0", clean: true })).toEqual([]);
    expect(told.fleet.deaths).toEqual([]);
  });

  it("drains all when told to stop, also those that leave already, and replaces none", () => {
    const told = Told.serving(3);
    told.tell({ kind: "leaving", worker: 1 });
    told.dies(3);
    told.tell({ kind: "rested", place: 2 });
    expect(told.tell({ kind: "stop" })).toEqual([
      { do: "drain", workers: [2, 1] },
      { do: "kill", workers: [4] },
    ]);
    expect(told.tell({ kind: "rested", place: 0 })).toEqual([]);
    expect(told.dies(4)).toEqual([]);
    expect(told.tell({ kind: "exited", worker: 1, how: "code 0", clean: true })).toEqual([]);
    expect(told.tell({ kind: "exited", worker: 2, how: "code 0", clean: true })).toEqual([
      { do: "end", outcome: { code: 0 } },
    ]);
  });

  it("ends with code 1 if a worker dies while it drains, or takes too long", () => {
    const dead = Told.serving(2);
    dead.tell({ kind: "stop" });
    dead.dies(1);
    expect(dead.tell({ kind: "exited", worker: 2, how: "code 0", clean: true })).toMatchObject([
      { do: "end", outcome: { code: 1, message: expect.stringContaining("SIGKILL") } },
    ]);
    const late = Told.serving(2);
    late.tell({ kind: "stop" });
    expect(late.tell({ kind: "late" })).toMatchObject([
      { do: "kill", workers: [1, 2] },
      { do: "end", outcome: { code: 1 } },
    ]);
  });

  it("has one worker in each place at most, whatever happens, and ends when told to", () => {
    const anyEvent = fc.record({
      kind: fc.constantFrom("started", "refused", "leaving", "exited", "rested", "stop", "late"),
      which: fc.nat(7),
      random: fc.double({ min: 0, max: 1, noNaN: true }),
      later: fc.nat(20_000),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(anyEvent, { maxLength: 60 }), (places, events) => {
        const told = new Told(places);
        told.tell({ kind: "begin" });
        const running = (): number[] => alive(told.actions, gone);
        const gone = new Set<number>();
        for (const { kind, which, random, later } of events) {
          told.now += later;
          const worker = running()[which % Math.max(1, running().length)] ?? 0;
          if (kind === "exited") gone.add(worker);
          told.tell(eventOf(kind, worker, which % places), random);
          const settled = running().filter((one) => !told.fleet.leaving.includes(one));
          expect(settled.length).toBeLessThanOrEqual(places);
        }
        told.tell({ kind: "stop" });
        const unkilled = told.actions.filter((action) => action.do !== "kill");
        for (const worker of alive(unkilled, gone)) {
          told.tell({ kind: "exited", worker, how: "code 0", clean: true });
        }
        expect(told.actions.filter((action) => action.do === "end")).toHaveLength(1);
        expect(told.actions.at(-1)?.do).toBe("end");
      }),
    );
  });
});

function eventOf(kind: string, worker: number, place: number): FleetEvent {
  switch (kind) {
    case "started":
      return { kind, worker, port: 3000 };
    case "refused":
      return { kind, worker, message: "no" };
    case "leaving":
      return { kind, worker };
    case "exited":
      return { kind, worker, how: "code 1", clean: false };
    case "rested":
      return { kind, place };
    case "late":
      return { kind };
    default:
      return { kind: "stop" };
  }
}

/** Forked, and neither gone nor killed. */
function alive(actions: readonly Action[], gone: ReadonlySet<number>): number[] {
  const killed = new Set(actions.flatMap((action) => (action.do === "kill" ? action.workers : [])));
  return actions
    .flatMap((action) => (action.do === "fork" ? [action.worker] : []))
    .filter((worker) => !gone.has(worker) && !killed.has(worker));
}

describe("the number of workers", () => {
  it("is the number that is set, whatever the machine", () => {
    expect(workersOf({ workers: 3, redisUrl: undefined }, 1)).toBe(3);
  });

  it("is one for each core with Redis, and leaves a core to the log that the relay holds itself", () => {
    const redisUrl = "redis://localhost";
    expect([1, 2, 8, 256].map((cores) => workersOf({ workers: "auto", redisUrl }, cores))).toEqual([
      1, 2, 8, 64,
    ]);
    expect([1, 2, 8, 256].map((cores) => workersOf({ workers: "auto", redisUrl: undefined }, cores))).toEqual(
      [1, 1, 7, 64],
    );
  });
});
