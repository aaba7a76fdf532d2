/**
 * A stock `socket.io-client` that does what docs/protocol.md says, and no more: several subscriptions, a cursor each,
 * ids remembered for each, live frames only to those that are live.
 */
import { io, type Socket } from "socket.io-client";
import { type Client, type ClientOptions, Notes, Seat, tokenOf } from "./client.ts";
import type { DeliveredAs } from "./history.ts";
import { hashOf, type SeenEvent } from "./sender.ts";
import { keysOf, matches } from "./topics.ts";

interface Meta {
  readonly cursor?: string;
  readonly subscription?: string;
  readonly delivery?: string;
}

interface Gap {
  readonly subscription: string;
  readonly topics: readonly string[];
  readonly reason: string;
  readonly certain: boolean;
  readonly from: string;
  readonly to: string;
}

type Ack =
  | {
      readonly ok: true;
      readonly subscription: string;
      readonly cursor: string;
      readonly state: "live" | "catching_up";
      readonly gap?: Gap;
    }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

interface Notice {
  readonly cursor: string;
  readonly subscription?: string;
}

interface Subscribed {
  readonly topic: string;
  readonly snapshot: boolean;
  readonly notes: Notes;
  /** Ids that were handled: the last few thousand will do. */
  readonly seen: Set<string>;
  id: string | undefined;
  live: boolean;
  /** A snapshot is on its way: no cursor is worth keeping yet. */
  showing: boolean;
  cursor: string | undefined;
  over: boolean;
}

const remembered = 4_096;
const silenceMs = 12_000;
const passing = ["unavailable", "rate_limited", "token_expired"];

export class StockClient implements Client {
  readonly name: string;
  readonly seat: Seat;
  readonly followers: readonly Notes[];
  readonly #options: ClientOptions;
  readonly #subscriptions: readonly Subscribed[];
  #socket: Socket | undefined;
  #heard = 0;
  #watch: NodeJS.Timeout | undefined;

  private constructor(options: ClientOptions, seat: Seat) {
    this.name = options.name;
    this.seat = seat;
    this.#options = options;
    this.#subscriptions = options.subscriptions.map(({ topic, snapshot = false }) => ({
      topic,
      snapshot,
      notes: new Notes(options, [topic], "wire"),
      seen: new Set(),
      id: undefined,
      live: false,
      showing: false,
      cursor: undefined,
      over: false,
    }));
    this.followers = this.#subscriptions.map(({ notes }) => notes);
  }

  static async take(options: ClientOptions): Promise<StockClient> {
    return new StockClient(options, await Seat.take(options));
  }

  start(): void {
    const socket = io(this.seat.wire.url, {
      transports: ["websocket"],
      forceNew: true,
      auth: (give) => void tokenOf(this.#options.claims).then((token) => give({ token, protocol: 1 })),
      reconnectionDelay: 100,
      reconnectionDelayMax: 2_000,
      timeout: 5_000,
    });
    this.#socket = socket;
    const again = (): unknown => setTimeout(() => this.#socket === socket && socket.connect(), 200);
    socket.on("connect", () => {
      this.#heard = Date.now();
      for (const sub of this.#subscriptions) {
        sub.notes.add({ kind: "connected", at: Date.now(), node: this.seat.node });
        this.#subscribe(socket, sub);
      }
    });
    socket.on("disconnect", (reason) => {
      this.#forget(reason);
      if (reason === "io server disconnect") again();
    });
    socket.on("connect_error", (error: Error & { data?: { code: string; message: string } }) => {
      for (const { notes } of this.#subscriptions) {
        notes.add({ kind: "status", at: Date.now(), state: `connect_error: ${error.message}` });
      }
      if (socket.active || error.data === undefined) return;
      if (passing.includes(error.data.code)) again();
      else for (const sub of this.#subscriptions) this.#end(sub, error.data);
    });
    socket.on("relay.token_expiring", () => {
      void tokenOf(this.#options.claims).then((token) => socket.emit("authenticate", { token }));
    });
    socket.onAny((name: string, first: unknown, meta: unknown) => {
      if (this.#socket !== socket) return;
      this.#heard = Date.now();
      if (name.startsWith("relay.")) this.#notice(name, first as Notice & Gap);
      else this.#event(first as SeenEvent, meta as Meta);
    });
    // a relay says something every few seconds: one that does not is dead
    this.#watch = setInterval(() => {
      if (socket.connected && Date.now() - this.#heard > silenceMs) socket.io.engine.close();
    }, 1_000);
  }

  restart(node: number): void {
    this.close();
    this.#forget("the client ended");
    this.seat.node = node;
    for (const sub of this.#subscriptions) {
      sub.seen.clear();
      sub.notes.add({ kind: "restarted", at: Date.now(), cursor: sub.cursor });
    }
    this.start();
  }

  close(): void {
    clearInterval(this.#watch);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.disconnect();
  }

  #subscribe(socket: Socket, sub: Subscribed): void {
    if (!socket.connected || sub.over) return;
    const { topic, cursor } = sub;
    sub.showing = sub.snapshot && cursor === undefined;
    const request = {
      topics: [topic],
      ...(sub.showing ? { snapshot: true } : {}),
      ...(cursor === undefined ? {} : { since: cursor }),
    };
    const { id } = socket;
    socket.emit("subscribe", request, (ack: Ack) => {
      if (this.#socket !== socket || socket.id !== id) return;
      if (!ack.ok) {
        if (!passing.includes(ack.error.code)) return this.#end(sub, ack.error);
        setTimeout(() => socket.id === id && this.#subscribe(socket, sub), 300 + Math.random() * 1_000);
        return;
      }
      sub.id = ack.subscription;
      sub.live = ack.state === "live";
      if (ack.gap !== undefined) this.#gap(sub, ack.gap);
      if (sub.showing) return;
      if (cursor === undefined) sub.notes.add({ kind: "began", at: Date.now(), cursor: ack.cursor });
      sub.cursor = ack.cursor;
    });
  }

  #event(event: SeenEvent, meta: Meta): void {
    const keys = keysOf(event.type, event.data);
    let taken = false;
    for (const sub of this.#subscriptions) {
      if (meta.subscription === undefined ? !sub.live : sub.id !== meta.subscription) continue;
      if (meta.subscription !== undefined || matches(sub.topic, { type: event.type, keys })) {
        taken = true;
        this.#take(sub, event, meta);
      }
      if (meta.cursor !== undefined && !sub.showing) sub.cursor = meta.cursor;
    }
    // nobody asked for it: it is written down where the ledger will see that
    const [first] = this.#subscriptions;
    if (!taken && first !== undefined) this.#take(first, event, meta);
  }

  #take({ notes, seen }: Subscribed, event: SeenEvent, { cursor, delivery = "live" }: Meta): void {
    const { id } = event;
    const handled = !seen.has(id);
    seen.add(id);
    for (const oldest of seen) {
      if (seen.size <= remembered) break;
      seen.delete(oldest);
    }
    const as = delivery as DeliveredAs;
    notes.add({ kind: "event", at: Date.now(), id, cursor, as, eventHash: hashOf(event), handled });
  }

  #notice(name: string, notice: Notice & Gap): void {
    const { subscription, cursor } = notice;
    if (subscription === undefined) {
      if (name === "relay.cursor") this.#completeUpTo(cursor);
      return;
    }
    const sub = this.#subscriptions.find(({ id }) => id === subscription);
    if (sub === undefined) return;
    switch (name) {
      case "relay.gap":
        return this.#gap(sub, notice);
      case "relay.cursor":
        if (sub.showing) sub.notes.add({ kind: "began", at: Date.now(), cursor });
        sub.showing = false;
        break;
      case "relay.lagging":
        sub.live = false;
        break;
      case "relay.caught_up":
        sub.live = true;
        break;
    }
    if (!sub.showing) sub.cursor = cursor;
  }

  /** For everything on the connection: the least of several says little of one that is behind. */
  #completeUpTo(cursor: string): void {
    const answered = this.#subscriptions.every(
      ({ id, over, showing }) => (id !== undefined || over) && !showing,
    );
    const alone = this.#subscriptions.length === 1;
    if (!answered || !(alone || this.#subscriptions.every(({ live }) => live))) return;
    for (const sub of this.#subscriptions) sub.cursor = cursor;
  }

  #gap({ notes }: Subscribed, { reason, certain, topics, from, to }: Gap): void {
    notes.add({ kind: "gap", at: Date.now(), reason, certain, topics, from, to });
  }

  #end(sub: Subscribed, { code, message }: { readonly code: string; readonly message: string }): void {
    sub.over = true;
    sub.notes.add({ kind: "ended", at: Date.now(), code, message });
  }

  /** Ids of subscriptions mean nothing on the next connection. */
  #forget(why: string): void {
    for (const sub of this.#subscriptions) {
      sub.id = undefined;
      sub.live = false;
      sub.notes.add({ kind: "lost", at: Date.now(), why });
    }
  }
}
