import http from "node:http";
import { Manager } from "socket.io-client";
import { describe, expect, it } from "vitest";
import { endWithTest } from "../support/cleanup.ts";
import { jwtSecret, startNode } from "../support/node.ts";
import { connect, open } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post, postTo } from "../support/webhook.ts";

const everything = { scope: "events:*" };

/** The protocol is the same whether live frames are written straight to the sockets or through Engine.IO alone. */
describe.each(["on", "off"])("a stock socket.io-client, with RELAY_DIRECT_WRITES=%s", (direct) => {
  const start = (options: Parameters<typeof startNode>[0] = {}): ReturnType<typeof startNode> =>
    startNode({ ...options, env: { RELAY_DIRECT_WRITES: direct, ...options.env } });

  it("gets a live event with its cursor after it subscribed", async () => {
    const { url } = await start();
    const client = await connect(url, await token(everything));
    const ack = await client.request("subscribe", { topics: ["token.price_changed"] });
    expect(ack).toMatchObject({ ok: true, state: "live", recovered: true, topics: ["token.price_changed"] });
    const event = makeEvent("token.price_changed", { token_id: "tok_1", current_price: 10.5 });
    const [answer] = await post(url, event);
    await until(() => client.got.length === 1);
    expect(client.got[0]).toMatchObject({
      name: "token.price_changed",
      event: { id: event.id, data: { token_id: "tok_1" } },
      meta: { cursor: answer?.body.cursor },
    });
  });

  it("gets the bytes that Sharmo sent, number for number, live and in catch-up and read", async () => {
    const { url } = await start();
    const client = await connect(url, await token(everything));
    const raw: string[] = [];
    client.socket.io.engine.on("packet", ({ data }: { data?: unknown }) => raw.push(String(data)));
    const begun = await client.request("subscribe", { topics: ["token.*"] });
    const body =
      '{"id":"evt_raw","type":"token.created","created_at":"2026-01-01T00:00:00Z","data":{"token_id":12345678901234567890,"price":10.50}}';
    expect((await postTo(url, Buffer.from(body))).status).toBe(200);
    await until(() => client.got.length === 1);
    await client.request("subscribe", { topics: ["token.*"], since: begun["cursor"] });
    await until(() => client.got.length === 2);
    await client.request("read", { topics: ["token.*"], since: begun["cursor"] });
    expect(raw.filter((text) => text.includes(body))).toHaveLength(3);
    const narrow = await client.request("subscribe", {
      topics: ["token.created?token_id=12345678901234567890"],
      since: begun["cursor"],
    });
    expect(narrow).toMatchObject({ ok: true });
    await until(() => client.got.length === 3);
  });

  it("is told by name which topics do not parse, are too many, or are not granted", async () => {
    const { url } = await start({ env: { RELAY_MAX_TOPICS: "3" } });
    const client = await connect(url, await token({ scope: "events:token.*" }));
    const ask = async (topics: unknown): Promise<unknown> => client.request("subscribe", { topics });
    expect(await ask(["token.created", "Token Created"])).toMatchObject({
      ok: false,
      error: { code: "invalid_topic", details: { topics: [{ topic: "Token Created" }] } },
    });
    expect(await ask([`token.created?token_id=${"x".repeat(129)}`])).toMatchObject({
      error: { code: "invalid_topic" },
    });
    expect(await ask(["relay.cursor"])).toMatchObject({ error: { code: "invalid_topic" } });
    expect(await ask("token.created")).toMatchObject({ error: { code: "invalid_topic" } });
    expect(await ask(["token.created", "transaction.*", "user.registered"])).toMatchObject({
      error: { code: "forbidden", details: { topics: ["transaction.*", "user.registered"] } },
    });
    expect(await ask(["token.a_1", "token.a_2", "token.a_3", "token.a_4"])).toMatchObject({
      error: { code: "too_many_topics" },
    });
    expect(await ask(["token.a_1", "token.a_2", "token.a_3"])).toMatchObject({ ok: true });
    expect(await ask(["token.a_4"])).toMatchObject({ error: { code: "too_many_topics" } });
    expect(await client.request("subscribe", { topics: ["token.a_1"], since: "nonsense" })).toMatchObject({
      error: { code: "invalid_cursor" },
    });
    expect(await client.request("subscribe", null)).toMatchObject({ ok: false });
  });

  it("is refused with a reason when its token is missing, wrong, expired, or of another protocol", async () => {
    const { url } = await start();
    const refusal = async (auth: Record<string, unknown>): Promise<unknown> => {
      const { socket } = open(url, auth);
      return new Promise((resolve) => {
        socket.on("connect_error", (error: Error & { data?: unknown }) => resolve(error.data));
      });
    };
    expect(await refusal({})).toMatchObject({ code: "unauthenticated" });
    expect(await refusal({ token: "not.a.token" })).toMatchObject({ code: "unauthenticated" });
    expect(
      await refusal({ token: await token({ secret: "another key of more than thirty-two bytes" }) }),
    ).toMatchObject({ code: "unauthenticated" });
    expect(await refusal({ token: await token({ lifetime: -60 }) })).toMatchObject({ code: "token_expired" });
    expect(await refusal({ token: await token(), protocol: 2 })).toMatchObject({
      code: "unsupported_protocol",
    });
  });

  it("may not connect from a page of another origin", async () => {
    const { url } = await start({ env: { RELAY_ALLOWED_ORIGINS: "https://app.example.com" } });
    const auth = { token: await token() };
    const stranger = open(url, auth, { extraHeaders: { origin: "https://evil.example.com" } });
    await new Promise((resolve) => stranger.socket.on("connect_error", resolve));
    const friend = open(url, auth, { extraHeaders: { origin: "https://app.example.com" } });
    await until(() => friend.socket.connected);
    expect(stranger.socket.connected).toBe(false);
  });

  it("is refused with 403 or 503 before there is a connection, so that it tries again", async () => {
    const upgrade = async (url: string, headers: Record<string, string>): Promise<number | undefined> => {
      const { hostname, port } = new URL(url);
      const request = http.get({
        host: hostname,
        port,
        path: "/socket.io/?EIO=4&transport=websocket",
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
          ...headers,
        },
      });
      return new Promise((resolve, reject) => {
        request.on("response", (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.on("upgrade", (_response, socket) => {
          socket.destroy();
          resolve(101);
        });
        request.on("error", reject);
      });
    };
    const { url } = await start();
    expect(await upgrade(url, { origin: "https://evil.example.com" })).toBe(403);
    expect(await upgrade(url, { origin: url })).toBe(101);
    const without = await start({ redisUrl: "redis://127.0.0.1:1", early: true });
    expect(await upgrade(without.url, {})).toBe(503);
  });

  it("is closed when its token expires, and stays when it renews in place", async () => {
    const { url } = await start();
    const leaving = await connect(url, await token({ lifetime: 2 }));
    const staying = await connect(url, await token({ lifetime: 2 }));
    const other = await staying.request("authenticate", { token: await token({ sub: "somebody else" }) });
    expect(other).toMatchObject({ ok: false, error: { code: "subject_changed" } });
    expect(await staying.request("authenticate", { token: await token() })).toMatchObject({
      ok: true,
      dropped: [],
    });
    await until(() => !leaving.socket.connected, { what: "the close at expiry" });
    expect(leaving.notices.map(({ name }) => name)).toContain("relay.token_expiring");
    expect(staying.socket.connected).toBe(true);
  });

  it("loses at once what a renewed token does not grant", async () => {
    const { url } = await start();
    const client = await connect(url, await token(everything));
    await client.request("subscribe", { topics: ["transaction.*", "token.created"] });
    const renewed = await client.request("authenticate", { token: await token() });
    expect(renewed).toMatchObject({ ok: true, dropped: ["transaction.*"] });
    const visible = makeEvent("token.created", { token_id: "tok_1" });
    await post(url, makeEvent("transaction.created", { transaction_id: "txn_1" }), visible);
    await until(() => client.got.length > 0);
    expect(client.ids()).toEqual([visible.id]);
  });

  it("ends a subscription by its name or its topics, and gets nothing of it after the ack", async () => {
    const { url } = await start();
    const client = await connect(url, await token(everything));
    const first = await client.request("subscribe", { topics: ["token.created"] });
    await client.request("subscribe", { topics: ["property.created", "user.registered"] });
    expect(await client.request("unsubscribe", { subscription: first["subscription"] })).toEqual({
      ok: true,
    });
    expect(await client.request("unsubscribe", { topics: ["property.created"] })).toEqual({ ok: true });
    const last = makeEvent("user.registered", { user_id: "usr_1" });
    await post(
      url,
      makeEvent("token.created", { token_id: "t" }),
      makeEvent("property.created", { property_id: "p" }),
      last,
    );
    await until(() => client.got.length > 0);
    expect(client.ids()).toEqual([last.id]);
  });

  it("survives junk: the process goes on and other clients notice nothing", async () => {
    const { url } = await start();
    const good = await connect(url, await token(everything));
    await good.request("subscribe", { topics: ["*"] });
    const bad = await connect(url, await token());
    for (const payload of [
      undefined,
      null,
      1,
      "x",
      [],
      { topics: [{}] },
      { topics: null },
      { __proto__: { topics: [] } },
    ]) {
      bad.socket.emit("subscribe", payload);
      bad.socket.emit("unsubscribe", payload);
      bad.socket.emit("authenticate", payload);
      bad.socket.emit("read", payload, "no function");
      bad.socket.emit("no such request", payload);
    }
    for (const text of [
      "4",
      "42",
      '42["subscribe"',
      '42{"a":1}',
      "49[]",
      "451-[]",
      "\u0000",
      "42[null]",
      "x".repeat(70_000),
    ]) {
      const { engine } = new Manager(url, { transports: ["websocket"], forceNew: true, reconnection: false });
      endWithTest(() => engine.close());
      await new Promise<void>((resolve) => {
        engine.on("open", () => {
          engine.write(text);
          resolve();
        });
      });
    }
    const event = makeEvent("token.created", { token_id: "t" });
    await post(url, event);
    await until(() => good.ids().includes(event.id));
  });

  it("is told how far it is at least every five seconds, also when nothing happens", async () => {
    const { url } = await start();
    const client = await connect(url, await token(everything));
    await client.request("subscribe", { topics: ["*"] });
    await until(() => client.notices.some(({ name }) => name === "relay.cursor"), { within: 5_000 });
  });
});

describe("the HTTP doors", () => {
  it("stream the same subscription as Server-Sent Events, byte for byte", async () => {
    const { url } = await startNode();
    const abort = new AbortController();
    endWithTest(() => abort.abort());
    const response = await fetch(`${url}/v1/stream?topic=token.*`, {
      headers: { authorization: `Bearer ${await token(everything)}` },
      signal: abort.signal,
    });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    let text = "";
    const reading = (async () => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    const body =
      '{"id":"evt_sse","type":"token.created",\r\n"created_at":"2026-01-01T00:00:00Z","data":{"token_id":"t","price":10.50}}\n';
    const posted = await postTo(url, Buffer.from(body));
    await until(() => text.includes("evt_sse") && text.includes("10.50"));
    const lines = body.split(/\r\n|\n/).map((line) => `data: ${line}\n`);
    expect(text).toContain(`event: token.created\nid: ${posted.body.cursor}\n${lines.join("")}\n`);
    abort.abort();
    await reading;
  });

  it("answer a stream that is asked for wrongly with what was expected", async () => {
    const { url } = await startNode();
    const ask = async (query: string, bearer?: string): Promise<number> => {
      const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
      const response = await fetch(`${url}/v1/stream${query}`, { headers });
      await response.text();
      return response.status;
    };
    expect(await ask("?topic=token.created")).toBe(401);
    expect(await ask("", await token())).toBe(400);
    expect(await ask("?topic=Nonsense!", await token())).toBe(400);
    expect(await ask("?topic=token.created&since=x", await token())).toBe(400);
    expect(await ask("?topic=user.*", await token())).toBe(403);
  });

  it("serve stored events, latest values and health", async () => {
    const { url } = await startNode();
    const event = makeEvent("token.price_changed", { token_id: "tok_1", current_price: 7 });
    await post(url, event);
    const headers = { authorization: `Bearer ${await token({ scope: "events:* relay:read" })}` };
    const json = async (path: string): Promise<Record<string, unknown>> =>
      (await (await fetch(`${url}${path}`, { headers })).json()) as Record<string, unknown>;
    expect(await json("/v1/events?limit=10")).toMatchObject({ events: [{ event: { id: event.id } }] });
    expect(await json(`/v1/events/${event.id}`)).toMatchObject({ event: { id: event.id } });
    expect(JSON.stringify(await json("/v1/latest?topic=token.*"))).toContain(event.id);
    expect(await json("/healthz")).toEqual({ status: "ok" });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain("sharmo_relay_webhooks_total");
  });

  it("answer a wrong signature with 401 and store nothing", async () => {
    const { url } = await startNode();
    const event = makeEvent("token.created", { token_id: "t" });
    expect((await postTo(url, event, "whsec_another_secret_x")).status).toBe(401);
    const headers = { authorization: `Bearer ${await token({ scope: "relay:read" })}` };
    expect((await fetch(`${url}/v1/events/${event.id}`, { headers })).status).toBe(404);
  });
});

describe("the relay's log lines and metrics", () => {
  it("hold no data, no token and no secret", async () => {
    const { url } = await startNode();
    await post(url, makeEvent("user.registered", { user_id: "usr_unmistakable_91" }));
    const metrics = await (await fetch(`${url}/metrics`)).text();
    for (const secret of ["usr_unmistakable_91", jwtSecret]) expect(metrics).not.toContain(secret);
  });
});
