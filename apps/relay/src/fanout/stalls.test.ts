import { expect, test } from "vitest";
import type { Principal } from "../auth/principal.ts";
import type { Progress, Sink } from "./sink.ts";
import { StallWatch } from "./stalls.ts";

const principal: Principal = {
  subject: "user_1",
  tokenId: undefined,
  issuedAtMs: undefined,
  expiresAtMs: Number.POSITIVE_INFINITY,
  grants: { events: [], manage: "nothing" } as unknown as Principal["grants"],
};

/** A socket of which the test says what was written and what was taken. */
class Socket {
  written = 0;
  taken: Progress = { taken: 0, left: 0 };
  isCut = false;
  readonly sink: Sink;
  readonly principal = principal;

  constructor() {
    const nothing = (): void => undefined;
    this.sink = {
      buffered: () => this.written - this.taken.taken,
      progress: () => this.taken,
      cut: () => {
        this.isCut = true;
      },
      whenDrained: nothing,
      live: nothing,
      page: nothing,
      together: nothing,
      notice: nothing,
      end: nothing,
    };
  }
}

function watch(...sockets: readonly Socket[]): { at(ms: number): void; stalled: [Socket, number][] } {
  const stalled: [Socket, number][] = [];
  const watching = new StallWatch<Socket>({
    connections: () => sockets.filter(({ isCut }) => !isCut),
    limitMs: 60_000,
    stalled: (socket, bytes) => stalled.push([socket, bytes]),
  });
  watching.close();
  return { at: (ms) => watching.look(ms), stalled };
}

test("a socket that takes nothing for the limit is cut off, whatever is written to it meanwhile", () => {
  const socket = new Socket();
  const { at, stalled } = watch(socket);
  socket.written = 1_000;
  for (let ms = 0; ms < 60_000; ms += 5_000) {
    // a ping
    socket.written += 3;
    at(ms);
    expect(socket.isCut).toBe(false);
  }
  at(60_000);
  expect(stalled).toEqual([[socket, socket.written]]);
  expect(socket.isCut).toBe(true);
});

test("a slow one stays as long as it takes anything, be it a part of one large write", () => {
  const socket = new Socket();
  const { at } = watch(socket);
  socket.written = 1_000_000;
  for (let ms = 0, left = 900_000; ms < 600_000; ms += 50_000, left -= 10) {
    socket.taken = { taken: 0, left };
    at(ms);
  }
  expect(socket.isCut).toBe(false);
});

test("one for which nothing waits has not stalled, and what it took before does not count against it", () => {
  const socket = new Socket();
  const { at } = watch(socket);
  at(0);
  at(100_000);
  socket.written = 10;
  at(100_001);
  at(160_000);
  expect(socket.isCut).toBe(false);
  socket.taken = { taken: 10, left: 0 };
  at(160_001);
  socket.written = 20;
  at(160_002);
  at(220_001);
  expect(socket.isCut).toBe(false);
  at(220_002);
  expect(socket.isCut).toBe(true);
});
