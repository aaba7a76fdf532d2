/**
 * `GET /v1/quarantine` and `POST /v1/quarantine/:id/retry`: authentic deliveries that could not become events. What
 * they say fits no narrower grant, since nothing routes them: the body is for those who may see every event.
 */
import { isUtf8 } from "node:buffer";
import type { Router } from "@koa/router";
import { allows, makeTopic } from "@sharmo-relay/protocol";
import type { QuarantineItem } from "../log/event-log.ts";
import { needAdmin, needRead, principalOf } from "./access.ts";
import type { ApiDeps } from "./deps.ts";
import { isoTime } from "./documents.ts";
import { ApiError } from "./errors.ts";
import { createGate } from "./gate.ts";
import { readLimit, readQuery } from "./query.ts";

const defaultLimit = 50;
const maxLimit = 1_000;
const maxBodyBytes = 4 * 1024 * 1024;
const everything = makeTopic({ kind: "all" });

export function addQuarantineRoutes(router: Router, deps: ApiDeps): void {
  const { log, verifier } = deps;
  const gate = createGate(2);

  router.get("/v1/quarantine", async (ctx) => {
    const principal = await principalOf(ctx.req, verifier);
    needRead(principal);
    const query = readQuery(ctx.querystring, ["limit"]);
    const limit = readLimit(query, defaultLimit, maxLimit);
    const items = await gate(() => log.quarantine.list(limit));
    ctx.body = { items: describe(items, allows(principal.grants, everything)) };
  });

  router.post("/v1/quarantine/:id/retry", async (ctx) => {
    const principal = await principalOf(ctx.req, verifier);
    needAdmin(principal);
    readQuery(ctx.querystring, []);
    const id = ctx.params["id"] ?? "";
    const outcome = await deps.retryQuarantined(id);
    deps.logger.info(
      { quarantine: id, by: principal.subject, outcome: outcome.status },
      "quarantined delivery tried again",
    );
    switch (outcome.status) {
      case "accepted":
      case "duplicate":
        ctx.body = outcome;
        return;
      case "not_found":
        throw new ApiError(404, "not_found", "no quarantined delivery has this id");
      case "refused":
        throw new ApiError(422, "validation_error", outcome.message, { reason: outcome.reason });
    }
  });
}

/** Bodies until the answer is large enough; after that only what is known of them. */
function describe(items: readonly QuarantineItem[], withBodies: boolean): object[] {
  let bytes = 0;
  return items.map((item) => {
    bytes += item.body.length;
    return {
      id: item.id,
      reason: item.reason,
      message: item.message,
      first_at: isoTime(item.firstAt),
      last_at: isoTime(item.lastAt),
      count: item.count,
      bytes: item.body.length,
      ...(withBodies && bytes <= maxBodyBytes ? bodyText(item.body) : {}),
    };
  });
}

/** As text if it is text: what is here may be no JSON and no UTF-8. */
function bodyText(body: Buffer): { body: string; encoding: "utf8" | "base64" } {
  const encoding = isUtf8(body) ? "utf8" : "base64";
  return { body: body.toString(encoding), encoding };
}
