/** From an event to those who get it: rooms by topic, one shared frame, one copy for each connection. */
import { type Cursor, roomsOf, type Sequence, type Topic } from "@sharmo-relay/protocol";
import type { Principal } from "../auth/principal.ts";
import type { Entry, EventEntry, LostEntry } from "../log/event-log.ts";
import { cursorIn } from "../log/lineage.ts";
import type { Fork } from "../tail/tail.ts";
import { Copies } from "./copies.ts";
import { type Frame, liveFrame } from "./frames.ts";
import type { Gathering } from "./gathering.ts";
import type { FanoutNode, FanoutObserver } from "./node.ts";
import type { Sink } from "./sink.ts";
import type { State, Subscription } from "./subscription.ts";

/** A connection as the hub needs it. */
export interface Member {
  readonly sink: Sink;
  readonly principal: Principal;
  readonly subscriptions: readonly Subscription[];
  /** False if it is not sent: the client cannot take it now and will catch up, or had it before a failover. */
  live(frame: Frame): boolean;
  /** The last event that reached it, as the hub counts them. */
  reached: number;
  /** Tells what tails, unless it has them, that events are lost. */
  lost(entry: LostEntry): void;
  /** What tails stops tailing at this position and catches up. */
  fallBehind(position: Sequence): void;
  forked(fork: Fork): void;
  tellCursor(): void;
  /** Goes on with whatever is not tailing. */
  pump(): void;
}

/** How often every connection is told how far it is, in milliseconds; the promise is 5 s. */
const cursorEveryMs = 4_000;

export class Hub {
  readonly node: FanoutNode;
  readonly observe: FanoutObserver;
  readonly copies: Copies = new Copies();
  readonly #gathering: Gathering;
  readonly #rooms = new Map<string, Set<Member>>();
  readonly #connections = new Set<Member>();
  readonly #waiting = new Set<Member>();
  readonly #timer: NodeJS.Timeout;

  #events = 0;

  constructor(node: FanoutNode, observe: FanoutObserver, gathering: Gathering) {
    this.node = node;
    this.observe = observe;
    this.#gathering = gathering;
    this.#timer = setInterval(() => {
      this.#tellCursors();
      this.copies.rest();
    }, cursorEveryMs);
  }

  get connections(): ReadonlySet<Member> {
    return this.#connections;
  }

  /** Subscriptions of all connections, by what they are doing. */
  countStates(): Record<State["kind"], number> {
    const counts = { snapshot: 0, catching_up: 0, tailing: 0 };
    for (const connection of this.#connections) {
      for (const { state } of connection.subscriptions) counts[state.kind]++;
    }
    return counts;
  }

  add(connection: Member): void {
    this.#connections.add(connection);
    this.observe.connections(1);
  }

  remove(connection: Member): void {
    this.#waiting.delete(connection);
    if (this.#connections.delete(connection)) this.observe.connections(-1);
  }

  join(connection: Member, topics: readonly Topic[]): void {
    for (const { name } of topics) {
      let room = this.#rooms.get(name);
      if (room === undefined) {
        room = new Set();
        this.#rooms.set(name, room);
      }
      room.add(connection);
    }
  }

  leave(connection: Member, topics: readonly Topic[]): void {
    for (const { name } of topics) {
      const room = this.#rooms.get(name);
      if (room?.delete(connection) && room.size === 0) this.#rooms.delete(name);
    }
  }

  /** Some subscription of the connection is ahead of this node; it is looked at again with each entry. */
  awaitNode(connection: Member): void {
    this.#waiting.add(connection);
    this.node.compare();
  }

  /** The node has applied an entry: its position already includes it. */
  applied(entry: Entry): void {
    if (entry.kind === "event") this.#fanOut(entry);
    if (entry.kind === "lost") for (const connection of this.#connections) connection.lost(entry);
    if (this.#waiting.size > 0) this.#wake();
  }

  #fanOut(entry: EventEntry): void {
    const rooms = this.#roomsFor(entry);
    if (rooms.length === 0) return;
    this.#gathering.begin();
    this.#events++;
    const frame = liveFrame(entry, this.cursorAt(entry.sequence));
    let count = 0;
    // one that falls behind leaves its rooms while they are walked, which a Set allows; none joins one meanwhile
    for (const room of rooms) {
      for (const connection of room) {
        if (connection.reached === this.#events) continue;
        connection.reached = this.#events;
        if (connection.live(frame)) count++;
      }
    }
    this.observe.delivered(count, "live");
  }

  forked(fork: Fork): void {
    this.copies.forget();
    for (const connection of this.#connections) connection.forked(fork);
    this.#wake();
  }

  /** Entries after `from` were trimmed unread; everyone catches up from there. */
  restarted(from: Sequence): void {
    for (const connection of this.#connections) connection.fallBehind(from);
  }

  /** The node is in step (again): what waited for it or for the log goes on. */
  ready(): void {
    for (const connection of this.#connections) connection.pump();
  }

  cursorAt(sequence: Sequence): Cursor {
    return cursorIn(this.node.history, sequence);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #roomsFor(entry: EventEntry): ReadonlySet<Member>[] {
    const found: ReadonlySet<Member>[] = [];
    for (const name of roomsOf(entry)) {
      const room = this.#rooms.get(name);
      if (room !== undefined) found.push(room);
    }
    return found;
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const connection of waiting) connection.pump();
  }

  #tellCursors(): void {
    for (const connection of this.#connections) connection.tellCursor();
  }
}
