import { createRelay, type Relay } from "@sharmo-relay/client";
import { describe, expect, it } from "vitest";
import { loseWrites, type RedisGroup } from "../../apps/relay/src/log/redis-group.test-helper.ts";
import { startSentinel } from "../../apps/relay/src/log/redis-sentinel.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { startNode, type TestNode } from "../support/node.ts";
import { connect, type StockClient } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, postTo, type TestEvent } from "../support/webhook.ts";

const everything = { scope: "events:* relay:read" };
const patience = { within: 30_000 };

interface Group {
  readonly redis: RedisGroup;
  readonly nodes: TestNode[];
}

async function group(nodes: number): Promise<Group> {
  const redis = await startSentinel({ appendonly: false });
  endWithTest(() => redis.stop());
  const started = await Promise.all(Array.from({ length: nodes }, () => startNode({ redisUrl: redis.url })));
  return { redis, nodes: started };
}

/** Posts as the vendor does, again until it is answered 200; answers with the cursor if this post was the first. */
async function deliver(node: TestNode, event: TestEvent): Promise<string | undefined> {
  return until(
    async () => {
      const { status, body } = await postTo(node.url, event);
      return status === 200 ? (body.cursor ?? "known") : undefined;
    },
    { ...patience, every: 200, what: `${event.id} to be accepted` },
  );
}

async function deliverAll(
  nodes: readonly TestNode[],
  count: number,
  places: Map<string, string>,
): Promise<TestEvent[]> {
  const events = Array.from({ length: count }, (_, n) =>
    makeEvent("token.price_changed", { token_id: "tok_1", n }),
  );
  for (const [n, event] of events.entries()) {
    const node = nodes[n % nodes.length];
    const cursor = node === undefined ? undefined : await deliver(node, event);
    if (cursor !== undefined && cursor !== "known") name(places, cursor, event.id);
  }
  return events;
}

/** No place names two events, whoever says so. */
function name(places: Map<string, string>, cursor: string, id: string): void {
  const other = places.get(cursor);
  if (other !== undefined) expect(other, `${cursor} names two events`).toBe(id);
  places.set(cursor, id);
}

async function stored(node: TestNode): Promise<string[]> {
  const ids: string[] = [];
  const headers = { authorization: `Bearer ${await token(everything)}` };
  for (let next: string | undefined; ; ) {
    const query = `limit=1000${next === undefined ? "" : `&since=${next}`}`;
    const response = await fetch(`${node.url}/v1/events?${query}`, { headers });
    const page = (await response.json()) as { events: { event: { id: string } }[]; next: string };
    ids.push(...page.events.map(({ event }) => event.id));
    if (page.events.length < 1000) return ids;
    next = page.next;
  }
}

async function sdk(node: TestNode): Promise<{ relay: Relay; ids: string[] }> {
  const relay = createRelay({ url: node.url, token: () => token(everything) });
  endWithTest(() => relay.close());
  const ids: string[] = [];
  await relay.on("token.price_changed", (event) => ids.push(event.id)).ready;
  return { relay, ids };
}

async function stock(node: TestNode): Promise<StockClient> {
  const client = await connect(node.url, await token(everything));
  expect(await client.request("subscribe", { topics: ["*"] })).toMatchObject({ ok: true, state: "live" });
  return client;
}

describe("a failover to a replica that never saw what was acknowledged", () => {
  it("brings every acknowledged event back, names no place twice, and gives every subscriber each event once", {
    timeout: 120_000,
  }, async () => {
    const { redis, nodes } = await group(2);
    const places = new Map<string, string>();
    const handlers = await Promise.all(nodes.map(sdk));
    const sockets = await Promise.all(nodes.map(stock));
    const first = await deliverAll(nodes, 40, places);
    await redis.caughtUp();
    const { old, written } = await loseWrites(redis, () => deliverAll(nodes, 30, places));
    // the sender never stops; what comes while there is no master is posted again until it is taken
    const after = deliverAll(nodes, 30, places);
    await redis.failedOver(old);
    const all = [...first, ...written, ...(await after)].map(({ id }) => id);

    for (const node of nodes) {
      await until(async () => (await stored(node)).length >= all.length, {
        ...patience,
        what: "everything acknowledged to be stored again",
      });
      expect((await stored(node)).sort()).toEqual([...all].sort());
    }
    for (const { ids } of handlers) {
      await until(() => ids.length >= all.length, { ...patience, what: "a handler to have every event" });
      expect([...ids].sort()).toEqual([...all].sort());
    }
    for (const client of sockets) {
      await until(() => client.got.length >= all.length, {
        ...patience,
        what: "a socket to have every event",
      });
      // also on the wire: the relay knows what it sent on this connection
      expect([...client.ids()].sort()).toEqual([...all].sort());
      for (const { event, meta } of client.got) name(places, String(meta.cursor), event.id);
      expect(client.notices.filter(({ name: notice }) => notice === "relay.gap")).toEqual([]);
    }
    const epochs = new Set([...places.keys()].map((cursor) => cursor.split("-")[0]));
    expect(epochs.size).toBeGreaterThan(1);
  });

  it("is told to those who come past it, where nobody is left who knows what was lost", {
    timeout: 120_000,
  }, async () => {
    const { redis, nodes } = await group(1);
    const [node] = nodes;
    if (node === undefined) throw new Error("no node");
    const places = new Map<string, string>();
    const before = await stock(node);
    const first = await deliverAll(nodes, 10, places);
    await until(() => before.got.length === 10);
    const cursor = String(before.got.at(-1)?.meta.cursor);
    before.socket.disconnect();
    await redis.caughtUp();
    let second = node;
    const { old, written } = await loseWrites(redis, async () => {
      const gone = await deliverAll([node], 5, places);
      await node.relay.stop();
      // a node that has just started knows that they were there, and not what they were
      second = await startNode({ redisUrl: redis.url });
      return gone;
    });
    await redis.failedOver(old);
    await until(async () => (await fetch(`${second.url}/readyz`)).status === 200, patience);
    const client = await connect(second.url, await token(everything));
    await until(
      async () => (await client.request("subscribe", { topics: ["*"], since: cursor }))["ok"] === true,
      patience,
    );
    await until(() => client.notices.some((n) => n.name === "relay.gap"), patience);
    const lastKnown = [...places].find(([, id]) => id === written.at(-1)?.id)?.[0];
    expect(client.notices.find((n) => n.name === "relay.gap")?.notice).toMatchObject({
      reason: "log_lost",
      certain: false,
      topics: ["*"],
      from: cursor,
      to: lastKnown,
    });
    const next = await deliverAll([second], 1, places);
    await until(() => client.got.length > 0, patience);
    expect(client.ids()).toEqual(next.map(({ id }) => id));
    expect(await stored(second)).toEqual([...first, ...next].map(({ id }) => id));
  });
});
