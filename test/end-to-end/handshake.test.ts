import { createServer } from "node:http";
import { type AddressInfo, connect as connectTcp, type Socket as TcpSocket } from "node:net";
import { Server } from "socket.io";
import { describe, expect, it } from "vitest";
import {
  directUpgrade,
  forgetHandshake,
  leanSockets,
} from "../../apps/relay/src/realtime/handshake-insides.ts";
import { guardUpgrades } from "../../apps/relay/src/realtime/upgrades.ts";
import { endWithTest } from "../support/cleanup.ts";
import { startNode } from "../support/node.ts";
import { startRelay } from "../support/relay.ts";
import { connect, open } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";

const begin = "/socket.io/?EIO=4&transport=websocket";

function upgradeOf(path: string): string {
  const headers = ["Host: relay", "Connection: Upgrade", "Upgrade: websocket"];
  const key = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"];
  return `GET ${path} HTTP/1.1\r\n${[...headers, ...key].join("\r\n")}\r\n\r\n`;
}

/** What comes on a bare TCP connection, read by read. */
function raw(url: string, path: string): { socket: TcpSocket; reads: string[] } {
  const socket = connectTcp(Number(new URL(url).port), "127.0.0.1");
  endWithTest(() => {
    socket.destroy();
  });
  const reads: string[] = [];
  socket.on("error", () => undefined);
  socket.on("data", (data) => reads.push(data.toString("latin1")));
  socket.write(upgradeOf(path));
  return { socket, reads };
}

describe.each(["on", "off"])("an upgrade, with RELAY_DIRECT_WRITES=%s", (direct) => {
  const start = (): ReturnType<typeof startNode> =>
    startNode({ env: { RELAY_DIRECT_WRITES: direct, RELAY_TRANSPORTS: "websocket,polling" } });

  it("of an unknown session, transport or protocol is answered 400", async () => {
    const { url } = await start();
    for (const path of [`${begin}&sid=nobody`, "/socket.io/?EIO=4&transport=pigeon", "/socket.io/?EIO=4"]) {
      const { reads } = raw(url, path);
      await until(() => reads.length > 0);
      expect(reads.join("")).toMatch(/^HTTP\/1\.1 400 /);
    }
    const { reads, socket } = raw(url, "/socket.io/?EIO=3&transport=websocket");
    let closed = false;
    socket.on("close", () => {
      closed = true;
    });
    await until(() => closed);
    expect(reads.join("")).not.toContain("0{");
  });

  it("at any other path is ended", async () => {
    const { url } = await start();
    const { socket } = raw(url, "/elsewhere");
    let closed = false;
    socket.on("close", () => {
      closed = true;
    });
    await until(() => closed);
  });

  it("carries on what began with polling", async () => {
    const { url } = await start();
    const auth = { token: await token({ scope: "events:*" }) };
    const client = open(url, auth, { transports: ["polling", "websocket"] });
    await until(() => client.socket.connected && client.socket.io.engine.transport.name === "websocket");
    const ack = await client.request("subscribe", { topics: ["token.*"] });
    expect(ack).toMatchObject({ ok: true, state: "live" });
  });
});

it("hears everyone who comes while the node is busy", async () => {
  const relay = await startRelay();
  endWithTest(() => relay.kill());
  process.kill(relay.pid, "SIGSTOP");
  // more than the 511 that Node asks the system to keep for it
  const clients = Array.from({ length: 900 }, () => raw(relay.url, begin));
  let heard = 0;
  for (const { socket } of clients) socket.once("connect", () => heard++);
  await until(() => heard === clients.length, { what: "the system to take all connections" });
  process.kill(relay.pid, "SIGCONT");
  await until(() => clients.every(({ reads }) => reads.length > 0), { within: 20_000 });
  expect(clients.filter(({ reads }) => !reads[0]?.startsWith("HTTP/1.1 101"))).toEqual([]);
});

describe("the insides of a handshake", () => {
  async function serve(): Promise<{ io: Server; http: ReturnType<typeof createServer>; url: string }> {
    const http = createServer();
    const io = new Server(http, { serveClient: false });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    endWithTest(() => io.close());
    return { io, http, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
  }
  const doors = {
    settings: { allowedOrigins: [] },
    inStep: () => true,
    draining: () => false,
    overloaded: () => undefined,
  };

  it("are as the relay knows them", async () => {
    const { io } = await serve();
    expect(directUpgrade(io)).toBeTypeOf("function");
    expect(leanSockets(io)).toBe(true);
  });

  it("send the answer and the first packet in one write", async () => {
    const { io, http, url } = await serve();
    guardUpgrades(http, doors, directUpgrade(io));
    let writes = 0;
    http.on("connection", (socket) => {
      for (const way of ["_write", "_writev"] as const) {
        const write = socket[way]?.bind(socket) as ((...args: unknown[]) => void) | undefined;
        socket[way] = (...args: unknown[]) => {
          writes++;
          write?.(...args);
        };
      }
    });
    const { reads } = raw(url, begin);
    await until(() => reads.join("").includes('0{"sid":'));
    expect(reads.join("")).toMatch(/^HTTP\/1\.1 101 /);
    expect(writes).toBe(1);
  });

  it("leave nothing of the request and the token on a socket", async () => {
    const { io, http, url } = await serve();
    leanSockets(io);
    guardUpgrades(http, doors, directUpgrade(io));
    let seen: object | undefined;
    io.on("connection", (socket) => {
      expect(socket.handshake.auth["token"]).toBe("a token of this client");
      forgetHandshake(socket);
      seen = socket;
    });
    await connect(url, "a token of this client");
    await until(() => seen !== undefined);
    expect(textsOf(seen)).not.toContain("a token of this client");
    expect(textsOf(seen)).not.toContain(begin);
  });

  it.each(["prepare", "verify", "onWebSocket", "handleUpgrade"])(
    "are not used if Engine.IO's %s is another",
    async (method) => {
      const { io, http, url } = await serve();
      const engine = io.engine as unknown as Record<string, (...args: unknown[]) => unknown>;
      const was = engine[method]?.bind(engine);
      engine[method] = (...args) => was?.(...args);
      const upgrade = directUpgrade(io);
      expect(upgrade).toBeUndefined();
      guardUpgrades(http, doors, upgrade);
      const client = await connect(url, "t");
      expect(client.socket.connected).toBe(true);
    },
  );

  it("are not used if Socket.IO makes its sockets otherwise", async () => {
    const { io, url } = await serve();
    Object.defineProperty(io.sockets, "_createSocket", { value: undefined, configurable: true });
    expect(leanSockets(io)).toBe(false);
    Reflect.deleteProperty(io.sockets, "_createSocket");
    expect((await connect(url, "t")).socket.connected).toBe(true);
  });
});

/** All strings within reach of an object, but for what is shared by all: servers, classes. */
function textsOf(root: unknown): Set<string> {
  const texts = new Set<string>();
  const seen = new Set<unknown>();
  const rest: unknown[] = [root];
  while (rest.length > 0) {
    const value = rest.pop();
    if (typeof value === "string") texts.add(value);
    if (typeof value !== "object" || value === null || seen.has(value)) continue;
    seen.add(value);
    if (value instanceof Map || value instanceof Set) rest.push(...value.keys(), ...value.values());
    for (const key of Reflect.ownKeys(value)) {
      const { value: inner } = Object.getOwnPropertyDescriptor(value, key) ?? {};
      rest.push(inner);
    }
  }
  return texts;
}
