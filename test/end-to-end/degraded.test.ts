import { createRelay } from "@sharmo-relay/client";
import { describe, expect, it } from "vitest";
import { startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { startNode } from "../support/node.ts";
import { connect } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post } from "../support/webhook.ts";

const everything = { scope: "events:*" };

describe("a node that cannot reach its log", () => {
  it("says so to each client once, but only if it lasts, and says when it is over", async () => {
    const redis = await startRedis();
    endWithTest(() => redis.stop());
    const { url } = await startNode({ redisUrl: redis.url });
    const stock = await connect(url, await token(everything));
    await stock.request("subscribe", { topics: ["*"] });
    const told = (): unknown[] =>
      stock.notices.filter(({ name }) => name === "relay.degraded").map(({ notice }) => notice);
    const sdk = createRelay({ url, token: () => token(everything) });
    endWithTest(() => sdk.close());
    const statuses: [string, boolean, string][] = [];
    sdk.onStatus(({ state, degraded, message }) => statuses.push([state, degraded, message]));
    await sdk.on("*", () => undefined).ready;
    await until(() => sdk.status.state === "live");
    const headers = { authorization: `Bearer ${await token(everything)}` };
    const stream = await fetch(`${url}/v1/stream?topic=*`, { headers });
    const reader = stream.body?.getReader();
    let text = "";
    void (async () => {
      for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
        text += Buffer.from(part.value).toString("utf8");
      }
    })().catch(() => undefined);
    endWithTest(() => reader?.cancel());

    const handshakes = async (): Promise<number> =>
      (await fetch(`${url}/v1/stream?topic=*`, { headers })).status;
    redis.pause();
    await until(async () => (await fetch(`${url}/readyz`)).status === 503, { what: "not ready" });
    redis.resume();
    await until(async () => (await fetch(`${url}/readyz`)).status === 200, { what: "ready again" });
    expect(told()).toEqual([]);

    redis.pause();
    // five seconds without an answer: out of step; five more: told
    await until(async () => (await handshakes()) === 503, { what: "out of step", within: 15_000 });
    const out = performance.now();
    await until(() => told().length === 1, { within: 15_000, what: "the notice" });
    expect(performance.now() - out).toBeGreaterThan(4_000);
    expect(stock.socket.connected).toBe(true);
    await until(() => sdk.status.degraded);
    expect(sdk.status).toMatchObject({ state: "live", degraded: true, message: "Live: events may be late" });
    redis.resume();
    await until(() => told().length === 2, { what: "its end" });
    expect(told()).toEqual([{ degraded: true }, { degraded: false }]);
    await until(() => !sdk.status.degraded);
    expect(statuses.filter(([, degraded]) => degraded)).toEqual([["live", true, "Live: events may be late"]]);
    await post(url, makeEvent("token.created", { token_id: "t" }));
    await until(() => stock.got.length === 1 && text.includes("event: token.created"));
    expect(text).toMatch(
      /event: relay\.degraded\ndata: \{"degraded":true\}\n\n[\s\S]*event: relay\.degraded\ndata: \{"degraded":false\}\n\n/,
    );
    expect(told()).toHaveLength(2);
  });
});
