/** The least that could do it: one ws server that sends the event's bytes to each socket, one send for each. */
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { bodyOf, eventOf } from "./webhook.mjs";

const clients = new Set();
const http = createServer((request, response) => {
  bodyOf(request)
    .then((body) => {
      eventOf(body, request.headers);
      for (const client of clients) client.send(body, { binary: false });
      response.writeHead(200, { "content-type": "application/json" }).end('{"status":"accepted"}');
    })
    .catch((error) => response.writeHead(error.status ?? 500).end());
});
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on("connection", (client) => {
  client.on("message", () => {
    clients.add(client);
    client.send('{"ok":true}');
  });
  client.on("close", () => clients.delete(client));
});

// longer than any pause of a sender, as behind a balancer
http.keepAliveTimeout = 65_000;
http.listen(Number(process.env["PORT"] ?? 0), "127.0.0.1", () => {
  process.stdout.write(`listening on ${http.address().port}\n`);
});
