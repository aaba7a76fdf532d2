/** Alive, ready, and the figures. Open to whoever can reach the port; none of it holds data. */
import type { Router } from "@koa/router";
import type { ApiDeps } from "./deps.ts";

export function addHealthRoutes(router: Router, { readiness, metrics }: ApiDeps): void {
  router.get("/healthz", (ctx) => {
    ctx.body = { status: "ok" };
  });

  router.get("/readyz", (ctx) => {
    const { reasons, warnings } = readiness();
    if (reasons.length === 0) {
      ctx.body = { status: "ready", warnings };
    } else {
      ctx.status = 503;
      ctx.body = { status: "not_ready", reasons, warnings };
    }
  });

  router.get("/metrics", async (ctx) => {
    const { contentType, body } = await metrics.render();
    ctx.body = body;
    ctx.set("Content-Type", contentType);
  });
}
