/**
 * `GET /v1/latest?topic=…`: the newest event of each type and entity, the lowest sequence first, under the grants for
 * the topics alone. With `since` only values that are newer; `next` stands there while more follow.
 */
import type { Router } from "@koa/router";
import { matches, type Position, type Sequence } from "@sharmo-relay/protocol";
import type { EpochHistory, EventEntry } from "../log/event-log.ts";
import { removingType } from "../log/latest.ts";
import { cursorIn, endOf } from "../log/lineage.ts";
import { needTopics, principalOf } from "./access.ts";
import type { ApiDeps } from "./deps.ts";
import { eventDocument, listDocument } from "./documents.ts";
import { invalid, unavailable } from "./errors.ts";
import { readLimit, readQuery, readSince, readTopics } from "./query.ts";

const defaultLimit = 1_000;
const maxLimit = 1_000;
const maxBytes = 4 * 1024 * 1024;

export function addLatestRoute(router: Router, { node, verifier }: ApiDeps): void {
  router.get("/v1/latest", async (ctx) => {
    const principal = await principalOf(ctx.req, verifier);
    const query = readQuery(ctx.querystring, ["topic", "since", "limit"]);
    const topics = readTopics(query);
    if (topics.length === 0)
      throw invalid("topic is missing; expected at least one, for example topic=token.price_changed");
    const since = readSince(query);
    const limit = readLimit(query, defaultLimit, maxLimit);
    needTopics(principal, topics);

    // table and history from one tick
    const history = node.history();
    const latest = node.latest();
    if (latest === undefined || history.length === 0)
      throw unavailable("the latest values are being read; try again");
    const after = placeOf(since, history);
    const values = latest
      .filter((entry) => entry.type !== removingType && entry.sequence > after)
      .filter((entry) => topics.some((topic) => matches(topic, entry)))
      .sort((a, b) => a.sequence - b.sequence);
    const page = firstOf(values, limit);
    const last = page.at(-1);
    const cursor = (sequence: Sequence) => cursorIn(history, sequence);
    const more = last !== undefined && page.length < values.length;
    const documents = page.map((entry) => eventDocument(entry, cursor(entry.sequence), true));
    ctx.type = "json";
    ctx.body = listDocument("values", documents, more ? { next: cursor(last.sequence) } : {});
  });
}

/** A cursor of an unknown epoch says nothing about what its holder has: all values, then. */
function placeOf(since: Position | undefined, history: EpochHistory): Sequence {
  if (since === undefined) return 0;
  const end = endOf(history, since.epoch);
  return end === undefined ? 0 : Math.min(since.sequence, end);
}

function firstOf(values: readonly EventEntry[], limit: number): EventEntry[] {
  const page: EventEntry[] = [];
  let bytes = 0;
  for (const entry of values) {
    bytes += entry.body.length;
    if (page.length >= limit || (page.length > 0 && bytes > maxBytes)) break;
    page.push(entry);
  }
  return page;
}
