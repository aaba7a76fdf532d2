/** Protocol 1 over Socket.IO (`docs/protocol.md`): the handshake; `client.ts` has what follows it. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import { type ConnectErrorData, type ErrorCode, protocolVersion } from "@sharmo-relay/protocol";
import { Server } from "socket.io";
import { Decoder } from "socket.io-parser";
import { Client, type ClientDeps, type ClientSocket, type SocketData } from "./client.ts";
import { DeflateServer } from "./deflate-server.ts";
import { directUpgrade, forgetHandshake, leanSockets } from "./handshake-insides.ts";
import { RawJsonEncoder } from "./raw-json.ts";
import { readToken } from "./requests.ts";
import { type DoorDeps, guardUpgrades, refusalHeaders, refuseRequest } from "./upgrades.ts";

export interface RealtimeDeps extends ClientDeps, DoorDeps {
  readonly settings: ClientDeps["settings"];
}

/** Largest frame a client may send, in bytes. */
const maxFrameBytes = 64 * 1024;

export function serveSocketIo(http: HttpServer, deps: RealtimeDeps): Server {
  const { settings } = deps;
  const io = new Server<never, never, never, SocketData>(http, {
    serveClient: false,
    transports: [...settings.transports],
    maxHttpBufferSize: maxFrameBytes,
    perMessageDeflate: false,
    ...(settings.compression && deps.writing.direct ? { wsEngine: DeflateServer } : {}),
    httpCompression: false,
    connectTimeout: 10_000,
    cors: { origin: settings.allowedOrigins.includes("*") ? "*" : [...settings.allowedOrigins] },
    parser: { Encoder: RawJsonEncoder, Decoder },
  });
  // rooms are the hub's; Socket.IO would put each socket into one of its own
  io.sockets.adapter.addAll = () => undefined;
  const lean = deps.writing.direct && leanSockets(io);
  const upgrade = deps.writing.direct ? directUpgrade(io) : undefined;
  if (deps.writing.direct && !(lean && upgrade !== undefined)) deps.writing.unexpected();
  const places = guardUpgrades(http, deps, upgrade);
  io.engine.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
    const refusal = refuseRequest(request, deps);
    if (refusal === undefined) return next();
    response.writeHead(refusal.status, refusalHeaders).end(refusal.code);
  });
  io.use((socket, next) => {
    welcome(socket, deps).then(
      // a stock client does not come back after `connect_error`, but after a lost transport it does
      (refusal) => (refusal === "unavailable" ? socket.conn.close() : next(refusal)),
      (error: unknown) => {
        deps.failed(error);
        socket.conn.close();
      },
    );
  });
  io.on("connection", (socket) => {
    places.leave(socket.request);
    forgetHandshake(socket);
    new Client(socket, deps);
  });
  return io;
}

async function welcome(socket: ClientSocket, deps: RealtimeDeps): Promise<Error | "unavailable" | undefined> {
  const auth: unknown = socket.handshake.auth;
  const { protocol } = (typeof auth === "object" && auth !== null ? auth : {}) as { protocol?: unknown };
  if (protocol !== undefined && protocol !== protocolVersion) {
    return connectError("unsupported_protocol", `this relay speaks protocol ${protocolVersion}`);
  }
  const token = readToken(auth);
  if (token === undefined) {
    return connectError("unauthenticated", "a token is needed: connect with { auth: { token } }");
  }
  const verified = await deps.tokens.verify(token);
  if (!verified.ok) {
    return verified.code === "unavailable" ? "unavailable" : connectError(verified.code, verified.message);
  }
  // its transport came before the end began
  if (deps.draining()) return "unavailable";
  socket.data.principal = verified.principal;
  return undefined;
}

function connectError(code: ErrorCode, message: string): Error & { data: ConnectErrorData } {
  return Object.assign(new Error(message), { data: { code, message } });
}
