import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Gathered, Gathering, WriteTime } from "./gathering.ts";

/** What writes took, beside the time that the timers know of. */
let writing = 0;

beforeEach(() => {
  writing = 0;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "Date"] });
  const begun = Date.now();
  vi.spyOn(performance, "now").mockImplementation(() => Date.now() - begun + writing);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A socket whose writes take time, as those of the kernel do. */
class Socket implements Gathered {
  writtenAt: number = Number.NEGATIVE_INFINITY;
  waiting: string[] = [];
  readonly writes: string[][] = [];
  readonly #gathering: Gathering;
  readonly #writeMs: number;

  constructor(gathering: Gathering, writeMs = 0) {
    this.#gathering = gathering;
    this.#writeMs = writeMs;
  }
  send(frame: string): void {
    this.#gathering.begin();
    this.waiting.push(frame);
    if (this.waiting.length === 1) this.#gathering.wait(this);
  }
  flush(now: number): void {
    if (this.waiting.length === 0) return;
    this.writes.push(this.waiting);
    this.waiting = [];
    this.writtenAt = now;
    writing += this.#writeMs;
  }
}

/** The end of this turn of the event loop. */
const turn = (): unknown => vi.advanceTimersByTime(0);

describe("a sink", () => {
  it("gets everything of one turn in one write, at the end of that turn", () => {
    const socket = new Socket(new Gathering(10));
    socket.send("e1");
    socket.send("e2");
    expect(socket.writes).toEqual([]);
    turn();
    expect(socket.writes).toEqual([["e1", "e2"]]);
  });

  it("is written to at once, though it is busy, while the node has time", () => {
    const socket = new Socket(new Gathering(10), 0.1);
    for (let n = 0; n < 100; n++) {
      socket.send(`e${n}`);
      turn();
      vi.advanceTimersByTime(1);
    }
    expect(socket.writes).toHaveLength(100);
  });

  it("gathers for at most a window when writing takes more than half of the time", () => {
    const gathering = new Gathering(10);
    const sockets = Array.from({ length: 10 }, () => new Socket(gathering, 0.4));
    const waited: number[] = [];
    const sent = new Map<string, number>();
    for (let n = 0; n < 200; n++) {
      for (const socket of sockets) socket.send(`e${n}`);
      sent.set(`e${n}`, performance.now());
      turn();
      vi.advanceTimersByTime(2);
      for (const write of sockets[0]?.writes.splice(0) ?? [])
        for (const frame of write) waited.push(performance.now() - (sent.get(frame) ?? 0));
    }
    vi.advanceTimersByTime(30);
    const written = sockets[1]?.writes ?? [];
    expect(written.flat()).toEqual(Array.from({ length: 200 }, (_, n) => `e${n}`));
    // some 200 writes would take 2.7 times as long as there is
    expect(written.length).toBeLessThan(110);
    // the window, the writes of all, and the step of this test
    expect(Math.max(...waited)).toBeLessThanOrEqual(10 + 2 * 4 + 2 + 2);
  });

  it("that was quiet for a window is written to with the turn, however busy others are", () => {
    const gathering = new Gathering(10);
    const busy = new Socket(gathering, 30);
    const quiet = new Socket(gathering);
    for (let n = 0; n < 20; n++) {
      busy.send("e");
      turn();
      vi.advanceTimersByTime(1);
    }
    quiet.send("now");
    turn();
    expect(quiet.writes).toEqual([["now"]]);
    quiet.send("later");
    turn();
    expect(quiet.writes).toHaveLength(1);
    vi.advanceTimersByTime(10);
    expect(quiet.writes).toHaveLength(2);
  });

  it("never waits longer than the turn without a window", () => {
    const gathering = new Gathering(0);
    const socket = new Socket(gathering, 50);
    for (let n = 0; n < 10; n++) {
      socket.send(`e${n}`);
      turn();
    }
    expect(socket.writes).toHaveLength(10);
  });
});

it("lets others have their turn while many sinks are written to", () => {
  const gathering = new Gathering(10);
  const sockets = Array.from({ length: 100 }, () => new Socket(gathering, 0.1));
  for (const socket of sockets) socket.send("e");
  let turns = 0;
  while (sockets.some(({ writes }) => writes.length === 0)) {
    vi.advanceTimersToNextTimer();
    turns++;
  }
  expect(turns).toBeGreaterThan(3);
  expect(sockets.every(({ writes }) => writes.length === 1)).toBe(true);
});

it("writes nothing more once it is closed", () => {
  const gathering = new Gathering(10);
  const socket = new Socket(gathering);
  socket.send("e");
  gathering.close();
  vi.advanceTimersByTime(100);
  expect(socket.writes).toEqual([]);
});

it("time for writes comes with time, up to a limit, and so does what is owed", () => {
  const time = new WriteTime(0);
  expect(time.left(10_000)).toBe(20);
  time.spend(30, 10_000);
  expect(time.left(10_000)).toBe(-10);
  expect(time.left(10_020)).toBe(0);
  time.spend(1e9, 10_020);
  expect(time.left(10_020)).toBe(-100);
});
