/**
 * The relay that a user would write with Koa, Socket.IO and Redis: checks the webhook's HMAC and the client's token,
 * and broadcasts to rooms. It stores nothing. With RECOVERY=1: Socket.IO's connection state recovery, in memory.
 */
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { jwtVerify } from "jose";
import Koa from "koa";
import { Server } from "socket.io";
import { bodyOf, eventOf } from "./webhook.mjs";

const jwtSecret = Buffer.from(process.env["JWT_SECRET"] ?? "");
const redisUrl = process.env["REDIS_URL"];
const recovery = process.env["RECOVERY"] === "1";

const app = new Koa();
app.use(async (context) => {
  if (context.path !== "/api/sharmo-webhooks" || context.method !== "POST") return;
  const event = eventOf(await bodyOf(context.req), context.headers);
  const id = event.data.token_id;
  io.to(event.type).to(`${event.type}?token_id=${id}`).emit(event.type, event);
  context.body = { status: "accepted" };
});
app.silent = true;

const http = createServer(app.callback());
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  ...(recovery
    ? { connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: true } }
    : {}),
});
if (redisUrl !== undefined) {
  const publisher = new Redis(redisUrl);
  io.adapter(createAdapter(publisher, publisher.duplicate()));
}

io.use((socket, next) => {
  jwtVerify(String(socket.handshake.auth.token), jwtSecret, { algorithms: ["HS256"] }).then(
    ({ payload }) => {
      socket.data.user = payload.sub;
      next();
    },
    () => next(new Error("unauthenticated")),
  );
});
io.on("connection", (socket) => {
  socket.on("subscribe", ({ topics }, acknowledge) => {
    void socket.join(topics);
    acknowledge({ ok: true });
  });
});

// longer than any pause of a sender, as behind a balancer
http.keepAliveTimeout = 65_000;
http.listen(Number(process.env["PORT"] ?? 0), "127.0.0.1", () => {
  process.stdout.write(`listening on ${http.address().port}\n`);
});
