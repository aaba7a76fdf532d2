/**
 * Opens a subscription: checks what is asked against what is granted, finds the place to start, and judges what is
 * missing before it. Answers with what to tell the client; nothing is joined or sent yet.
 */
import {
  allows,
  formatCursor,
  type Gap,
  type GapReason,
  type Position,
  parseTopic,
  type Refusal,
  type Sequence,
  type SubscribeAck,
  type Topic,
  type WireError,
} from "@sharmo-relay/protocol";
import type { LogRange } from "../log/event-log.ts";
import type { Placed } from "../tail/place.ts";
import type { Connection } from "./connection.ts";
import { gapOf, type MissingPart, missingIn, withTold } from "./gaps.ts";
import type { FanoutNode } from "./node.ts";
import { catchingUp, positionOf, type State, type Subscription } from "./subscription.ts";

export interface OpenRequest {
  readonly topics: readonly Topic[];
  readonly since?: Position;
  readonly snapshot: boolean;
  readonly conflate: boolean;
}

/** What was read of lists of topics: many clients ask for the same, and a connection keeps it while it stands. */
const kept = new Map<string, readonly Topic[]>();
const mostKept = 1_000;
const longestKept = 512;

/** No topic has a space in it, so with its length no two lists have the same name; undefined where none is kept. */
function nameOf(topics: readonly unknown[]): string | undefined {
  if (!topics.every((text) => typeof text === "string")) return undefined;
  const name = `${topics.length} ${topics.join(" ")}`;
  return name.length <= longestKept ? name : undefined;
}

function keep(name: string, topics: readonly Topic[]): void {
  const [oldest] = kept.size < mostKept ? [] : kept.keys();
  if (oldest !== undefined) kept.delete(oldest);
  kept.set(name, topics);
}

/** Reads a list of topics from outside: canonical, in the order asked, each once. */
export function readTopics(topics: unknown, most: number): { ok: true; topics: readonly Topic[] } | Refusal {
  if (!Array.isArray(topics) || topics.length === 0) {
    return refuse(
      "invalid_topic",
      'topics must be a list of at least one topic, for example ["token.price_changed"]',
    );
  }
  if (topics.length > most) {
    return refuse("too_many_topics", `at most ${most} topics on one connection, ${topics.length} asked`);
  }
  const name = nameOf(topics);
  const known = name === undefined ? undefined : kept.get(name);
  if (known !== undefined) return { ok: true, topics: known };
  const found = new Map<string, Topic>();
  const bad: { topic: string; message: string }[] = [];
  for (const text of topics) {
    const parsed = parseTopic(text);
    if (parsed.ok) found.set(parsed.topic.name, parsed.topic);
    else bad.push({ topic: String(text).slice(0, 200), message: parsed.message });
  }
  const [first] = bad;
  if (first !== undefined) {
    return refuse("invalid_topic", `${first.topic}: ${first.message}`, { topics: bad });
  }
  const read = [...found.values()];
  if (name !== undefined) keep(name, read);
  return { ok: true, topics: read };
}

export function refuse(
  code: WireError["code"],
  message: string,
  details: WireError["details"] = {},
): Refusal {
  return { ok: false, error: { code, message, details } };
}

/** Refuses by name what the token does not wholly grant. */
export function refuseUngranted(
  connection: Pick<Connection, "principal">,
  topics: readonly Topic[],
): Refusal | undefined {
  const denied = topics
    .filter((topic) => !allows(connection.principal.grants, topic))
    .map((topic) => topic.name);
  if (denied.length === 0) return undefined;
  return refuse("forbidden", `the token does not grant ${denied.join(", ")}`, { topics: denied });
}

/**
 * Opens a subscription on the connection. `answer` is called once, in the very tick in which the subscription
 * begins: what it writes precedes the subscription's first event, and no event falls between.
 */
export async function openSubscription(
  connection: Connection,
  request: OpenRequest,
  answer: (answer: SubscribeAck | Refusal) => void,
): Promise<void> {
  const denied = refuseUngranted(connection, request.topics);
  if (denied !== undefined) return answer(denied);
  return connection.whileOpening(open(connection, request, answer));
}

async function open(
  connection: Connection,
  request: OpenRequest,
  answer: (answer: SubscribeAck | Refusal) => void,
): Promise<void> {
  // a position can change under our feet while the log is asked; then everything is asked again
  for (let attempt = 0; attempt < 3; attempt++) {
    // most need nothing of the log: they are not made to wait
    const prepared =
      known(connection.hub.node, request.since) ?? (await prepare(connection.hub.node, request.since));
    if (connection.closed) return;
    const start = decide(connection, request, prepared);
    if (start.kind === "again") continue;
    if (start.kind === "refused") return answer(start.answer);
    if (start.kind === "held") return answer(start.ack);
    const { ack, subscription } = opening(connection, request, start);
    return connection.sink.together(() => {
      answer(ack);
      connection.open(subscription);
    });
  }
  answer(refuse("unavailable", "the event log is changing; try again in a moment"));
}

interface Prepared {
  readonly placed: Placed | undefined;
  /** What follows the place, if this node's memory does not reach back to it. */
  readonly page?: LogRange;
}

/** What can be said without the log. */
function known(node: FanoutNode, since: Position | undefined): Prepared | undefined {
  if (since === undefined) return { placed: undefined };
  const placed = node.placeNow(since);
  return placed.kind === "at" && isInMemory(node, placed.sequence) ? { placed } : undefined;
}

/** True if this node's memory has all that follows. */
function isInMemory(node: FanoutNode, sequence: Sequence): boolean {
  return sequence >= Math.min(node.memoryStart, node.position);
}

async function prepare(node: FanoutNode, since: Position | undefined): Promise<Prepared> {
  if (since === undefined) return { placed: undefined };
  const placed = await node.place(since);
  if (placed.kind !== "at" || isInMemory(node, placed.sequence)) return { placed };
  const page = await node.page(placed.sequence, node.position).catch(() => undefined);
  return page === undefined ? { placed: { kind: "unavailable" } } : { placed, page };
}

interface Found {
  readonly kind: "found";
  readonly topics: readonly Topic[];
  readonly state: State;
  readonly position: Sequence;
  readonly told: Subscription["told"];
  readonly had?: Subscription["had"];
  readonly gap?: { readonly missing: MissingPart; readonly reason: GapReason; readonly from?: Position };
}

type Start =
  | Found
  | { readonly kind: "again" }
  | { readonly kind: "held"; readonly ack: SubscribeAck }
  | { readonly kind: "refused"; readonly answer: Refusal };

const nothingTold: Subscription["told"] = new Map();
const nothingHad: Subscription["had"] = [];
const tailing: State = { kind: "tailing" };

function decide(connection: Connection, request: OpenRequest, { placed, page }: Prepared): Start {
  const { node } = connection.hub;
  const { since, topics } = request;
  if (since === undefined || placed === undefined) {
    if (request.snapshot) return snapshot(node, topics);
    const free = topics.filter((topic) => connection.holder(topic) === undefined);
    return free.length === 0 ? alreadyHeld(connection, topics) : live(node, free);
  }
  const now = node.placeNow(since);
  switch (placed.kind) {
    case "unavailable":
      return refused("unavailable", "the event log cannot tell what follows this cursor yet; try again");
    case "beyond_head":
      return refused("invalid_cursor", "the cursor lies beyond the newest event of its epoch");
    case "unknown_epoch": {
      if (now.kind !== "unknown_epoch") return { kind: "again" };
      const start = request.snapshot ? snapshot(node, topics) : live(node, topics);
      const missing: MissingPart = { topics, certain: false, from: 0, to: node.position };
      return start.kind === "found"
        ? { ...start, gap: { missing, reason: "unknown_cursor", from: since } }
        : start;
    }
    case "at": {
      if (now.kind !== "at" || now.sequence !== placed.sequence) return { kind: "again" };
      const start = resume(node, request, now.sequence, page);
      return start.kind === "found" && now.has !== undefined ? { ...start, had: [now.has] } : start;
    }
  }
}

function resume(node: FanoutNode, request: OpenRequest, from: Sequence, page: LogRange | undefined): Start {
  const { topics } = request;
  if (from === node.position) return live(node, topics);
  const found: Found = { kind: "found", topics, state: catchingUp(from), position: from, told: nothingTold };
  if (from > node.position || from >= node.memoryStart) return found;
  if (page === undefined) return { kind: "again" };
  if (page.epoch !== node.epoch) {
    node.compare();
    return { kind: "again" };
  }
  const asked = { topics, told: nothingTold };
  const missing = missingIn(asked, page.trimmedThrough, from);
  if (missing === undefined) return found;
  if (!request.snapshot) {
    return {
      ...found,
      told: withTold(asked, page.trimmedThrough, from),
      gap: { missing, reason: "retention" },
    };
  }
  const start = snapshot(node, topics);
  // the snapshot goes on from the head, so all between is left out, whatever its type
  const all: MissingPart = { topics, certain: missing.certain, from, to: node.position };
  return start.kind === "found" ? { ...start, gap: { missing: all, reason: "retention" } } : start;
}

function live(node: FanoutNode, topics: readonly Topic[]): Found {
  return { kind: "found", topics, state: tailing, position: node.position, told: nothingTold };
}

function snapshot(node: FanoutNode, topics: readonly Topic[]): Start {
  const values = node.latest(topics);
  if (values === undefined) return refused("unavailable", "the latest values are being read; try again");
  const { position } = node;
  return {
    kind: "found",
    topics,
    state: { kind: "snapshot", at: position, rest: values },
    position,
    told: nothingTold,
  };
}

/** Nothing changes: the topics stay with the subscriptions that have them; the first one's is named. */
function alreadyHeld(connection: Connection, topics: readonly Topic[]): Start {
  const held = topics[0] === undefined ? undefined : connection.holder(topics[0]);
  if (held === undefined) return { kind: "again" };
  const { hub } = connection;
  const ack: SubscribeAck = {
    ok: true,
    subscription: held.id,
    topics: topics.map((topic) => topic.name),
    cursor: hub.cursorAt(Math.min(positionOf(held, hub.node), hub.node.position)),
    state: held.state.kind === "tailing" ? "live" : "catching_up",
    recovered: true,
  };
  return { kind: "held", ack };
}

function refused(code: WireError["code"], message: string): Start {
  return { kind: "refused", answer: refuse(code, message) };
}

function opening(
  connection: Connection,
  request: OpenRequest,
  start: Found,
): { ack: SubscribeAck; subscription: Subscription } {
  const { topics, state, told } = start;
  const subscription: Subscription = {
    id: connection.nextId(),
    topics,
    conflate: request.conflate,
    state,
    told,
    had: start.had ?? nothingHad,
  };
  const gap = start.gap === undefined ? undefined : wireGap(connection, subscription, start.gap);
  if (gap !== undefined) connection.hub.observe.gap(gap.reason);
  const ack: SubscribeAck = {
    ok: true,
    subscription: subscription.id,
    topics: topics.map((topic) => topic.name),
    cursor: connection.hub.cursorAt(start.position),
    state: state.kind === "tailing" ? "live" : "catching_up",
    recovered: gap === undefined,
    ...(gap === undefined ? {} : { gap }),
  };
  return { ack, subscription };
}

function wireGap(connection: Connection, subscription: Subscription, gap: NonNullable<Found["gap"]>): Gap {
  const told = gapOf(gap.missing, gap.reason, (sequence) => connection.hub.cursorAt(sequence));
  const from = gap.from === undefined ? told.from : formatCursor(gap.from.epoch, gap.from.sequence);
  return { subscription: subscription.id, ...told, from };
}
