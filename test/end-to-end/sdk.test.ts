import { createRelay, type GapInfo, RelayError, type RelayOptions } from "@sharmo-relay/client";
import { describe, expect, it } from "vitest";
import { freePort, startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { startNode } from "../support/node.ts";
import { type TokenOptions, token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post } from "../support/webhook.ts";

function sdk(
  url: string,
  claims: TokenOptions = { scope: "events:*" },
  options: Partial<RelayOptions> = {},
): ReturnType<typeof createRelay> {
  const relay = createRelay({ url, token: () => token(claims), ...options });
  endWithTest(() => relay.close());
  return relay;
}

const prices = (count: number, tokens = 3): ReturnType<typeof makeEvent>[] =>
  Array.from({ length: count }, (_, n) =>
    makeEvent("token.price_changed", { token_id: `tok_${n % tokens}`, current_price: n + 0.5 }),
  );

describe("the client SDK on a real relay", () => {
  it("gives a handler the latest values, then every event as it happens, typed and in order", async () => {
    const { url } = await startNode();
    const before = prices(9);
    await post(url, ...before);
    const relay = sdk(url);
    const got: [string, string, number | undefined][] = [];
    const sub = relay.on("token.price_changed", (e) => got.push([e.delivery, e.id, e.data.current_price]), {
      snapshot: true,
    });
    expect(await sub.ready).toMatchObject({ recovered: true });
    const after = prices(4);
    await post(url, ...after);
    await until(() => got.length === 7);
    expect(got.map(([delivery]) => delivery)).toEqual([
      ...Array(3).fill("snapshot"),
      ...Array(4).fill("live"),
    ]);
    expect(got.map(([, id]) => id)).toEqual([...before.slice(-3), ...after].map(({ id }) => id));
    expect(got.at(-1)?.[2]).toBe(3.5);
  });

  it("goes on after the relay was restarted: each event once, in order, nothing missing", async () => {
    const redis = await startRedis({ appendonly: true });
    endWithTest(() => redis.stop());
    const port = await freePort();
    const other = await startNode({ redisUrl: redis.url });
    let serving = await startNode({ redisUrl: redis.url, port });
    const relay = sdk(serving.url);
    const narrow: string[] = [];
    const wide: string[] = [];
    const narrowSub = relay.on("token.price_changed", { token_id: "tok_1" }, (e) => narrow.push(e.id));
    const wideSub = relay.on("token.*", (e) => wide.push(e.id));
    await Promise.all([narrowSub.ready, wideSub.ready]);
    const all: ReturnType<typeof makeEvent>[] = [];
    for (let round = 0; round < 3; round++) {
      const events = prices(30);
      all.push(...events);
      const posting = post(other.url, ...events);
      await until(() => wide.length > all.length - 25);
      await serving.relay.stop();
      await posting;
      serving = await startNode({ redisUrl: redis.url, port });
    }
    const last = prices(3);
    all.push(...last);
    await post(other.url, ...last);
    await until(() => wide.length >= all.length, { within: 30_000, what: "every event" });
    expect(wide).toEqual(all.map(({ id }) => id));
    expect(narrow).toEqual(
      all.filter(({ data }) => JSON.stringify(data).includes("tok_1")).map(({ id }) => id),
    );
    expect(relay.status.state).toBe("live");
  });

  it("iterates over events, as slowly as the reader likes", async () => {
    const { url } = await startNode();
    const relay = sdk(url);
    const events = prices(60);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const e of relay.stream("token.*", { buffer: 5 })) {
        seen.push(e.id);
        await new Promise(setImmediate);
        if (seen.length === events.length) break;
      }
    })();
    await until(() => relay.status.state === "live");
    await until(async () =>
      (await (await fetch(`${url}/metrics`)).text()).includes("sharmo_relay_subscriptions_open 1"),
    );
    await post(url, ...events);
    await reading;
    expect(seen).toEqual(events.map(({ id }) => id));
  });

  it("says by name which topic is not granted, and leaves the others alone", async () => {
    const { url } = await startNode();
    const relay = sdk(url, {});
    const refused = relay.on("transaction.*", () => undefined, { onError: () => undefined });
    const error: unknown = await refused.ready.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RelayError);
    expect(error).toMatchObject({ code: "forbidden", message: expect.stringContaining("transaction.*") });
    const got: string[] = [];
    await relay.on("token.price_changed", (e) => got.push(e.id)).ready;
    const [event] = prices(1);
    if (event !== undefined) await post(url, event);
    await until(() => got.length === 1);
  });

  it("is handed a gap with what is missing, and starts anew from the latest values when asked", async () => {
    const { url } = await startNode();
    const events = prices(3);
    await post(url, ...events);
    const relay = sdk(url);
    const gaps: GapInfo[] = [];
    const got: [string, string][] = [];
    relay.on("token.price_changed", (e) => got.push([e.delivery, e.id]), {
      since: "anotherlog123-7",
      onGap: (gap) => {
        gaps.push(gap);
        gap.resync();
      },
    });
    await until(() => got.length === 3);
    expect(gaps).toMatchObject([
      { reason: "unknown_cursor", certain: false, topics: ["token.price_changed"] },
    ]);
    expect(got.map(([delivery]) => delivery)).toEqual(["snapshot", "snapshot", "snapshot"]);
  });

  it("renews its token in place, and its handlers notice nothing", async () => {
    const { url } = await startNode();
    let asked = 0;
    const firstExpires = Date.now() + 3_000;
    const relay = createRelay({
      url,
      token: () => {
        asked++;
        return token({ scope: "events:*", lifetime: asked === 1 ? 3 : 3_600 });
      },
    });
    endWithTest(() => relay.close());
    const got: string[] = [];
    const states = new Set<string>();
    relay.onStatus(({ state }) => states.add(state));
    await relay.on("token.*", (e) => got.push(e.id)).ready;
    await until(() => asked === 2, { within: 5_000, what: "a second token" });
    await until(() => Date.now() > firstExpires + 500, { what: "the first token to be long expired" });
    const events = prices(2);
    await post(url, ...events);
    await until(() => got.length === 2);
    expect([...states]).not.toContain("reconnecting");
  });
});
