/** Takes webhooks and does nothing but check their HMAC: with FRAMEWORK=koa through Koa, otherwise through node:http. */
import { createServer } from "node:http";
import Koa from "koa";
import { bodyOf, check } from "./webhook.mjs";

function withKoa() {
  const app = new Koa();
  app.use(async (context) => {
    check(await bodyOf(context.req), context.headers);
    context.body = { status: "accepted" };
  });
  app.silent = true;
  return app.callback();
}

async function withNode(request, response) {
  try {
    check(await bodyOf(request), request.headers);
    response.writeHead(200, { "content-type": "application/json" }).end('{"status":"accepted"}');
  } catch (error) {
    response.writeHead(error.status ?? 500).end();
  }
}

const http = createServer(process.env["FRAMEWORK"] === "koa" ? withKoa() : withNode);
// longer than any pause of a sender, as behind a balancer
http.keepAliveTimeout = 65_000;
http.listen(Number(process.env["PORT"] ?? 0), "127.0.0.1", () => {
  process.stdout.write(`listening on ${http.address().port}\n`);
});
