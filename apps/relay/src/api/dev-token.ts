/**
 * `GET /dev/token`: lets the first page connect without a login service. Only in development, and only for a browser
 * or a command on this machine: the peer must be this machine, the name it called us by must be this machine's (a
 * page elsewhere can point its own name here), and a page of another origin gets nothing.
 */
import type { IncomingMessage } from "node:http";
import type { Router } from "@koa/router";
import type { ApiDeps } from "./deps.ts";
import { ApiError } from "./errors.ts";

export function addDevTokenRoute(router: Router, { devToken }: ApiDeps): void {
  if (devToken === undefined) return;
  router.get("/dev/token", async (ctx) => {
    const refusal = refusalOf(ctx.req);
    if (refusal !== undefined) throw new ApiError(403, "unauthorized", refusal);
    ctx.set("Cross-Origin-Resource-Policy", "same-origin");
    ctx.body = await devToken();
  });
}

/** Headers that a reverse proxy adds: then the peer on this machine speaks for someone else. */
const forwarding = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

function refusalOf(request: IncomingMessage): string | undefined {
  if (!isLoopbackAddress(request.socket.remoteAddress ?? ""))
    return "development tokens are only for this machine";
  if (forwarding.some((name) => request.headers[name] !== undefined))
    return "development tokens do not go through a proxy";
  if (!isLoopbackHost(request.headers.host ?? "")) {
    return "development tokens are only given at localhost, 127.0.0.1 or [::1]";
  }
  const site = request.headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    return "development tokens are only for the relay's own page";
  }
  return undefined;
}

function isLoopbackAddress(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127(\.[0-9]{1,3}){3}$/i.test(address);
}

function isLoopbackHost(host: string): boolean {
  return /^(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?$/i.test(host);
}
