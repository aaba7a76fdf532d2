/** `GET /v1/events` and `GET /v1/events/:id`: what is stored, read in pages by cursor. */
import type { Router } from "@koa/router";
import {
  allowsEvent,
  type Cursor,
  cursorForm,
  type Gap,
  makeTopic,
  type Position,
  type Sequence,
  type Topic,
} from "@sharmo-relay/protocol";
import type { Principal } from "../auth/principal.ts";
import { gapOf, lostGap, lostTo, unknownGap } from "../fanout/gaps.ts";
import type { EventEntry } from "../log/event-log.ts";
import { cursorIn, runningEpoch, type Stretch } from "../log/lineage.ts";
import { needRead, needTopics, principalOf } from "./access.ts";
import type { ApiDeps } from "./deps.ts";
import { eventDocument, listDocument } from "./documents.ts";
import { ApiError, invalid, unavailable } from "./errors.ts";
import { createGate } from "./gate.ts";
import { readLimit, readQuery, readSince, readTopics, readTypes } from "./query.ts";
import { type Found, type ReadLimits, readEvents, type Wanted } from "./read-events.ts";

const defaultLimit = 100;
const maxLimit = 1_000;
/** Of one answer, apart from the number of events. */
const limits: Omit<ReadLimits, "events"> = { bytes: 4 * 1024 * 1024, pages: 256, ms: 2_000 };
const maxReads = 8;

type ApiGap = Omit<Gap, "subscription">;

export function addEventRoutes(router: Router, deps: ApiDeps): void {
  const { log, node, verifier } = deps;
  const gate = createGate(maxReads);

  router.get("/v1/events", async (ctx) => {
    const principal = await principalOf(ctx.req, verifier);
    needRead(principal);
    const query = readQuery(ctx.querystring, ["type", "topic", "since", "limit"]);
    const types = readTypes(query);
    const topics = readTopics(query);
    const since = readSince(query);
    const events = readLimit(query, defaultLimit, maxLimit);
    needTopics(principal, topics);
    ctx.type = "json";
    ctx.body = await gate(async () => {
      const start = await placeOf(since, deps);
      const wanted: Wanted = { topics: topics.length > 0 ? topics : topicsOf(types), types };
      const found = await readEvents(log, node, start.after, wanted, { ...limits, events });
      return pageDocument(found, principal, gapIn(found, wanted.topics, start));
    });
  });

  router.get("/v1/events/:id", async (ctx) => {
    const principal = await principalOf(ctx.req, verifier);
    needRead(principal);
    readQuery(ctx.querystring, []);
    const id = readId(ctx.params["id"]);
    const entry = await log.readEvent(id);
    if (entry === undefined) throw new ApiError(404, "not_found", "no event with this id is stored");
    const cursor = await cursorOf(entry, deps);
    ctx.type = "json";
    ctx.body = eventDocument(entry, cursor, allowsEvent(principal.grants, entry));
  });
}

/** Everything, if no type is named. */
function topicsOf(types: ReadonlySet<string>): Topic[] {
  if (types.size === 0) return [makeTopic({ kind: "all" })];
  return [...types].map((type) => makeTopic({ kind: "type", type }));
}

function readId(id: string | undefined): string {
  if (id !== undefined && /^\P{C}{1,128}$/u.test(id)) return id;
  throw invalid("expected an event id of 1 to 128 printable characters");
}

interface Start {
  readonly after: Sequence;
  /** Absent: from the first that is stored, and nothing was promised. */
  readonly since?: Position;
  readonly unknown: boolean;
  /** What the asker has of branches that died. */
  readonly had: readonly Stretch[];
}

async function placeOf(since: Position | undefined, { node }: ApiDeps): Promise<Start> {
  if (since === undefined) return { after: 0, unknown: false, had: [] };
  const placed = await node.place(since);
  switch (placed.kind) {
    case "at":
      return {
        after: placed.sequence,
        since,
        unknown: false,
        had: placed.has === undefined ? [] : [placed.has],
      };
    case "unknown_epoch":
      return { after: 0, since, unknown: true, had: [] };
    case "beyond_head":
      throw invalid(`since lies beyond the newest event of its epoch; expected a cursor ${cursorForm}`);
    case "unavailable":
      throw unavailable("the event log cannot tell yet what follows this cursor; try again");
  }
}

function gapIn(
  { missing, history, lost }: Found,
  topics: readonly Topic[],
  { since, unknown, had }: Start,
): ApiGap | undefined {
  if (since === undefined) return undefined;
  if (unknown) return unknownGap(topics, since, cursorIn(history, missing?.to ?? 0));
  if (missing !== undefined) {
    return gapOf(missing, "retention", (sequence) => cursorIn(history, sequence));
  }
  // one gap an answer: the first one says that something is missing
  for (const one of lost) {
    const from = lostTo(had, one);
    if (from !== undefined) return lostGap(topics, one, from);
  }
  return undefined;
}

function pageDocument(found: Found, principal: Principal, gap: ApiGap | undefined): Buffer {
  const { history, entries, position } = found;
  const documents = entries.map((entry) =>
    eventDocument(entry, cursorIn(history, entry.sequence), allowsEvent(principal.grants, entry)),
  );
  return listDocument("events", documents, {
    next: cursorIn(history, position),
    ...(gap === undefined ? {} : { gap }),
  });
}

/** `readEvent` names no epoch; a look at the entry's place does, and shows that it still stands there. */
async function cursorOf(entry: EventEntry, { log, node }: ApiDeps): Promise<Cursor> {
  const history = node.history();
  if (history.length === 0) throw unavailable("the event log has not answered yet; try again");
  const range = await log.readRange(entry.sequence - 1, entry.sequence, node.known());
  const there = range.entries.some((other) => other.kind === "event" && other.id === entry.id);
  if (!there || range.epoch !== runningEpoch(history).epoch) {
    throw unavailable("the event log has just changed; try again");
  }
  return cursorIn(history, entry.sequence);
}
