/**
 * The insides of Engine.IO and Socket.IO that a handshake uses, and nobody else. Thousands of clients come back at
 * once, and half of what a handshake costs, and of what a connection keeps, serves options that this relay does not
 * have: middlewares of upgrades, an answer's headers, a copy of the request, rooms. All of it is looked at before it
 * is believed; where something is not as expected, the public way is taken.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type Server, Socket } from "socket.io";
import type { Upgrade } from "./upgrades.ts";

/** Engine.IO's server. */
interface Engine {
  /** Reads the query of the request, unless it has been read. */
  prepare(request: Prepared): void;
  /** Answers in the same tick; with a code if the request is refused. */
  verify(request: Prepared, upgrade: true, answer: (code?: number) => void): void;
  onWebSocket(request: Prepared, socket: Duplex, ws: unknown): void;
  handleUpgrade(request: Prepared, socket: Duplex, head: Buffer): void;
  /** Another one once the HTTP server listens. */
  readonly ws: WsServer;
}

interface WsServer {
  handleUpgrade(request: Prepared, socket: Duplex, head: Buffer, done: (ws: unknown) => void): void;
}

interface Prepared extends IncomingMessage {
  _query?: Readonly<Record<string, string>> | undefined;
}

/** Longest address of which the query is remembered, in characters: that of a client which begins. */
const maxUsualUrl = 64;
const nothing = Buffer.alloc(0);

/**
 * What Engine.IO does with an upgrade, but for its middlewares: they were asked before. The answer and the first
 * packet leave in one write. Undefined where it would not look as expected.
 */
export function directUpgrade(io: Server): Upgrade | undefined {
  const engine: unknown = io.engine;
  if (!isEngine(engine)) return undefined;
  const path = `${io.path()}/`;
  let usual: { readonly url: string; readonly query: Prepared["_query"] } | undefined;
  const prepare = (request: Prepared, url: string): void => {
    if (url === usual?.url) {
      request._query = usual.query;
      return;
    }
    engine.prepare(request);
    if (url.length <= maxUsualUrl && request._query?.["sid"] === undefined)
      usual = { url, query: request._query };
  };
  return (request: Prepared, socket, head) => {
    const url = request.url ?? "";
    // what is none of its own it answers as it always does
    if (!url.startsWith(path)) return engine.handleUpgrade(request, socket, head);
    prepare(request, url);
    engine.verify(request, true, (code) => {
      if (code !== undefined) return engine.handleUpgrade(request, socket, head);
      socket.cork();
      engine.ws.handleUpgrade(request, socket, head.length === 0 ? nothing : Buffer.from(head), (ws) =>
        engine.onWebSocket(request, socket, ws),
      );
      // the first packet is written a microtask after the answer
      void Promise.resolve().then(() => socket.uncork());
    });
  };
}

function isEngine(engine: unknown): engine is Engine {
  return (
    takes(engine, "prepare", 1) &&
    takes(engine, "verify", 3) &&
    takes(engine, "onWebSocket", 3) &&
    takes(engine, "handleUpgrade", 3) &&
    typeof engine === "object" &&
    engine !== null &&
    "ws" in engine &&
    takes(engine.ws, "handleUpgrade", 4)
  );
}

/** True for an object with such a method of so many parameters. */
function takes(object: unknown, method: string, parameters: number): boolean {
  if (typeof object !== "object" || object === null) return false;
  const found: unknown = Reflect.get(object, method);
  return typeof found === "function" && found.length === parameters;
}

/**
 * Sockets that keep of the handshake only what was sent with it: no copy of the request's headers, no texts of
 * addresses and times. False where it would not look as expected, and all stays as it is.
 */
export function leanSockets(io: Server): boolean {
  const namespace = io.sockets;
  if (!takes(namespace, "_createSocket", 2) || !takes(Socket.prototype, "buildHandshake", 1)) return false;
  class LeanSocket extends Socket {}
  Object.defineProperty(LeanSocket.prototype, "buildHandshake", { value: (auth: unknown) => ({ auth }) });
  Object.defineProperty(namespace, "_createSocket", {
    value: (client: Socket["client"], auth: Record<string, unknown>) =>
      new LeanSocket(namespace, client, auth),
  });
  return true;
}

/** What is left of a handshake that is over. */
const over = { auth: {}, headers: {}, query: {} } as const;

/** Gives up the request and the token that a connection began with: both would be kept for as long as it stands. */
export function forgetHandshake(socket: Socket<never, never, never, unknown>): void {
  Object.assign(socket, { handshake: over });
  Object.assign(socket.conn, { request: undefined });
}
