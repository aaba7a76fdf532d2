import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { Server, type Socket } from "socket.io";
import { io } from "socket.io-client";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Frame, liveFrame } from "../../apps/relay/src/fanout/frames.ts";
import { Gathering } from "../../apps/relay/src/fanout/gathering.ts";
import { SocketWriter } from "../../apps/relay/src/fanout/socket-writer.ts";
import type { EventEntry } from "../../apps/relay/src/log/event-log.ts";

interface Pair {
  readonly socket: Socket;
  readonly writer: SocketWriter;
  /** What came, in the order it came. */
  readonly got: number[];
  ask(): void;
  /** Resolves when so much has come. */
  come(count: number): Promise<void>;
  readonly unexpected: () => number;
}

/** A stock client and the writer to its socket. */
async function pair(options: {
  direct: boolean;
  transports: ("websocket" | "polling")[];
  windowMs: number;
}): Promise<Pair> {
  const http = createServer();
  const server = new Server(http, { serveClient: false, pingInterval: 20, transports: options.transports });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const gathering = new Gathering(options.windowMs);
  let unexpected = 0;
  const served = new Promise<[Socket, SocketWriter]>((resolve) => {
    server.on("connection", (socket) => {
      const { direct } = options;
      resolve([socket, new SocketWriter(socket, { gathering, direct, unexpected: () => unexpected++ })]);
    });
  });
  const client = io(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, {
    transports: options.transports,
    forceNew: true,
    reconnection: false,
  });
  onTestFinished(async () => {
    client.disconnect();
    gathering.close();
    await server.close();
  });
  const got: number[] = [];
  let arrived = (): void => undefined;
  const take = (n: number): void => {
    got.push(n);
    arrived();
  };
  client.on("token.price_changed", (event: { data: { n: number } }) => take(event.data.n));
  client.on("relay.degraded", ({ n }: { n: number }) => take(n));
  const [socket, writer] = await served;
  return {
    socket,
    writer,
    got,
    ask: () => client.emit("ask", (n: number) => take(n)),
    come: (count) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${got.length} of ${count} came`)), 5_000);
        arrived = () => {
          if (got.length < count) return;
          clearTimeout(timer);
          resolve();
        };
        arrived();
      }),
    unexpected: () => unexpected,
  };
}

function frame(n: number): Frame {
  const entry: EventEntry = {
    kind: "event",
    sequence: n,
    id: `evt_${n}`,
    type: "token.price_changed",
    createdAt: n,
    filters: [],
    body: Buffer.from(JSON.stringify({ data: { n, pad: "é".repeat(n % 200) } })),
    at: n,
    late: false,
  };
  return liveFrame(entry, `epoch-${n}` as Parameters<typeof liveFrame>[1]);
}

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant("live" as const) },
    { weight: 2, arbitrary: fc.constant("page" as const) },
    { weight: 2, arbitrary: fc.constant("notice" as const) },
    { weight: 2, arbitrary: fc.constant("ack" as const) },
    { weight: 2, arbitrary: fc.constant("turn" as const) },
    { weight: 1, arbitrary: fc.constant("pause" as const) },
  ),
  { minLength: 30, maxLength: 120 },
);

const ways = [
  { direct: true, transports: ["websocket"], windowMs: 5 },
  { direct: true, transports: ["websocket"], windowMs: 0 },
  { direct: false, transports: ["websocket"], windowMs: 5 },
  // the upgrade falls somewhere between
  { direct: true, transports: ["polling", "websocket"], windowMs: 5 },
  { direct: true, transports: ["polling"], windowMs: 5 },
] satisfies Parameters<typeof pair>[0][];

describe.each(ways)("written $transports, directly: $direct, window $windowMs ms", (way) => {
  it("everything arrives once and in the order it was written, whatever its kind", {
    timeout: 60_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (kinds) => {
        const { socket, writer, got, ask, come, unexpected } = await pair(way);
        let n = 0;
        const asked: (() => void)[] = [];
        socket.on("ask", (answer: (n: number) => void) => {
          asked.push(() => {
            writer.flush(performance.now());
            answer(n++);
          });
        });
        for (const kind of kinds) {
          if (kind === "live") {
            writer.live(frame(n++));
          } else if (kind === "page") {
            writer.page([frame(n++), frame(n++), frame(n++)]);
          } else if (kind === "notice") {
            writer.notice("relay.degraded", { degraded: true, n: n++ } as never);
          } else if (kind === "ack") {
            ask();
            asked.shift()?.();
          } else if (kind === "turn") {
            await new Promise((resolve) => setImmediate(resolve));
          } else {
            await sleep(3);
          }
        }
        await come(n);
        expect(got).toEqual(Array.from({ length: n }, (_, index) => index));
        expect(unexpected()).toBe(0);
        socket.disconnect(true);
      }),
      { numRuns: 12 },
    );
  });
});

it("counts what waits for a socket that takes nothing, gathered or handed over", async () => {
  const { socket, writer, come } = await pair({ direct: true, transports: ["websocket"], windowMs: 1_000 });
  writer.live(frame(0));
  await come(1);
  expect(writer.buffered()).toBe(0);
  writer.live(frame(1));
  writer.live(frame(2));
  expect(writer.buffered()).toBe(frame(1).websocket.length + frame(2).websocket.length);
  writer.cut();
  expect(writer.buffered()).toBe(0);
  expect(socket.conn.readyState).toBe("open");
});

it("takes the engine's way, and says so, if a WebSocket is not as expected", async () => {
  const { socket, writer, got, come, unexpected } = await pair({
    direct: true,
    transports: ["websocket"],
    windowMs: 5,
  });
  const transport: object = socket.conn.transport;
  // as if a new version had another sender
  const ws = "socket" in transport ? (transport.socket as { _sender: object }) : undefined;
  const { _sender } = ws ?? { _sender: {} };
  Object.defineProperty(_sender, "_state", { value: undefined, writable: true });
  const gathering = new Gathering(5);
  onTestFinished(() => gathering.close());
  let told = 0;
  const other = new SocketWriter(socket, { gathering, direct: true, unexpected: () => told++ });
  Object.defineProperty(_sender, "_state", { value: 0, writable: true });
  other.live(frame(0));
  other.page([frame(1)]);
  await come(2);
  expect(got).toEqual([0, 1]);
  expect(told).toBeGreaterThan(0);
  expect(unexpected()).toBe(0);
  expect(writer.buffered()).toBe(0);
});
