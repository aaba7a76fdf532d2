/** A real Socket.IO server that does what a test tells it. */
import { createServer, type Server as HttpServer } from "node:http";
import type {
  ConnectErrorData,
  Cursor,
  ErrorCode,
  EventMeta,
  HandshakeAuth,
  SharmoEvent,
  SubscribeRequest,
  SubscriptionId,
} from "@sharmo-relay/protocol";
import { Server, type Socket } from "socket.io";
import { vi } from "vitest";

export interface Asked {
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>>;
  reply(answer: object): void;
}

export const cursor = (sequence: number): Cursor => `epoch00000a-${sequence}` as Cursor;

export const refusal = (code: ErrorCode, details = {}): object => ({
  ok: false,
  error: { code, message: `it is ${code}`, details },
});

/** An unsigned token that ends in so many seconds. */
export function token(seconds: number, claims: object = {}): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1_000) + seconds;
  return `${part({ alg: "none" })}.${part({ ...claims, exp })}.`;
}

/** One connection, with all it asked. */
export class Peer {
  readonly socket: Socket;
  readonly auth: HandshakeAuth;
  readonly asked: Asked[] = [];
  #count = 0;

  constructor(socket: Socket, server: ScriptedServer) {
    this.socket = socket;
    this.auth = socket.handshake.auth as HandshakeAuth;
    socket.onAny((name: string, payload: Asked["payload"], reply: Asked["reply"]) => {
      const asked = { name, payload, reply };
      this.asked.push(asked);
      server.onAsked(asked, this);
    });
  }

  named(name: string): Asked[] {
    return this.asked.filter((asked) => asked.name === name);
  }

  /** What a relay with nothing stored answers. */
  answer({ name, payload, reply }: Asked, from = 0): void {
    if (name === "unsubscribe") return reply({ ok: true });
    if (name === "authenticate") return reply({ ok: true, expires_at: "2030-01-01T00:00:00Z", dropped: [] });
    if (name === "read") return reply({ ok: true, events: [] });
    const { topics, since, snapshot } = payload as unknown as SubscribeRequest;
    this.#count++;
    reply({
      ok: true,
      subscription: `s${this.#count}`,
      topics,
      cursor: since ?? cursor(from),
      state: snapshot === true ? "catching_up" : "live",
      recovered: true,
    });
    if (snapshot === true) {
      this.notice("relay.cursor", { subscription: this.last, cursor: cursor(from) });
      this.notice("relay.caught_up", { subscription: this.last, cursor: cursor(from) });
    }
  }

  /** The last subscription. */
  get last(): SubscriptionId {
    return `s${this.#count}` as SubscriptionId;
  }

  send(event: SharmoEvent, meta: Partial<EventMeta>): void {
    this.socket.emit(event.type, event, { at: 1_700_000_000_000, ...meta });
  }

  /** A live event. */
  live(event: SharmoEvent, sequence: number): void {
    this.send(event, { cursor: cursor(sequence) });
  }

  notice(name: string, payload: object): void {
    this.socket.emit(name, payload);
  }

  /** As a broken connection looks to the client. */
  cut(): void {
    this.socket.conn.close();
  }
}

export class ScriptedServer {
  readonly peers: Peer[] = [];
  /** Every handshake, also those refused. */
  readonly handshakes: HandshakeAuth[] = [];
  refuse: (auth: HandshakeAuth) => ConnectErrorData | undefined = () => undefined;
  onAsked: (asked: Asked, peer: Peer) => void = (asked, peer) => peer.answer(asked);
  #http: HttpServer | undefined;
  #io: Server | undefined;

  async start(port = 0, path = "/socket.io"): Promise<void> {
    const http = createServer();
    const io = new Server(http, { path, transports: ["websocket"], serveClient: false });
    io.use((socket, next) => {
      const auth = socket.handshake.auth as HandshakeAuth;
      this.handshakes.push(auth);
      const data = this.refuse(auth);
      next(data && Object.assign(new Error(data.message), { data }));
    });
    io.on("connection", (socket) => this.peers.push(new Peer(socket, this)));
    await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
    this.#http = http;
    this.#io = io;
  }

  get port(): number {
    const address = this.#http?.address();
    if (typeof address !== "object" || address === null) throw new Error("not started");
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The newest connection, once there are so many. */
  async peer(count = 1): Promise<Peer> {
    await vi.waitFor(
      () => {
        if (this.peers.length < count) throw new Error(`${this.peers.length} connections, not ${count}`);
      },
      { timeout: 5_000, interval: 5 },
    );
    const peer = this.peers[count - 1];
    if (peer === undefined) throw new Error("no such connection");
    return peer;
  }

  async stop(): Promise<void> {
    const io = this.#io;
    this.#io = undefined;
    if (io !== undefined) await io.close();
  }
}

export const price = (id: string, tokenId: string | number = "tok_1", currentPrice = 1): SharmoEvent => ({
  id,
  type: "token.price_changed",
  created_at: "2026-01-01T00:00:00Z",
  data: { token_id: tokenId, current_price: currentPrice },
});
