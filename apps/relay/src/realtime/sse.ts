/**
 * `GET /v1/stream`: the same subscriptions over Server-Sent Events, for backends, `curl` and networks that block
 * WebSocket. The token comes in `Authorization: Bearer`, never in the address, where logs would keep it.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { cursorForm, type Position, parseCursor, type Refusal, type WireError } from "@sharmo-relay/protocol";
import type { Verified } from "../auth/principal.ts";
import { Connection } from "../fanout/connection.ts";
import { type OpenRequest, openSubscription, readTopics, refuse } from "../fanout/open.ts";
import { originAllowed } from "./origin.ts";
import { Session } from "./session.ts";
import type { RealtimeDeps } from "./socket-io.ts";
import { SseWriter } from "./sse-writer.ts";

export interface SseDeps extends RealtimeDeps {
  /** Verifies what stands in the request's `Authorization` header. */
  authorize(request: IncomingMessage): Promise<Verified>;
}

const statusOf: Partial<Record<WireError["code"], number>> = {
  invalid_topic: 400,
  invalid_cursor: 400,
  too_many_topics: 400,
  forbidden: 403,
  origin_refused: 403,
  unauthenticated: 401,
  token_expired: 401,
};

export function createSseHandler(
  deps: SseDeps,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    if (!originAllowed(request, deps.settings.allowedOrigins)) {
      return answerError(
        response,
        refuse("origin_refused", "pages of this origin may not read from this relay"),
      );
    }
    shareWithOrigin(request, response);
    if (request.method === "OPTIONS") {
      response.writeHead(204).end();
      return;
    }
    if (request.method !== "GET") {
      const body = { code: "validation_error", message: "expected GET", details: {} };
      response.writeHead(405, { Allow: "GET", "Content-Type": "application/json" }).end(JSON.stringify(body));
      return;
    }
    if (deps.draining()) {
      return answerError(response, refuse("draining", "this node is about to stop; try again"));
    }
    if (!deps.inStep()) {
      return answerError(response, refuse("unavailable", "the relay is not in step with its log; try again"));
    }
    const verified = await deps.authorize(request);
    if (!verified.ok) return answerError(response, refuse(verified.code, verified.message));
    const asked = readQuery(request, deps.settings.maxTopics);
    if (!asked.ok) return answerError(response, asked);
    if (response.destroyed) return;
    await stream(request, response, deps, verified.principal, asked.request);
  };
}

/** A page of another origin that is allowed may read the answer, and send the headers it takes (Fetch, 3.2). */
function shareWithOrigin(request: IncomingMessage, response: ServerResponse): void {
  const { origin } = request.headers;
  if (origin === undefined) return;
  response.setHeader("Access-Control-Allow-Origin", origin);
  response.setHeader("Access-Control-Allow-Headers", "authorization, last-event-id");
  response.setHeader("Access-Control-Max-Age", "600");
  response.setHeader("Vary", "Origin");
}

function readQuery(
  request: IncomingMessage,
  maxTopics: number,
): { ok: true; request: OpenRequest } | Refusal {
  const query = topicsAndRest(request.url ?? "");
  const topics = readTopics(query.topics, maxTopics);
  if (!topics.ok) return topics;
  // what the browser's EventSource sends after a drop is newer than what stood in the address
  const text = String(request.headers["last-event-id"] ?? "") || query.rest.get("since") || undefined;
  const since: Position | undefined = text === undefined ? undefined : parseCursor(text);
  if (text !== undefined && since === undefined) {
    return refuse("invalid_cursor", `since and Last-Event-ID must be a cursor: ${cursorForm}`);
  }
  const opening: OpenRequest = {
    topics: topics.topics,
    snapshot: query.rest.get("snapshot") === "true",
    conflate: query.rest.get("conflate") === "true",
    ...(since === undefined ? {} : { since }),
  };
  return { ok: true, request: opening };
}

function topicsAndRest(url: string): { topics: string[]; rest: URLSearchParams } {
  const mark = url.indexOf("?");
  const rest = new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1));
  return { topics: rest.getAll("topic"), rest };
}

async function stream(
  request: IncomingMessage,
  response: ServerResponse,
  deps: SseDeps,
  principal: Extract<Verified, { ok: true }>["principal"],
  asked: OpenRequest,
): Promise<void> {
  const writer = new SseWriter(response);
  const connection = new Connection(deps.hub, writer, principal, deps.settings.maxBufferedBytes);
  const session = new Session(principal, {
    expiring: (at) => writer.notice("relay.token_expiring", { expires_at: new Date(at).toISOString() }),
    expired: () =>
      writer.error({ code: "token_expired", message: "the token expired; come back with a new one" }),
  });
  response.once("close", () => {
    session.close();
    connection.close();
  });
  request.socket.setKeepAlive(true, 30_000);
  request.socket.setTimeout(0);
  await openSubscription(connection, asked, (answer) => {
    if (!answer.ok) {
      session.close();
      connection.close();
      return answerError(response, answer);
    }
    response.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      Connection: "keep-alive",
      // nginx would hold the stream back otherwise
      "X-Accel-Buffering": "no",
    });
    if (answer.gap !== undefined) writer.notice("relay.gap", answer.gap);
    // before a snapshot it would say that the snapshot is whole
    const shows = asked.snapshot && (asked.since === undefined || answer.gap !== undefined);
    if (!shows) writer.notice("relay.cursor", { subscription: answer.subscription, cursor: answer.cursor });
  });
}

function answerError(response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return;
  const code = statusOf[refusal.error.code] ?? 503;
  const headers: Record<string, string> = { "Content-Type": "application/json; charset=utf-8" };
  if (code === 503) headers["Retry-After"] = String(1 + Math.floor(Math.random() * 4));
  if (code === 401) headers["WWW-Authenticate"] = "Bearer";
  response.writeHead(code, headers).end(JSON.stringify(refusal.error));
}
