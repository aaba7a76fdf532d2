import { once } from "node:events";
import { request } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { createRelay } from "@sharmo-relay/client";
import { beforeAll, describe, expect, it } from "vitest";
import { type RedisServer, startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { startProxy } from "../../apps/relay/src/log/tcp-proxy.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { leftovers } from "../support/leftovers.ts";
import { jwtSecret, startNode, type TestNode, webhookSecret } from "../support/node.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { connect, open, pauseReading, type StockClient } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post, signed, type TestEvent } from "../support/webhook.ts";

const everything = { scope: "events:*" };
const price = (): TestEvent => makeEvent("token.price_changed", { token_id: "tok_1", current_price: 1.5 });
const leaveBehind = leftovers();

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
  leaveBehind(() => redis.stop());
});

/** A node as a process of its own, to be sent signals. */
async function child(): Promise<TestRelay> {
  const relay = await startRelay({
    env: {
      REDIS_URL: redis.url,
      SHARMO_WEBHOOK_SECRETS: webhookSecret,
      JWT_SECRET: jwtSecret,
    },
  });
  endWithTest(() => relay.stop());
  return relay;
}

async function twoNodes(): Promise<[draining: TestNode, other: TestNode]> {
  return Promise.all([startNode({ redisUrl: redis.url }), startNode({ redisUrl: redis.url })]);
}

async function follow(url: string): Promise<StockClient> {
  const client = await connect(url, await token(everything));
  expect(await client.request("subscribe", { topics: ["*"] })).toMatchObject({ ok: true, state: "live" });
  return client;
}

const drainingOf = (client: StockClient): number | undefined =>
  client.notices.find(({ name }) => name === "relay.draining")?.notice["reconnect_after_ms"] as
    | number
    | undefined;

/** One connection on which nothing has been said yet. */
async function rawConnection(port: number): Promise<Socket & { heard(): string }> {
  const socket = connectTcp(port, "127.0.0.1");
  endWithTest(() => socket.destroy());
  await once(socket, "connect");
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", () => undefined);
  return Object.assign(socket, { heard: () => text });
}

describe("a node that is told to stop", () => {
  it("gives each client a time of its own, delivers until it leaves, closes who stays, and ends with 0", async () => {
    const [draining, other] = await Promise.all([child(), startNode({ redisUrl: redis.url })]);
    const clients = await Promise.all(Array.from({ length: 60 }, () => follow(draining.url)));
    const reasons: string[] = [];
    const gone = new Set<StockClient>();
    for (const client of clients) {
      client.socket.on("disconnect", (reason) => {
        reasons.push(reason);
        gone.add(client);
      });
    }
    const sent: TestEvent[] = [];
    const begun = performance.now();
    const exit = draining.stop();
    while (gone.size < clients.length) {
      const event = price();
      await post(other.url, event);
      sent.push(event);
    }
    expect(await exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(4_000);
    expect(new Set(reasons)).toEqual(new Set(["transport close"]));
    const delays = clients.map(drainingOf);
    expect(new Set(delays).size).toBeGreaterThan(30);
    expect(Math.max(...delays.map((delay) => delay ?? Number.NaN))).toBeGreaterThan(150);
    const ids = sent.map(({ id }) => id);
    for (const client of clients) {
      // nothing left out, up to the moment of its own end
      expect(client.ids()).toEqual(ids.slice(0, client.got.length));
      const told = client.notices.findIndex(({ name }) => name === "relay.draining");
      expect(told).toBeGreaterThanOrEqual(0);
    }
    // events are accepted elsewhere every few milliseconds, so all got some after they were told
    expect(Math.min(...clients.map(({ got }) => got.length))).toBeGreaterThan(0);
  });

  it("lets a stock client that knows nothing of it come back by itself, elsewhere", async () => {
    const [draining, other] = await twoNodes();
    const balancer = await startProxy(draining.relay.port);
    endWithTest(() => balancer.close());
    const client = open(
      `http://127.0.0.1:${balancer.port}`,
      { token: await token(everything) },
      { reconnection: true, reconnectionDelay: 50 },
    );
    let cursor: string | undefined;
    client.socket.on("connect", () => {
      const since = client.got.at(-1)?.meta.cursor ?? cursor;
      void client
        .request("subscribe", { topics: ["*"], since })
        .then((ack) => {
          cursor ??= String(ack["cursor"]);
        })
        .catch(() => undefined);
    });
    await until(() => cursor !== undefined);
    balancer.retarget(other.relay.port);
    const exit = draining.relay.stop();
    const sent: TestEvent[] = [];
    let exited = false;
    void exit.then(() => {
      exited = true;
    });
    while (!exited) {
      const event = price();
      await post(other.url, event);
      sent.push(event);
    }
    await until(() => client.got.length >= sent.length, { what: "every event" });
    expect(client.ids()).toEqual(sent.map(({ id }) => id));
  });

  it("has the SDK move at its own time, with nothing missed, nothing twice and one change of its status", async () => {
    const [draining, other] = await twoNodes();
    const balancer = await startProxy(draining.relay.port);
    endWithTest(() => balancer.close());
    const relay = createRelay({ url: `http://127.0.0.1:${balancer.port}`, token: () => token(everything) });
    endWithTest(() => relay.close());
    const got: string[] = [];
    await relay.on("*", (event) => got.push(event.id)).ready;
    await until(() => relay.status.state === "live");
    const states: string[] = [];
    relay.onStatus(({ state }) => states.push(state));
    balancer.retarget(other.relay.port);
    const sent: TestEvent[] = [];
    let exited = false;
    const exit = draining.relay.stop().then(() => {
      exited = true;
    });
    while (!exited) {
      const event = price();
      await post(other.url, event);
      sent.push(event);
    }
    await exit;
    await until(() => got.length >= sent.length, { what: "every event" });
    expect(got).toEqual(sent.map(({ id }) => id));
    await until(() => relay.status.state === "live");
    expect(states.filter((state, n) => state !== states[n - 1])).toEqual(
      states.includes("catching_up") ? ["connecting", "catching_up", "live"] : ["connecting", "live"],
    );
  });

  it("tells its event streams too, ends them, and they go on elsewhere from the last id", async () => {
    const [draining, other] = await twoNodes();
    const headers = { authorization: `Bearer ${await token(everything)}` };
    const response = await fetch(`${draining.url}/v1/stream?topic=*`, { headers });
    const before = price();
    await post(other.url, before);
    const reader = response.body?.getReader();
    let text = "";
    const read = (async () => {
      for (;;) {
        const part = await reader?.read();
        if (part === undefined || part.done) return;
        text += Buffer.from(part.value).toString("utf8");
      }
    })();
    await until(() => text.includes(before.id));
    const exit = draining.relay.stop();
    await read;
    await exit;
    expect(text).toMatch(/event: relay\.draining\ndata: \{"reconnect_after_ms":\d+\}\n\n/);
    const missed = price();
    await post(other.url, missed);
    const last = [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
    const again = await fetch(`${other.url}/v1/stream?topic=*`, {
      headers: { ...headers, "last-event-id": last },
      signal: AbortSignal.timeout(10_000),
    });
    const rest = again.body?.getReader();
    let more = "";
    while (!more.includes("relay.caught_up")) {
      more += Buffer.from((await rest?.read())?.value ?? []).toString("utf8");
    }
    expect(more.match(/"id":"evt_/g)).toHaveLength(1);
    expect(more).toContain(missed.id);
    await rest?.cancel();
  });

  it("answers the webhook it is receiving, and takes no other connection", async () => {
    const { url, relay } = await startNode();
    const event = price();
    const body = Buffer.from(JSON.stringify(event));
    const posting = request(`${url}/api/sharmo-webhooks`, {
      method: "POST",
      headers: { ...signed(body), "content-length": body.length, connection: "keep-alive" },
    });
    posting.write(body.subarray(0, 10));
    const [upgrade, health] = [await rawConnection(relay.port), await rawConnection(relay.port)];
    // what was sent first has been read when this is answered
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const exit = relay.stop();
    await until(
      () =>
        fetch(`${url}/healthz`).then(
          () => false,
          () => true,
        ),
      { what: "the listener to be closed" },
    );
    upgrade.write(
      "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await until(() => upgrade.heard().includes("draining"));
    expect(upgrade.heard()).toMatch(/^HTTP\/1\.1 503 /);
    expect(upgrade.heard()).toMatch(/^Retry-After: /m);
    health.write("GET /readyz HTTP/1.1\r\nHost: relay\r\n\r\n");
    await until(() => health.heard().includes("draining"));
    expect(health.heard()).toMatch(/^HTTP\/1\.1 503 /);
    expect(health.heard()).toMatch(/^Connection: close\r$/m);
    const answered = once(posting, "response");
    posting.end(body.subarray(10));
    const [answer] = (await answered) as [{ statusCode: number; headers: Record<string, string> }];
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["connection"]).toBe("close");
    await exit;
  });

  it("is not held up by a client that reads nothing any more", async () => {
    const { url, relay } = await startNode();
    const client = await follow(url);
    pauseReading(client);
    const begun = performance.now();
    await relay.stop();
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it("ends at once at the second signal", async () => {
    const relay = await child();
    await Promise.all(Array.from({ length: 40 }, () => follow(relay.url)));
    const exit = relay.stop();
    await until(() =>
      fetch(`${relay.url}/healthz`).then(
        () => false,
        () => true,
      ),
    );
    process.kill(relay.pid, "SIGTERM");
    expect(await exit).toEqual({ code: 1, signal: null });
  });
});
