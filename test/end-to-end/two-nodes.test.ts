import { describe, expect, it } from "vitest";
import { startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { startNode, type TestNode } from "../support/node.ts";
import { connect, type StockClient } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post, postTo, type TestEvent } from "../support/webhook.ts";

const everything = { scope: "events:*" };

async function twoNodes(options: Parameters<typeof startRedis>[0] = {}): Promise<{
  a: TestNode;
  b: TestNode;
  redis: Awaited<ReturnType<typeof startRedis>>;
}> {
  const redis = await startRedis(options);
  endWithTest(() => redis.stop());
  const [a, b] = await Promise.all([startNode({ redisUrl: redis.url }), startNode({ redisUrl: redis.url })]);
  return { a, b, redis };
}

async function follower(node: TestNode, topics: string[] = ["*"]): Promise<StockClient> {
  const client = await connect(node.url, await token(everything));
  expect(await client.request("subscribe", { topics })).toMatchObject({ ok: true, state: "live" });
  return client;
}

describe("two relays on one Redis", () => {
  it("show a client on each every event once, both in the identical order, whatever is posted twice", async () => {
    const { a, b } = await twoNodes();
    const onA = await follower(a);
    const onB = await follower(b);
    const events = Array.from({ length: 400 }, (_, n) =>
      makeEvent(n % 3 ? "token.price_changed" : "transaction.created", { token_id: `tok_${n % 9}`, n }),
    );
    const poster = async (index: number): Promise<void> => {
      for (const [n, event] of events.entries()) {
        if (n % 16 !== index && n % 8 !== index % 8) continue;
        const { url } = (n + index) % 2 ? a : b;
        expect((await postTo(url, event)).status).toBe(200);
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, index) => poster(index)));
    await until(() => onA.got.length >= events.length && onB.got.length >= events.length);
    expect(onA.ids()).toEqual(onB.ids());
    expect([...onA.ids()].sort()).toEqual(events.map(({ id }) => id).sort());
    expect(onA.got.map(({ meta }) => meta.cursor)).toEqual(onB.got.map(({ meta }) => meta.cursor));
  });

  it("accept one of two hundred parallel posts of the same event", async () => {
    const { a, b } = await twoNodes();
    const event = makeEvent("token.created", { token_id: "tok_1" });
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => postTo((n % 2 ? a : b).url, event)),
    );
    const count = (status: string): number => answers.filter(({ body }) => body.status === status).length;
    expect([count("accepted"), count("duplicate")]).toEqual([1, 199]);
  });

  it("let a client go on at the other node from its cursor, with nothing missed and nothing twice", async () => {
    const { a, b } = await twoNodes();
    const client = await follower(a, ["token.*"]);
    const first = Array.from({ length: 5 }, () => makeEvent("token.created", { token_id: "t" }));
    await post(a.url, ...first);
    await until(() => client.got.length === 5);
    client.socket.disconnect();
    const missed = Array.from({ length: 50 }, (_, n) =>
      makeEvent(n % 2 ? "token.created" : "user.registered", { token_id: "t" }),
    );
    await post(a.url, ...missed);
    const back = await connect(b.url, await token(everything));
    const since = client.got.at(-1)?.meta.cursor;
    expect(await back.request("subscribe", { topics: ["token.*"], since })).toMatchObject({
      ok: true,
      recovered: true,
    });
    const live = makeEvent("token.created", { token_id: "t" });
    await post(a.url, live);
    await until(() => back.ids().includes(live.id));
    const expected: TestEvent[] = [...missed.filter(({ type }) => type === "token.created"), live];
    expect(back.ids()).toEqual(expected.map(({ id }) => id));
  });

  it("go on after junk and foreign messages on the bus", async () => {
    const { a, b, redis } = await twoNodes();
    const client = await follower(b);
    for (const junk of ["", "junk", "1 x y\n", "9 abcdefghijkl 5\n", "1 abcdefghijkl 99999\nnot an entry"]) {
      await redis.cli("PUBLISH", "{sharmo}:announcements", junk);
    }
    const event = makeEvent("token.created", { token_id: "t" });
    await post(a.url, event);
    await until(() => client.ids().includes(event.id));
    expect(client.ids()).toEqual([event.id]);
  });

  it("find an event whose announcement a node never got", async () => {
    const { a, b, redis } = await twoNodes();
    const client = await follower(b);
    // cuts the bus of both nodes for a moment; what is announced meanwhile is heard by nobody
    await redis.cli("CLIENT", "KILL", "TYPE", "pubsub");
    const events = Array.from({ length: 3 }, () => makeEvent("token.created", { token_id: "t" }));
    await post(a.url, ...events);
    await until(() => client.got.length === 3);
    expect(client.ids()).toEqual(events.map(({ id }) => id));
  });
});

describe("a relay whose Redis", () => {
  it("is not there at start answers 503, and becomes ready when Redis does", async () => {
    const redis = await startRedis();
    endWithTest(() => redis.stop());
    await redis.kill();
    const node = await startNode({ redisUrl: redis.url, early: true });
    const event = makeEvent("token.created", { token_id: "t" });
    const refused = await postTo(node.url, event);
    expect(refused).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${node.url}/readyz`)).status).toBe(503);
    await redis.restart({ keepData: true });
    await until(async () => (await fetch(`${node.url}/readyz`)).status === 200, { what: "readiness" });
    await post(node.url, event);
  });

  it("dies and comes back keeps its clients, and they miss nothing", async () => {
    const { a, b, redis } = await twoNodes({ appendonly: true });
    const client = await follower(b);
    await post(a.url, makeEvent("token.created", { token_id: "t" }));
    await redis.kill();
    const event = makeEvent("token.created", { token_id: "t" });
    const before = performance.now();
    expect((await postTo(a.url, event)).status).toBe(503);
    expect(performance.now() - before).toBeLessThan(4_000);
    await redis.restart({ keepData: true });
    await until(async () => (await postTo(a.url, event)).status === 200, {
      what: "Redis to take it",
    });
    await until(() => client.ids().includes(event.id));
    expect(client.socket.connected).toBe(true);
    expect(client.ids()).toHaveLength(2);
  });
});
