/** A client of the world under test: keeps what the protocol tells it to, and checks every promise as frames arrive. */
import {
  type Epoch,
  type Gap,
  matches,
  type Position,
  parseCursor,
  type SubscribeAck,
  type SubscriptionId,
  type Topic,
} from "@sharmo-relay/protocol";
import { expect } from "vitest";
import { Connection } from "../fanout/connection.ts";
import { openSubscription } from "../fanout/open.ts";
import { type Frame, principal, Recorder } from "../fanout/recorder.test-sink.ts";
import type { EventEntry } from "../log/event-log.ts";
import { type Ever, eventsOf } from "./world.test-log.ts";
import type { WorldNode } from "./world.test-node.ts";

/** What a client must know of the world to judge what it is told. */
export interface Witness {
  readonly ever: Ever;
  /** How often the log has failed over. */
  forks(): number;
  /** True if some node that is up knows, or knew, this epoch and could have told the log. */
  someNodeKnew(epoch: Epoch): boolean;
}

const frameBytes = 100;
const maxBuffered = 300;

/** Keeps with each notice the epoch in which the node wrote it. */
class DatedRecorder extends Recorder {
  readonly #epoch: () => Epoch;

  constructor(epoch: () => Epoch) {
    super(frameBytes);
    this.#epoch = epoch;
  }

  override notice(name: string, notice: object): void {
    super.notice(name, { ...notice, in: this.#epoch() });
  }
}

export class WorldClient {
  readonly topics: readonly Topic[];
  readonly #world: Witness;
  node: WorldNode | undefined;
  #connection: Connection | undefined;
  #recorder = new Recorder();
  /** It takes nothing from its socket. */
  stalls = false;
  cursor: string | undefined;
  /** The reasons of the gaps it was told, in order. */
  readonly gaps: string[] = [];
  readonly #handled = new Set<string>();
  /** The cursors of what it got, and of what came before its first subscription. */
  readonly #places = new Set<string>();
  readonly #told = new Set<string>();
  readonly #before = new Set<string>();
  /** What there was when it first subscribed, also what a failover had lost by then. */
  #older: ReadonlySet<string> = new Set();
  /** On this connection. */
  #handledHere = new Map<string, Set<string>>();
  #toldHere = new Set<string>();
  /** A promise that its subscription broke while it was opened. */
  #broken: unknown;
  #subscription: SubscriptionId | undefined;
  #tails = false;
  #last: Position | undefined;
  readonly #left = new Set<Epoch>();

  constructor(topics: readonly Topic[], world: Witness) {
    this.topics = topics;
    this.#world = world;
  }

  /** Connects, and subscribes from where it was; it is refused for as long as the node cannot tell. */
  connect(node: WorldNode): void {
    const { hub } = node;
    if (hub === undefined || this.node !== undefined) return;
    this.node = node;
    this.stalls = false;
    const recorder = new DatedRecorder(() => hub.node.epoch);
    const connection = new Connection(hub, recorder, principal, maxBuffered);
    this.#recorder = recorder;
    this.#connection = connection;
    this.#tails = false;
    this.#handledHere = new Map();
    this.#toldHere = new Set();
    const since = parseCursor(this.cursor);
    const request = { topics: this.topics, snapshot: false, conflate: false };
    openSubscription(connection, since === undefined ? request : { ...request, since }, (answer) => {
      if (this.#connection !== connection) return;
      if (answer.ok) return this.#acknowledged(answer, since, hub.node.epoch);
      expect(answer.error.code, `${this.cursor}: ${answer.error.message}`).toBe("unavailable");
      this.disconnect();
    }).catch((error: unknown) => {
      this.#broken = error;
    });
  }

  /** What it has not read is lost. */
  disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.node = undefined;
    this.#recorder = new Recorder();
  }

  /** True if it is told of everything that comes. */
  get tails(): boolean {
    const subscriptions = this.#connection?.subscriptions ?? [];
    return subscriptions.length > 0 && subscriptions.every(({ state }) => state.kind === "tailing");
  }

  tellCursor(): void {
    this.#connection?.tellCursor();
  }

  /** Takes what has been written since. */
  read(): void {
    if (this.#broken !== undefined) throw this.#broken;
    const recorder = this.#recorder;
    if (this.stalls || recorder.frames.length === 0) return;
    for (const frame of recorder.frames.splice(0)) {
      if (frame.kind === "event") this.#event(frame);
      else this.#notice(frame.name, frame.notice);
    }
    recorder.drain();
  }

  #knows(id: string): boolean {
    return this.#got(id) || this.#told.has(id);
  }

  /** It knows the event, or it need not: it came later. */
  missesNothingOf(id: string): boolean {
    return this.#knows(id) || this.#older.has(id);
  }

  wants(event: EventEntry): boolean {
    return this.topics.some((topic) => matches(topic, event));
  }

  #acknowledged(ack: SubscribeAck, since: Position | undefined, epoch: Epoch): void {
    this.#subscription = ack.subscription;
    this.#tails = ack.state === "live";
    const at = parseCursor(ack.cursor);
    if (since === undefined && at !== undefined) {
      for (const { id, sequence } of this.#world.ever.events(at.epoch, 0, at.sequence)) {
        this.#before.add(id);
        this.#places.add(this.#world.ever.cursor(at.epoch, sequence));
      }
      this.#older = new Set(this.#world.ever.ids());
    }
    if (ack.gap !== undefined) this.#gap(ack.gap, epoch);
    this.#moveTo(ack.cursor);
  }

  #event({ entry, cursor, to }: Extract<Frame, { kind: "event" }>): void {
    expect(to !== undefined || this.#tails, "a live frame for what does not tail").toBe(true);
    expect(to === undefined || to === this.#subscription).toBe(true);
    expect(this.wants(entry), `${entry.type} was not asked for`).toBe(true);
    expect(this.#toldHere.has(entry.id), `told that ${entry.id} is missing, then it came`).toBe(false);
    const at = parseCursor(cursor);
    if (at === undefined) throw new Error("an event without a cursor");
    const here = this.#handledHere.get(entry.id) ?? new Set();
    // one that the sender posted again after a failover has no earlier place
    expect(
      entry.was?.some((place) => here.has(place)) ?? false,
      `${entry.id} was sent again on one connection though the relay knew`,
    ).toBe(false);
    this.#handledHere.set(entry.id, here.add(`${cursor}`));
    this.#places.add(`${cursor}`);
    if (this.#handled.has(entry.id)) {
      expect(this.#world.forks(), `${entry.id} was sent twice without a fork`).toBeGreaterThan(0);
    } else this.#handle(entry.id, at);
    this.#moveTo(`${cursor}`);
  }

  #handle(id: string, at: Position): void {
    const last = this.#last;
    if (last?.epoch === at.epoch)
      expect(at.sequence, `order within ${at.epoch}`).toBeGreaterThan(last.sequence);
    else if (last !== undefined) this.#left.add(last.epoch);
    expect(this.#left.has(at.epoch), `${at.epoch}-${at.sequence} after that epoch was left`).toBe(false);
    this.#last = at;
    this.#handled.add(id);
  }

  #notice(name: string, notice: Record<string, unknown>): void {
    if (name === "relay.lagging") this.#tails = false;
    if (name === "relay.gap") this.#gap(notice, `${notice["in"]}` as Epoch);
    if (name === "relay.caught_up") this.#tails = true;
    if (name === "relay.caught_up" || name === "relay.cursor") this.#moveTo(String(notice["cursor"]));
  }

  #gap(gap: Partial<Gap>, epoch: Epoch): void {
    if (gap.reason !== undefined) this.gaps.push(gap.reason);
    const from = parseCursor(gap.from);
    const to = parseCursor(gap.to);
    if (from === undefined || to === undefined) throw new Error("a gap without ends");
    if (gap.reason === "unknown_cursor") {
      expect(this.#world.someNodeKnew(from.epoch), `${from.epoch} is known and was called unknown`).toBe(
        false,
      );
      // it begins anew, and nobody knows that it had left the epoch that a demoted master still goes on with
      this.#last = undefined;
      this.#left.clear();
    }
    const start = gap.reason === "unknown_cursor" ? 0 : from.sequence;
    const range = this.#world.ever.events(to.epoch, start, to.sequence);
    const certain = gap.reason === "retention";
    const gone = certain ? range : eventsOf(this.#world.ever, to.epoch, start, to.sequence);
    const named = this.topics.filter(({ name }) => gap.topics?.includes(name));
    const missing = gone.filter(
      (event) =>
        named.some((topic) => matches(topic, event)) &&
        (certain ? this.#lostToRetention(event, to, epoch) : !this.#got(event.id)),
    );
    if (certain)
      expect(missing.length, `a gap of which nothing is missing: ${gap.from} to ${gap.to}`).toBeGreaterThan(
        0,
      );
    // which events are lost nobody knows, nor what somebody has who comes back; but of this connection the relay knows
    if (gap.reason === "log_lost")
      expect(
        range.length > 0 &&
          range.every(({ id, sequence }) =>
            this.#handledHere.get(id)?.has(this.#world.ever.cursor(to.epoch, sequence)),
          ),
        `${gap.from} to ${gap.to} was called lost, and it was delivered on this connection`,
      ).toBe(false);
    for (const { id } of missing) {
      if (this.#got(id)) continue;
      this.#told.add(id);
      if (certain) this.#toldHere.add(id);
    }
  }

  /** True if it handled the event, or need not, since it came before its first subscription. */
  #got(id: string): boolean {
    return this.#handled.has(id) || this.#before.has(id);
  }

  /**
   * True if retention took the event from the log that the gap was judged by, running in `epoch`, and it was not got
   * in that very place. Of what was put back, or posted again by the sender, and then trimmed, nobody can tell who had
   * it in a place that died. A gap names types by their highest trimmed entry: only those at or below it are missing.
   */
  #lostToRetention(event: EventEntry, { epoch: to }: Position, epoch: Epoch): boolean {
    const { ever } = this.#world;
    return ever.wasTrimmed(epoch, event) && !this.#places.has(ever.cursor(to, event.sequence));
  }

  /** A cursor says: everything up to here was handled, told as missing, or came before the subscription. */
  #moveTo(cursor: string): void {
    this.cursor = cursor;
    const at = parseCursor(cursor);
    if (at === undefined) throw new Error(`not a cursor: ${cursor}`);
    for (const event of this.#world.ever.events(at.epoch, 0, at.sequence)) {
      if (!this.wants(event)) continue;
      expect(this.#knows(event.id), `holds ${cursor} but never got ${event.id} (${event.sequence})`).toBe(
        true,
      );
    }
  }
}
