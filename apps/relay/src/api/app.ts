/**
 * The HTTP API and the page, as one Koa application. Ingest, Socket.IO and `/v1/stream` are no part of it: they take
 * their requests before it does.
 */
import { Router } from "@koa/router";
import Koa, { type Context, type Middleware } from "koa";
import { koaBody } from "koa-body";
import { LogError } from "../log/event-log.ts";
import type { ApiDeps } from "./deps.ts";
import { addDevTokenRoute } from "./dev-token.ts";
import { ApiError, unavailable } from "./errors.ts";
import { addEventRoutes } from "./events.ts";
import { addHealthRoutes } from "./health.ts";
import { addLatestRoute } from "./latest.ts";
import { addQuarantineRoutes } from "./quarantine.ts";
import { serveStatic } from "./static.ts";

const maxJsonBytes = 16 * 1024;

export function createApi(deps: ApiDeps): Koa {
  // `proxy` stays off: nothing here asks who is behind a proxy, and whoever does must not believe every header
  const app = new Koa();
  app.on("error", (error: unknown) => deps.logger.warn({ err: error }, "an answer could not be sent"));
  const router = new Router();
  addHealthRoutes(router, deps);
  addDevTokenRoute(router, deps);
  addEventRoutes(router, deps);
  addLatestRoute(router, deps);
  addQuarantineRoutes(router, deps);

  app.use(answerErrors(deps));
  if (deps.page !== undefined) app.use(serveStatic(deps.page));
  app.use(koaBody({ jsonLimit: maxJsonBytes, urlencoded: false, text: false, multipart: false }));
  app.use(router.routes());
  app.use(router.allowedMethods());
  return app;
}

/** Every error as JSON in one shape; what is not foreseen is logged here and said to nobody. */
function answerErrors(deps: ApiDeps): Middleware {
  return async (ctx, next) => {
    // answers depend on the token and are stale at once; files say otherwise for themselves
    ctx.set("Cache-Control", "no-store");
    ctx.set("X-Content-Type-Options", "nosniff");
    try {
      await next();
      if (ctx.body === undefined || ctx.body === null) answerEmpty(ctx);
    } catch (error) {
      answer(ctx, apiErrorOf(error, deps));
    }
  };
}

function answer(ctx: Context, error: ApiError): void {
  ctx.status = error.status;
  ctx.set(error.headers);
  ctx.body = error.body;
}

/** No route took it, or none with this method; the router has set `Allow`. */
function answerEmpty(ctx: Context): void {
  if (ctx.status === 404) answer(ctx, new ApiError(404, "not_found", "nothing is found at this address"));
  if (ctx.status === 405 || ctx.status === 501) {
    const allowed = String(ctx.response.get("Allow"));
    answer(
      ctx,
      new ApiError(405, "validation_error", `expected one of the methods ${allowed}`, {
        allowed: allowed.split(", "),
      }),
    );
  }
}

function apiErrorOf(error: unknown, deps: ApiDeps): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof LogError) {
    deps.metrics.log.failed(error.code);
    deps.logger.warn({ err: error }, "the event log could not answer the management API");
    return unavailable("the event log cannot answer now; try again", 2);
  }
  const status = bodyErrorStatus(error);
  if (status === 413)
    return new ApiError(413, "validation_error", `expected a body of at most ${maxJsonBytes} bytes`);
  if (status !== undefined) return new ApiError(400, "validation_error", "expected a JSON body");
  deps.logger.error({ err: error }, "the management API failed");
  return new ApiError(500, "server_error", "the relay failed on this request; its log says more");
}

/** What koa-body throws for a body that it cannot take. */
function bodyErrorStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("status" in error) || typeof error.status !== "number") return undefined;
  return error.status >= 400 && error.status < 500 ? error.status : undefined;
}
