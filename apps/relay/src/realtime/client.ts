/**
 * One client over Socket.IO: its requests are answered one after the other, in the order they came; a request without
 * an acknowledgement is carried out all the same. Whoever asks and does not read is answered no further until it does.
 */
import type { Refusal } from "@sharmo-relay/protocol";
import type { Socket } from "socket.io";
import type { Principal, TokenVerifier } from "../auth/principal.ts";
import type { Config } from "../config.ts";
import { Connection } from "../fanout/connection.ts";
import type { Hub } from "../fanout/hub.ts";
import { openSubscription, refuse, refuseUngranted } from "../fanout/open.ts";
import { SocketWriter, type Writing } from "../fanout/socket-writer.ts";
import { RequestBudget } from "./rate.ts";
import { readEvents } from "./read.ts";
import { readRead, readSubscribe, readToken, readUnsubscribe } from "./requests.ts";
import { Session, type SessionEvents } from "./session.ts";

export interface ClientDeps {
  readonly settings: Config["realtime"];
  readonly hub: Hub;
  readonly writing: Writing;
  readonly tokens: TokenVerifier;
  /** Something unexpected inside a request; no data of the client in it. */
  failed(error: unknown): void;
}

export interface SocketData {
  principal: Principal;
}

export type ClientSocket = Socket<never, never, never, SocketData>;

type Reply = (answer: unknown) => void;
type Handle = (client: Client, payload: unknown, reply: Reply) => Promise<void> | void;

interface Request {
  readonly handle: Handle;
  readonly payload: unknown;
  readonly reply: Reply;
}

/** Requests of one connection: at once, and per second after. */
const requests = { burst: 250, perSecond: 20, waiting: 250 };

const handlers: ReadonlyMap<string, Handle> = new Map<string, Handle>([
  ["subscribe", (client, payload, reply) => client.subscribe(payload, reply)],
  ["unsubscribe", (client, payload, reply) => reply(client.unsubscribe(payload))],
  ["authenticate", async (client, payload, reply) => reply(await client.authenticate(payload))],
  ["read", async (client, payload, reply) => reply(await client.read(payload))],
]);

export class Client implements SessionEvents {
  readonly #socket: ClientSocket;
  readonly #deps: ClientDeps;
  readonly #writer: SocketWriter;
  readonly #connection: Connection;
  readonly #session: Session;
  readonly #budget: RequestBudget;
  /** Those behind the one that is being carried out; undefined if none is. */
  #behind: Request[] | undefined;

  constructor(socket: ClientSocket, deps: ClientDeps) {
    const { principal } = socket.data;
    this.#socket = socket;
    this.#deps = deps;
    this.#writer = new SocketWriter(socket, deps.writing);
    this.#connection = new Connection(deps.hub, this.#writer, principal, deps.settings.maxBufferedBytes);
    this.#session = new Session(principal, this);
    this.#budget = new RequestBudget(requests, Date.now());
    socket.on("disconnect", () => this.#close());
    // one listener for all requests, since each costs memory on every connection
    socket.onAny((name: string, ...args: unknown[]) => this.#ask(name, args));
  }

  expiring(at: number): void {
    this.#writer.notice("relay.token_expiring", { expires_at: new Date(at).toISOString() });
  }

  expired(): void {
    this.#socket.disconnect(true);
  }

  async subscribe(payload: unknown, reply: Reply): Promise<void> {
    const { maxTopics } = this.#deps.settings;
    const read = readSubscribe(payload, maxTopics);
    if (!read.ok) return reply(read);
    const { request } = read;
    const connection = this.#connection;
    const more = request.topics.filter((topic) => connection.holder(topic) === undefined).length;
    if (connection.topicCount + more > maxTopics) {
      return reply(
        refuse(
          "too_many_topics",
          `at most ${maxTopics} topics on one connection, ${connection.topicCount} held`,
        ),
      );
    }
    await openSubscription(connection, request, reply);
  }

  unsubscribe(payload: unknown): { ok: true } | Refusal {
    const read = readUnsubscribe(payload, this.#deps.settings.maxTopics);
    if (!read.ok) return read;
    if (read.request.kind === "topics") this.#connection.drop(read.request.topics);
    else this.#connection.end(read.request.subscription);
    return { ok: true };
  }

  async authenticate(
    payload: unknown,
  ): Promise<{ ok: true; expires_at: string; dropped: string[] } | Refusal> {
    const token = readToken(payload);
    if (token === undefined) return refuse("unauthenticated", "authenticate takes { token }");
    const verified = await this.#deps.tokens.verify(token);
    if (!verified.ok) return refuse(verified.code, verified.message);
    if (verified.principal.subject !== this.#connection.principal.subject) {
      return refuse("subject_changed", "the new token is of another sub; connect anew for another user");
    }
    this.#session.renewed(verified.principal);
    const dropped = this.#connection.renew(verified.principal);
    return { ok: true, expires_at: new Date(verified.principal.expiresAtMs).toISOString(), dropped };
  }

  async read(payload: unknown): Promise<unknown> {
    const read = readRead(payload, this.#deps.settings.maxTopics);
    if (!read.ok) return read;
    return refuseUngranted(this.#connection, read.request.topics) ?? readEvents(this.#deps.hub, read.request);
  }

  #ask(name: string, args: readonly unknown[]): void {
    const handle = handlers.get(name);
    if (handle === undefined) return;
    const acknowledge = args.at(-1);
    const reply: Reply = (answer) => {
      if (typeof acknowledge !== "function") return;
      // what came before the request was answered arrives before the answer
      this.#writer.flush(performance.now());
      acknowledge(answer);
    };
    if (!this.#budget.take(Date.now()) || (this.#behind?.length ?? -1) + 1 >= requests.waiting) {
      // refusals take room as well
      if (this.#isFull()) return this.#writer.cut();
      return reply(
        refuse("rate_limited", `at most ${requests.perSecond} requests a second on one connection`),
      );
    }
    const request = { handle, payload: args[0], reply };
    if (this.#behind === undefined) void this.#carryOut(request);
    else this.#behind.push(request);
  }

  /** This one, and all that come meanwhile. Never rejects. */
  async #carryOut(first: Request): Promise<void> {
    const behind: Request[] = [];
    this.#behind = behind;
    for (let next: Request | undefined = first; next !== undefined; next = behind.shift()) {
      const { handle, payload, reply } = next;
      try {
        while (this.#isFull()) await new Promise<void>((resolve) => this.#writer.whenDrained(resolve));
        if (this.#socket.connected) await handle(this, payload, reply);
      } catch (error) {
        this.#deps.failed(error);
        reply(refuse("unavailable", "the relay could not carry this out; try again"));
      }
    }
    this.#behind = undefined;
  }

  #isFull(): boolean {
    return this.#socket.connected && this.#writer.buffered() > this.#deps.settings.maxBufferedBytes;
  }

  #close(): void {
    this.#session.close();
    this.#connection.close();
  }
}
