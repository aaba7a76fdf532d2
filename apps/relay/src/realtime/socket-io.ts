/** Protocol 1 over Socket.IO (`docs/protocol.md`): handshake, requests, and what ends a connection. */
import {
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Duplex } from "node:stream";
import { type ConnectErrorData, type ErrorCode, protocolVersion, type Refusal } from "@sharmo-relay/protocol";
import { Server, type Socket } from "socket.io";
import { Decoder } from "socket.io-parser";
import type { Principal, TokenVerifier } from "../auth/principal.ts";
import type { Config } from "../config.ts";
import { Connection } from "../fanout/connection.ts";
import type { Hub } from "../fanout/hub.ts";
import { openSubscription, refuse, refuseUngranted } from "../fanout/open.ts";
import { SocketWriter, type Writing } from "../fanout/socket-writer.ts";
import { Admission } from "./admission.ts";
import { originAllowed } from "./origin.ts";
import { RequestBudget } from "./rate.ts";
import { RawJsonEncoder } from "./raw-json.ts";
import { readEvents } from "./read.ts";
import { readRead, readSubscribe, readToken, readUnsubscribe } from "./requests.ts";
import { Session } from "./session.ts";

export interface RealtimeDeps {
  readonly settings: Config["realtime"];
  readonly hub: Hub;
  readonly writing: Writing;
  readonly tokens: TokenVerifier;
  /** False while the node may not answer for what clients are allowed to see. */
  inStep(): boolean;
  /** True from the moment that the node is to stop. */
  draining(): boolean;
  /** A handshake was refused since too many wait. */
  overloaded(): void;
  /** Something unexpected inside a request; no data of the client in it. */
  failed(error: unknown): void;
}

/** Largest frame a client may send, in bytes. */
const maxFrameBytes = 64 * 1024;
/** Requests of one connection: at once, and per second after. */
const requests = { burst: 250, perSecond: 20, waiting: 250 };

interface SocketData {
  principal: Principal;
}

export function serveSocketIo(http: HttpServer, deps: RealtimeDeps): Server {
  const { settings } = deps;
  const io = new Server<never, never, never, SocketData>(http, {
    serveClient: false,
    transports: [...settings.transports],
    maxHttpBufferSize: maxFrameBytes,
    perMessageDeflate: false,
    httpCompression: false,
    connectTimeout: 10_000,
    cors: { origin: settings.allowedOrigins.includes("*") ? "*" : [...settings.allowedOrigins] },
    parser: { Encoder: RawJsonEncoder, Decoder },
  });
  const places = guardUpgrades(http, deps);
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
    places.get(socket.request)?.();
    serve(socket, deps);
  });
  return io;
}

interface RefusedRequest {
  readonly status: number;
  readonly code: ErrorCode;
}

/** Refused before the connection exists: a stock client tries again. */
function refuseRequest(request: IncomingMessage, deps: RealtimeDeps): RefusedRequest | undefined {
  if (!originAllowed(request, deps.settings.allowedOrigins)) return { status: 403, code: "origin_refused" };
  if (deps.draining()) return { status: 503, code: "draining" };
  return deps.inStep() ? undefined : { status: 503, code: "unavailable" };
}

const refusalHeaders = { "Retry-After": "2", Connection: "close" };

/**
 * Engine.IO would answer a refused upgrade 400; so the refusal comes before it, and so does the wait for a turn. The
 * answer has, for each request whose handshake is under way, what gives its place to the next.
 */
function guardUpgrades(http: HttpServer, deps: RealtimeDeps): WeakMap<IncomingMessage, () => void> {
  const accept = http.listeners("upgrade");
  const admission = new Admission();
  const places = new WeakMap<IncomingMessage, () => void>();
  http.removeAllListeners("upgrade");
  http.once("close", () => admission.close());
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // whoever hangs up before its turn is of no interest
    const ignore = (): void => undefined;
    socket.on("error", ignore);
    const refusal = refuseRequest(request, deps);
    if (refusal !== undefined) return refuseUpgrade(socket, refusal);
    let giveUp = ignore;
    const hungUp = (): void => giveUp();
    socket.once("close", hungUp);
    giveUp = admission.enter({
      admitted(leave) {
        socket.off("close", hungUp);
        // it may have waited for long
        const late = refuseRequest(request, deps);
        if (late !== undefined) {
          leave();
          return refuseUpgrade(socket, late);
        }
        socket.off("error", ignore);
        socket.once("close", leave);
        places.set(request, () => {
          socket.off("close", leave);
          leave();
        });
        for (const listener of accept) listener.call(http, request, socket, head);
      },
      refused() {
        deps.overloaded();
        refuseUpgrade(socket, { status: 503, code: "overloaded" });
      },
    });
  });
  return places;
}

function refuseUpgrade(socket: Duplex, { status, code }: RefusedRequest): void {
  const headers = { ...refusalHeaders, "Content-Length": String(code.length) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${code}`);
}

async function welcome(
  socket: Socket<never, never, never, SocketData>,
  deps: RealtimeDeps,
): Promise<Error | "unavailable" | undefined> {
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

function serve(socket: Socket<never, never, never, SocketData>, deps: RealtimeDeps): void {
  const { principal } = socket.data;
  const writer = new SocketWriter(socket, deps.writing);
  const connection = new Connection(deps.hub, writer, principal, deps.settings.maxBufferedBytes);
  const session = new Session(principal, {
    expiring: (at) => writer.notice("relay.token_expiring", { expires_at: new Date(at).toISOString() }),
    expired: () => socket.disconnect(true),
  });
  socket.on("disconnect", () => {
    session.close();
    connection.close();
  });
  const answer = answering(socket, writer, deps);
  answer("subscribe", (payload, reply) => subscribe(connection, payload, deps, reply));
  answer("unsubscribe", (payload, reply) => {
    reply(unsubscribe(connection, payload, deps));
    return Promise.resolve();
  });
  answer("authenticate", async (payload, reply) =>
    reply(await authenticate(connection, session, payload, deps)),
  );
  answer("read", async (payload, reply) => {
    const read = readRead(payload, deps.settings.maxTopics);
    if (!read.ok) return reply(read);
    reply(refuseUngranted(connection, read.request.topics) ?? (await readEvents(deps.hub, read.request)));
  });
}

type Reply = (answer: unknown) => void;

/**
 * Requests of one connection are answered one after the other, in the order they came; a request without an
 * acknowledgement is carried out all the same. Whoever asks and does not read is answered no further until it does.
 */
function answering(
  socket: Socket<never, never, never, SocketData>,
  writer: SocketWriter,
  deps: RealtimeDeps,
): (name: string, handle: (payload: unknown, reply: Reply) => Promise<void>) => void {
  const budget = new RequestBudget(requests.burst, requests.perSecond, Date.now());
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  const isFull = (): boolean => socket.connected && writer.buffered() > deps.settings.maxBufferedBytes;
  const room = async (): Promise<void> => {
    while (isFull()) await new Promise<void>((resolve) => writer.whenDrained(resolve));
  };
  return (name, handle) => {
    const listener = (...args: unknown[]): void => {
      const acknowledge = args.at(-1);
      const reply: Reply = (answer) => {
        if (typeof acknowledge !== "function") return;
        // what came before the request was answered arrives before the answer
        writer.flush(performance.now());
        acknowledge(answer);
      };
      if (!budget.take(Date.now()) || waiting >= requests.waiting) {
        // refusals take room as well
        if (isFull()) return writer.cut();
        return reply(
          refuse("rate_limited", `at most ${requests.perSecond} requests a second on one connection`),
        );
      }
      waiting++;
      last = last
        .then(room)
        .then(() => (socket.connected ? handle(args[0], reply) : undefined))
        .catch((error: unknown) => {
          deps.failed(error);
          reply(refuse("unavailable", "the relay could not carry this out; try again"));
        })
        .finally(() => {
          waiting--;
        });
    };
    // the socket's event map is closed to typed names; these are the protocol's
    (socket as Socket).on(name, listener);
  };
}

async function subscribe(
  connection: Connection,
  payload: unknown,
  deps: RealtimeDeps,
  reply: Reply,
): Promise<void> {
  const read = readSubscribe(payload, deps.settings.maxTopics);
  if (!read.ok) return reply(read);
  const { request } = read;
  const more = request.topics.filter((topic) => connection.holder(topic) === undefined).length;
  if (connection.topicCount + more > deps.settings.maxTopics) {
    const { maxTopics } = deps.settings;
    return reply(
      refuse(
        "too_many_topics",
        `at most ${maxTopics} topics on one connection, ${connection.topicCount} held`,
      ),
    );
  }
  await openSubscription(connection, request, reply);
}

function unsubscribe(connection: Connection, payload: unknown, deps: RealtimeDeps): { ok: true } | Refusal {
  const read = readUnsubscribe(payload, deps.settings.maxTopics);
  if (!read.ok) return read;
  if (read.request.kind === "topics") connection.drop(read.request.topics);
  else connection.end(read.request.subscription);
  return { ok: true };
}

async function authenticate(
  connection: Connection,
  session: Session,
  payload: unknown,
  deps: RealtimeDeps,
): Promise<{ ok: true; expires_at: string; dropped: string[] } | Refusal> {
  const token = readToken(payload);
  if (token === undefined) return refuse("unauthenticated", "authenticate takes { token }");
  const verified = await deps.tokens.verify(token);
  if (!verified.ok) return refuse(verified.code, verified.message);
  if (verified.principal.subject !== connection.principal.subject) {
    return refuse("subject_changed", "the new token is of another sub; connect anew for another user");
  }
  session.renewed(verified.principal);
  const dropped = connection.renew(verified.principal);
  return { ok: true, expires_at: new Date(verified.principal.expiresAtMs).toISOString(), dropped };
}
