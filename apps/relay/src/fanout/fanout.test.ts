import {
  type Epoch,
  matches,
  type Position,
  parseCursor,
  type SubscribeAck,
  type SubscriptionId,
} from "@sharmo-relay/protocol";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Connection } from "./connection.ts";
import { Gathering } from "./gathering.ts";
import { Hub } from "./hub.ts";
import { ModelNode } from "./model.test-node.ts";
import { openSubscription } from "./open.ts";
import { type Frame, principal, Recorder, silent, topic } from "./recorder.test-sink.ts";

/** A client that keeps what the protocol tells it to, and checks every promise as frames arrive. */
class Client {
  readonly topics = [topic("token.price_changed"), topic("token.created")];
  readonly node: ModelNode;
  readonly hub: Hub;
  recorder = new Recorder();
  connection: Connection;
  cursor: string | undefined;
  subscription: SubscriptionId | undefined;
  readonly handled = new Set<string>();
  /** On this connection: the relay knows it and sends nothing again, whatever fails over. */
  handledHere = new Set<string>();
  readonly told = new Set<string>();
  readonly before = new Set<string>();
  /** Told missing on this connection: must not arrive on it. */
  toldHere = new Set<string>();
  #last: Position | undefined;
  #tails = false;
  forks = 0;

  constructor(node: ModelNode, hub: Hub) {
    this.node = node;
    this.hub = hub;
    this.connection = new Connection(hub, this.recorder, principal, 1_000);
  }

  async subscribe(): Promise<void> {
    const since = parseCursor(this.cursor);
    let ack: SubscribeAck | undefined;
    const opened = openSubscription(
      this.connection,
      { topics: this.topics, snapshot: false, conflate: false, ...(since === undefined ? {} : { since }) },
      (answer) => {
        if (!answer.ok) return;
        ack = answer;
        this.#acknowledged(answer);
      },
    );
    for (let turn = 0; turn < 20; turn++) {
      await Promise.resolve();
      if (this.node.pagesAsked > 0) await this.node.answerPage();
    }
    await opened;
    this.read();
    if (ack === undefined) throw new Error("the subscription was not answered");
  }

  #acknowledged(ack: SubscribeAck): void {
    this.subscription = ack.subscription;
    this.#tails = ack.state === "live";
    this.toldHere = new Set();
    this.handledHere = new Set();
    if (this.cursor === undefined) {
      const at = parseCursor(ack.cursor);
      for (let s = 1; s <= (at?.sequence ?? 0); s++) {
        const entry = at === undefined ? undefined : this.node.everAt(at.epoch, s);
        if (entry !== undefined) this.before.add(entry.id);
      }
    }
    if (ack.gap !== undefined) this.#gap({ ...ack.gap });
    this.#moveTo(ack.cursor);
  }

  get online(): boolean {
    return !this.connection.closed;
  }

  goOffline(): void {
    this.connection.close();
    this.recorder = new Recorder();
    this.#tails = false;
  }

  /** While away it was served by another node, which is not behind the log. */
  wasElsewhere(): void {
    const at = { epoch: this.node.epoch, sequence: this.node.entries.length };
    const cursor = parseCursor(this.cursor);
    const from = cursor === undefined ? undefined : this.node.placeNow(cursor);
    if (from?.kind !== "at") return;
    for (let s = from.sequence + 1; s <= at.sequence; s++) {
      const entry = this.node.entries[s - 1];
      if (entry?.kind === "lost") this.#lost(entry.lost.epoch, entry.lost.from, entry.lost.to);
      if (entry?.kind !== "event" || !this.topics.some((t) => matches(t, entry))) continue;
      if (entry.sequence <= (this.node.trimmed.get(entry.type) ?? 0)) this.told.add(entry.id);
      else if (!this.before.has(entry.id)) this.handled.add(entry.id);
    }
    this.#last = at;
    this.#moveTo(`${at.epoch}-${at.sequence}`);
  }

  #lost(epoch: Epoch, from: number, to: number): void {
    for (let s = from + 1; s <= to; s++) {
      const entry = this.node.everAt(epoch, s);
      if (entry !== undefined && !this.handled.has(entry.id)) this.told.add(entry.id);
    }
  }

  async comeBack(): Promise<void> {
    this.connection = new Connection(this.hub, this.recorder, principal, 1_000);
    await this.subscribe();
  }

  /** Takes what has been written since. */
  read(): void {
    for (const frame of this.recorder.frames.splice(0)) {
      if (frame.kind === "event") this.#event(frame);
      else this.#notice(frame.name, frame.notice);
    }
  }

  #event(frame: Extract<Frame, { kind: "event" }>): void {
    const { entry, cursor } = frame;
    expect(frame.to !== undefined || this.#tails, "a live frame for a subscription that does not tail").toBe(
      true,
    );
    expect(frame.to === undefined || frame.to === this.subscription).toBe(true);
    expect(this.topics.some((t) => matches(t, entry))).toBe(true);
    expect(this.toldHere.has(entry.id), `told that ${entry.id} is missing, then it came`).toBe(false);
    const at = parseCursor(cursor);
    if (at === undefined) throw new Error("an event without a cursor");
    expect(this.handledHere.has(entry.id), `${entry.id} was sent twice on one connection`).toBe(false);
    this.handledHere.add(entry.id);
    if (this.handled.has(entry.id)) {
      expect(this.forks, `${entry.id} was sent twice without a fork`).toBeGreaterThan(0);
    } else {
      if (this.#last?.epoch === at.epoch) {
        expect(at.sequence, `${cursor} after ${this.#last.epoch}-${this.#last.sequence}`).toBeGreaterThan(
          this.#last.sequence,
        );
      }
      this.handled.add(entry.id);
      this.#last = at;
    }
    this.#moveTo(`${cursor}`);
  }

  #notice(name: string, notice: Record<string, unknown>): void {
    if (name === "relay.lagging") this.#tails = false;
    if (name === "relay.gap") this.#gap(notice);
    if (name === "relay.caught_up") {
      this.#tails = true;
      this.#moveTo(String(notice["cursor"]));
    }
    if (name === "relay.cursor") this.#moveTo(String(notice["cursor"]));
  }

  #gap(gap: Record<string, unknown>): void {
    const from = parseCursor(gap["from"]);
    const to = parseCursor(gap["to"]);
    if (from === undefined || to === undefined) throw new Error("a gap without ends");
    let missing = 0;
    const topics = this.topics.filter((t) => (gap["topics"] as string[]).includes(t.name));
    // where an unknown cursor lies on this log nobody can tell: everything up to the end may be missing
    const start = gap["reason"] === "unknown_cursor" ? 0 : from.sequence;
    for (let s = start + 1; s <= to.sequence; s++) {
      const entry = this.node.everAt(to.epoch, s);
      if (entry === undefined || !topics.some((t) => matches(t, entry))) continue;
      // a gap names types by their highest trimmed entry: only those at or below it are missing
      if (gap["reason"] === "retention" && entry.sequence > (this.node.trimmed.get(entry.type) ?? 0))
        continue;
      // of what was put back and then trimmed nobody can tell who had it before
      if (entry.was !== undefined) missing++;
      if (!this.handled.has(entry.id) && !this.before.has(entry.id)) {
        missing++;
        this.told.add(entry.id);
        this.toldHere.add(entry.id);
      }
    }
    // nor does it pass what is named as lost before the place where it begins
    if (gap["reason"] === "unknown_cursor")
      for (const entry of this.node.entries.slice(0, to.sequence))
        if (entry.kind === "lost") this.#lost(entry.lost.epoch, entry.lost.from, entry.lost.to);
    if (gap["reason"] === "retention")
      expect(missing, "a gap of which nothing is missing").toBeGreaterThan(0);
  }

  /** A cursor says: everything up to here was handled, told as missing, or came before the subscription. */
  #moveTo(cursor: string): void {
    this.cursor = cursor;
    const at = parseCursor(cursor);
    if (at === undefined) throw new Error(`not a cursor: ${cursor}`);
    for (let s = 1; s <= at.sequence; s++) {
      const entry = this.node.everAt(at.epoch, s);
      if (entry === undefined || !this.topics.some((t) => matches(t, entry))) continue;
      const known = this.handled.has(entry.id) || this.told.has(entry.id) || this.before.has(entry.id);
      expect(known, `holds ${cursor} but never got ${entry.id} (${entry.type} ${s})`).toBe(true);
    }
  }
}

const hubs: Hub[] = [];
afterEach(() => {
  for (const hub of hubs.splice(0)) hub.close();
  vi.useRealTimers();
});

function setUp(): { node: ModelNode; hub: Hub; client: Client } {
  const node = new ModelNode();
  const hub = new Hub(node, silent, new Gathering(0));
  node.hub = hub;
  hubs.push(hub);
  return { node, hub, client: new Client(node, hub) };
}

const types = ["token.price_changed", "token.created", "user.registered"];

/** Lets everything go on that needs no new event. */
async function settle(node: ModelNode, client: Client): Promise<void> {
  client.recorder.drain();
  for (let round = 0; round < 500; round++) {
    client.read();
    const tails = client.connection.subscriptions.every((s) => s.state.kind === "tailing");
    if (tails && node.position === node.entries.length) break;
    node.applyNext();
    await vi.advanceTimersByTimeAsync(2_000);
    await node.answerPage();
    client.read();
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("append" as const), type: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("apply" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("answer a page" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("shrink memory" as const), by: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("trim" as const), type: fc.nat(2), count: fc.nat(3) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("stall" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drain" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("go offline" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("come back" as const), elsewhere: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("tell cursors" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("jump" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("fail over" as const),
      lost: fc.nat(3),
      recorded: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("put back" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const) }) },
);

describe("a subscription on a node", () => {
  it("delivers each event once and in order or names it in a gap, and its cursor never claims more", {
    timeout: 60_000,
  }, async () => {
    vi.useFakeTimers();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 200, size: "max" }), async (steps) => {
        const { node, hub, client } = setUp();
        await client.subscribe();
        for (const s of steps) {
          if (s.do === "append") node.append(types[s.type] ?? "token.created", "tok_1");
          else if (s.do === "apply") node.applyNext();
          else if (s.do === "answer a page") await node.answerPage();
          else if (s.do === "shrink memory") node.shrinkMemory(s.by);
          else if (s.do === "trim") node.trim(types[s.type] ?? "token.created", s.count);
          else if (s.do === "stall") client.recorder.stalled = true;
          else if (s.do === "drain") client.recorder.drain();
          else if (s.do === "go offline") client.goOffline();
          else if (s.do === "come back") {
            if (client.online) continue;
            if (s.elsewhere) client.wasElsewhere();
            await client.comeBack();
          } else if (s.do === "tell cursors") client.connection.tellCursor();
          else if (s.do === "jump") node.jump();
          else if (s.do === "put back") node.putBack();
          else if (s.do === "lose") node.lose();
          else {
            client.forks++;
            node.failOver(s.lost, s.recorded);
          }
          await vi.advanceTimersByTimeAsync(0);
          client.read();
        }
        if (!client.online) await client.comeBack();
        while (node.gone.length > 0) node.putBack();
        node.nameAgain();
        await settle(node, client);
        for (const entry of node.ever.values()) {
          if (!client.topics.some((t) => matches(t, entry))) continue;
          const known =
            client.handled.has(entry.id) || client.told.has(entry.id) || client.before.has(entry.id);
          expect(known, `${entry.id} never arrived`).toBe(true);
        }
        expect(client.connection.subscriptions.map((s) => s.state.kind)).toEqual(["tailing"]);
        client.connection.close();
        hub.close();
      }),
      { numRuns: 600 },
    );
  });

  it("shows the snapshot, ends it with its cursor, and goes on from exactly there", async () => {
    const { node, client } = setUp();
    for (let i = 0; i < 300; i++) {
      node.append("token.price_changed", `tok_${i % 200}`);
      node.applyNext();
    }
    const request = { topics: client.topics, snapshot: true, conflate: false };
    await openSubscription(client.connection, request, (answer) =>
      expect(answer).toMatchObject({ ok: true, cursor: "epoch0aaaaaa-300", state: "catching_up" }),
    );
    const shown = client.recorder.frames.filter((f) => f.kind === "event");
    expect(shown).toHaveLength(200);
    expect(shown.every((f) => f.delivery === "snapshot" && f.cursor === undefined)).toBe(true);
    const notices = client.recorder.frames.filter((f) => f.kind === "notice").map((f) => f.name);
    expect(notices).toEqual(["relay.cursor", "relay.caught_up"]);
    node.append("token.price_changed", "tok_1");
    node.applyNext();
    expect(client.recorder.frames.at(-1)).toMatchObject({ kind: "event", cursor: "epoch0aaaaaa-301" });
  });

  it("sends one copy however many of a socket's topics match", async () => {
    const { node, client } = setUp();
    for (const names of [["*"], ["token.*"], ["token.created", "token.created?token_id=tok_1"]]) {
      const request = { topics: names.map(topic), snapshot: false, conflate: false };
      await openSubscription(client.connection, request, () => undefined);
    }
    node.append("token.created", "tok_1");
    node.applyNext();
    expect(client.recorder.frames.filter((f) => f.kind === "event")).toHaveLength(1);
  });

  it("reaches every socket of every room of the event, each once", async () => {
    const { node, hub } = setUp();
    const rooms = ["token.created", "token.*", "*", "token.created?token_id=tok_1", "*?token_id=tok_1"];
    const recorders: Recorder[] = [];
    for (const names of [
      ...rooms.map((name) => [name]),
      rooms,
      ["token.created?token_id=tok_2"],
      ["user.*"],
    ]) {
      const recorder = new Recorder();
      const connection = new Connection(hub, recorder, principal, 1_000);
      await openSubscription(
        connection,
        { topics: names.map(topic), snapshot: false, conflate: false },
        () => undefined,
      );
      recorders.push(recorder);
    }
    node.append("token.created", "tok_1");
    node.applyNext();
    expect(recorders.map(({ frames }) => frames.length)).toEqual([1, 1, 1, 1, 1, 1, 0, 0]);
  });

  it("refuses by name what is not wholly granted, and all of the call with it", async () => {
    const { hub } = setUp();
    const grants = { events: [topic("token.*")], read: false, admin: false };
    const connection = new Connection(hub, new Recorder(), { ...principal, grants }, 1_000);
    const request = { topics: [topic("token.created"), topic("*")], snapshot: false, conflate: false };
    await openSubscription(connection, request, (answer) =>
      expect(answer).toMatchObject({ ok: false, error: { code: "forbidden", details: { topics: ["*"] } } }),
    );
    expect(connection.subscriptions).toEqual([]);
  });

  it("drops at once what a renewed token does not grant any more", async () => {
    const { node, client } = setUp();
    await client.subscribe();
    const grants = { events: [topic("token.created")], read: false, admin: false };
    expect(client.connection.renew({ ...principal, grants })).toEqual(["token.price_changed"]);
    node.append("token.price_changed", "tok_1");
    node.applyNext();
    node.append("token.created", "tok_1");
    node.applyNext();
    const got = client.recorder.frames.filter((f) => f.kind === "event").map((f) => f.entry.type);
    expect(got).toEqual(["token.created"]);
  });
});
