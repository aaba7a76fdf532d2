import { createRelay } from "@sharmo-relay/client";
import { describe, expect, it } from "vitest";
import { freePort, startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { startProxy } from "../../apps/relay/src/log/tcp-proxy.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { startNode, type TestNode } from "../support/node.ts";
import { open } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, postTo, type TestEvent } from "../support/webhook.ts";

const everything = { scope: "events:*" };

/** Whoever leads new connections to the node that serves, as a balancer does that asks for readiness. */
interface Balancer {
  readonly url: string;
  leadTo(node: TestNode): void;
}

async function startBalancer(to: TestNode): Promise<Balancer> {
  const proxy = await startProxy(to.relay.port);
  endWithTest(() => proxy.close());
  return {
    url: `http://127.0.0.1:${proxy.port}`,
    leadTo: (node) => proxy.retarget(node.relay.port),
  };
}

/** Posts one event after the other until told to end; each again until it is answered 200, as the vendor does. */
function startPosting(url: string): { sent: readonly TestEvent[]; end(): Promise<void> } {
  const sent: TestEvent[] = [];
  let going = true;
  const posting = (async () => {
    while (going) {
      const event = makeEvent("token.price_changed", { token_id: `tok_${sent.length % 7}`, n: sent.length });
      sent.push(event);
      await until(async () => (await postTo(url, event)).status === 200, { what: "a 200" });
    }
  })();
  return {
    sent,
    end: () => {
      going = false;
      return posting;
    },
  };
}

interface Seen {
  readonly ids: () => readonly string[];
  readonly isBack: () => boolean;
}

/** As `docs/protocol.md` shows it: the last cursor, and each id once. */
async function stockClient(url: string): Promise<Seen> {
  const client = open(
    url,
    { token: await token(everything) },
    { reconnection: true, reconnectionDelay: 100 },
  );
  const ids: string[] = [];
  let cursor: string | undefined;
  let subscribed = false;
  const subscribe = (): void => {
    client.socket.emit(
      "subscribe",
      { topics: ["token.*"], since: cursor },
      (ack: Record<string, unknown>) => {
        subscribed = ack["ok"] === true;
        cursor ??= String(ack["cursor"]);
        if (!subscribed) setTimeout(subscribe, 100);
      },
    );
  };
  client.socket.on("connect", subscribe);
  client.socket.on("disconnect", () => {
    subscribed = false;
  });
  client.socket.on("relay.draining", ({ reconnect_after_ms: ms }: { reconnect_after_ms: number }) => {
    setTimeout(() => client.socket.disconnect().connect(), ms);
  });
  client.socket.onAny((name: string, event: TestEvent, meta: { cursor?: string }) => {
    if (name.startsWith("relay.")) return;
    ids.push(event.id);
    cursor = meta.cursor ?? cursor;
  });
  await until(() => subscribed);
  return { ids: () => ids, isBack: () => subscribed };
}

async function sdkClient(url: string): Promise<Seen> {
  const relay = createRelay({ url, token: () => token(everything) });
  endWithTest(() => relay.close());
  const ids: string[] = [];
  await relay.on("token.*", (event) => ids.push(event.id)).ready;
  return { ids: () => ids, isBack: () => relay.status.state === "live" };
}

describe("two nodes on one Redis, restarted one after the other under load", () => {
  it("lose nothing, send nothing twice, and have every client back", async () => {
    const redis = await startRedis({ appendonly: true });
    endWithTest(() => redis.stop());
    const start = async (port: number): Promise<TestNode> => startNode({ redisUrl: redis.url, port });
    const ports = [await freePort(), await freePort()] as const;
    let nodes: [TestNode, TestNode] = [await start(ports[0]), await start(ports[1])];
    const balancers = [await startBalancer(nodes[0]), await startBalancer(nodes[1])] as const;
    const clients: Seen[] = [];
    for (let n = 0; n < 6; n++) {
      const { url } = balancers[n % 2 === 0 ? 0 : 1];
      clients.push(await (n < 3 ? sdkClient(url) : stockClient(url)));
    }
    const posting = startPosting(balancers[0].url);
    for (const which of [0, 1] as const) {
      await until(() => clients.every(({ ids }) => ids().length > 20));
      const stays = nodes[which === 0 ? 1 : 0];
      for (const balancer of balancers) balancer.leadTo(stays);
      const before = posting.sent.length;
      await nodes[which].relay.stop();
      const again = await start(ports[which]);
      nodes = which === 0 ? [again, nodes[1]] : [nodes[0], again];
      expect(posting.sent.length).toBeGreaterThan(before);
      await until(() => clients.every(({ isBack }) => isBack()), { what: "every client to be back" });
    }
    await posting.end();
    const sent = posting.sent.map(({ id }) => id);
    await until(() => clients.every(({ ids }) => ids().length >= sent.length), {
      within: 20_000,
      what: "every event at every client",
    });
    for (const { ids } of clients) expect(ids()).toEqual(sent);
  });
});
