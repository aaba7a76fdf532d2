import type { Socket } from "node:net";
import { expect, it } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { endWithTest } from "../support/cleanup.ts";
import { startNode } from "../support/node.ts";
import { connect, open, type StockClient } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post } from "../support/webhook.ts";

const everything = { scope: "events:*" };

/** A client of Engine.IO's own text, frame by frame. */
interface Raw {
  readonly ws: WebSocket;
  readonly messages: string[];
  readonly extensions: string;
  bytes(): number;
}

async function raw(url: string, options: ClientOptions): Promise<Raw> {
  const ws = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, options);
  endWithTest(() => ws.terminate());
  const messages: string[] = [];
  ws.on("message", (data) => messages.push(String(data)));
  ws.on("error", () => undefined);
  const jwt = await token(everything);
  await until(() => messages.length === 1, { what: "Engine.IO's open packet" });
  ws.send(`40${JSON.stringify({ token: jwt })}`);
  await until(() => messages.length === 2, { what: "Socket.IO's connect packet" });
  const tcp = "_socket" in ws ? (ws._socket as { bytesRead: number }) : { bytesRead: 0 };
  return { ws, messages, extensions: ws.extensions, bytes: () => tcp.bytesRead };
}

const offers = { perMessageDeflate: true };
const offersNothing = { perMessageDeflate: false };

async function subscribed(url: string, options: ClientOptions): Promise<Raw> {
  const client = await raw(url, options);
  client.ws.send('420["subscribe",{"topics":["token.price_changed"]}]');
  await until(() => client.messages.some((text) => text.startsWith("430")), { what: "the ack" });
  return client;
}

const ticks = (count: number): ReturnType<typeof makeEvent>[] =>
  Array.from({ length: count }, (_, n) =>
    makeEvent("token.price_changed", {
      token_id: `tok_${n % 3}`,
      current_price: n,
      currency: "USD",
      note: "é",
    }),
  );

const idsOf = (messages: readonly string[]): string[] =>
  messages
    .filter((text) => text.startsWith('42["token.price_changed"'))
    .map((text) => (JSON.parse(text.slice(2)) as [string, { id: string }])[1].id);

it("sends the same events in far fewer bytes to clients that offer permessage-deflate", async () => {
  const { url } = await startNode({ env: { RELAY_GATHER_MS: "100" } });
  const plain = await subscribed(url, offersNothing);
  const deflated = await Promise.all(Array.from({ length: 10 }, () => subscribed(url, offers)));
  expect(plain.extensions).toBe("");
  expect(deflated[0]?.extensions).toContain("permessage-deflate");
  const events = ticks(200);
  const before = { plain: plain.bytes(), deflated: deflated[0]?.bytes() ?? 0 };
  await Promise.all(events.map((event) => post(url, event)));
  await until(() => deflated.every(({ messages }) => idsOf(messages).length === 200), { what: "all events" });
  await until(() => idsOf(plain.messages).length === 200);
  for (const { messages } of deflated) expect(idsOf(messages)).toEqual(idsOf(plain.messages));
  expect(deflated[0]?.messages.slice(-50)).toEqual(plain.messages.slice(-50));
  const share = ((deflated[0]?.bytes() ?? 0) - before.deflated) / (plain.bytes() - before.plain);
  expect(share).toBeLessThan(0.65);
});

it.each([
  ["forgets between messages", { perMessageDeflate: { serverNoContextTakeover: true } }],
  ["has a small window", { perMessageDeflate: { serverMaxWindowBits: 9 } }],
] as const)("is understood by a client that %s", async (_what, options) => {
  const { url } = await startNode();
  const clients = await Promise.all(Array.from({ length: 10 }, () => subscribed(url, options)));
  const events = ticks(60);
  for (const event of events) await post(url, event);
  await Promise.all(ticks(60).map((event) => post(url, event)));
  await until(() => clients.every(({ messages }) => idsOf(messages).length === 120), { what: "all events" });
  for (const { messages } of clients) {
    expect(idsOf(messages).slice(0, 60)).toEqual(events.map(({ id }) => id));
    expect(messages.every((text) => text.startsWith("0{") || !text.includes("�"))).toBe(true);
  }
});

it("reads what clients compress, also in pieces", async () => {
  const { url } = await startNode();
  const { ws, messages } = await raw(url, { perMessageDeflate: { threshold: 0 } });
  const topics = Array.from({ length: 50 }, (_, n) => `token.price_changed?token_id=tok_${n}`);
  const text = `420${JSON.stringify(["subscribe", { topics }])}`;
  ws.send(text.slice(0, 40), { fin: false, compress: true });
  ws.send(text.slice(40, 900), { fin: false, compress: true });
  ws.send(text.slice(900), { fin: true, compress: true });
  await until(() => messages.some((m) => m.startsWith("430")), { what: "the ack" });
  expect(messages.find((m) => m.startsWith("430"))).toContain('"ok":true');
  ws.send('421["unsubscribe",{"topics":["token.price_changed?token_id=tok_1"]}]', { compress: true });
  await until(() => messages.some((m) => m.startsWith("431")), { what: "the second ack" });
});

it("closes a client whose message would unfold without end, and no other notices", async () => {
  const { url } = await startNode();
  const bystander = await connect(url, await token(everything));
  await bystander.request("subscribe", { topics: ["*"] });
  const { ws } = await raw(url, { perMessageDeflate: { threshold: 0 } });
  const before = process.memoryUsage().rss;
  const bomb = Buffer.alloc(40 * 1024 * 1024, "a");
  const closed = new Promise((resolve) => ws.once("close", resolve));
  ws.send(bomb, { binary: false, compress: true });
  await closed;
  // the bomb itself was made in this process
  expect(process.memoryUsage().rss - before).toBeLessThan(3 * bomb.length);
  const event = makeEvent("token.created", { token_id: "tok_1" });
  await post(url, event);
  await until(() => bystander.ids().includes(event.id));
});

it("closes a client whose message is not compressed as agreed", async () => {
  const { url } = await startNode();
  const { ws } = await raw(url, offers);
  const closed = new Promise((resolve) => ws.once("close", resolve));
  const tcp = "_socket" in ws ? (ws._socket as Socket) : undefined;
  // a masked text frame with RSV1, whose payload is no DEFLATE
  tcp?.write(Buffer.from([0xc1, 0x84, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
  await closed;
});

it("goes on after a drop with compressed catch-up", async () => {
  const { url } = await startNode();
  const jwt = await token(everything);
  const compressing = { perMessageDeflate: { threshold: 0 } };
  const first: StockClient = open(url, { token: jwt }, compressing);
  await until(() => first.socket.connected);
  const ack = await first.request("subscribe", { topics: ["token.*"] });
  first.socket.disconnect();
  const events = ticks(300);
  for (const event of events) await post(url, event);
  const again = open(url, { token: jwt }, compressing);
  await until(() => again.socket.connected);
  await again.request("subscribe", { topics: ["token.*"], since: ack["cursor"] });
  await until(() => again.got.length === 300, { what: "everything missed" });
  expect(again.ids()).toEqual(events.map(({ id }) => id));
});

it("agrees on nothing with RELAY_COMPRESSION=off", async () => {
  const { url } = await startNode({ env: { RELAY_COMPRESSION: "off" } });
  const { extensions } = await raw(url, offers);
  expect(extensions).toBe("");
});
