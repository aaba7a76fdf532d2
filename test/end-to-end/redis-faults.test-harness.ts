/**
 * A Redis with a relay on it, a sender that behaves as the vendor does, and two clients that must see every event
 * once: what is common to all faults of a Redis. A fault is a row; `sufferAndRecover` is what each must keep.
 */
import { createRelay } from "@sharmo-relay/client";
import { expect } from "vitest";
import {
  type RedisServer,
  type RedisServerOptions,
  startRedis,
} from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { startNode, type TestNode } from "../support/node.ts";
import { connect, type StockClient } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, postTo, type TestEvent } from "../support/webhook.ts";

/** Two seconds, and what a machine that runs other tests as well may take to hand an answer over. */
const promptMs = 2_000 + 400;

export interface Fault {
  readonly name: string;
  readonly redis?: RedisServerOptions;
  /** Sets it. */
  begin(bench: Bench): Promise<unknown>;
  /** Removes it. */
  end(bench: Bench): Promise<unknown>;
  /** Of what is in `/readyz` meanwhile. */
  readonly reason: { readonly code: string; readonly message: RegExp };
}

interface Answer {
  readonly status: number;
  readonly said: string | undefined;
  readonly retryAfter: string | null;
  readonly ms: number;
}

/** Posts from several threads without a pause, and each event again until it is answered 200. */
class Sender {
  readonly #url: string;
  readonly #make: () => TestEvent;
  readonly #threads: Promise<void>[] = [];
  #on = true;
  /** In the order they were answered. */
  readonly acknowledged: string[] = [];
  readonly answers: Answer[] = [];

  constructor(url: string, threads: number, make: () => TestEvent) {
    this.#url = url;
    this.#make = make;
    for (let n = 0; n < threads; n++) this.#threads.push(this.#thread());
  }

  async #thread(): Promise<void> {
    while (this.#on) {
      const event = this.#make();
      await until(async () => (await this.#post(event)).status === 200, { within: 25_000, every: 40 });
      this.acknowledged.push(event.id);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #post(event: TestEvent): Promise<Answer> {
    const answer = await postOnce(this.#url, event);
    this.answers.push(answer);
    return answer;
  }

  /** Resolves when everything that was begun is answered 200. */
  async stop(): Promise<void> {
    this.#on = false;
    await Promise.all(this.#threads);
  }
}

export async function postOnce(url: string, event: TestEvent): Promise<Answer> {
  const asked = performance.now();
  const { status, body, headers } = await postTo(url, event);
  const ms = performance.now() - asked;
  return { status, said: body.status ?? body.code, retryAfter: headers.get("retry-after"), ms };
}

export class Bench {
  readonly redis: RedisServer;
  /** Connected since before the fault: it still may do what a new connection could not. */
  readonly admin: Awaited<ReturnType<RedisServer["session"]>>;
  readonly node: TestNode;
  readonly stock: StockClient;
  readonly sdkIds: string[];
  /** What the SDK's status was, whenever it changed. */
  readonly sdkStatus: string[];
  #disconnects = 0;

  constructor(parts: Pick<Bench, "redis" | "admin" | "node" | "stock" | "sdkIds" | "sdkStatus">) {
    this.redis = parts.redis;
    this.admin = parts.admin;
    this.node = parts.node;
    this.stock = parts.stock;
    this.sdkIds = parts.sdkIds;
    this.sdkStatus = parts.sdkStatus;
    this.stock.socket.on("disconnect", () => this.#disconnects++);
  }

  send(threads = 4, data: () => Record<string, unknown> = () => ({})): Sender {
    let n = 0;
    return new Sender(this.node.url, threads, () =>
      makeEvent(n++ % 3 === 0 ? "transaction.created" : "token.price_changed", {
        token_id: `tok_${n % 5}`,
        n,
        ...data(),
      }),
    );
  }

  async ready(): Promise<{ status: number; codes: string[]; text: string }> {
    const response = await fetch(`${this.node.url}/readyz`);
    const body = (await response.json()) as { readonly reasons?: { code: string; message: string }[] };
    const reasons = body.reasons ?? [];
    const text = reasons.map(({ code, message }) => `${code}: ${message}`).join("\n");
    return { status: response.status, codes: reasons.map(({ code }) => code), text };
  }

  async healthy(): Promise<boolean> {
    return (await fetch(`${this.node.url}/healthz`)).status === 200;
  }

  /** Ids of everything stored, in order. */
  async stored(): Promise<string[]> {
    const authorization = `Bearer ${await token({ scope: "events:* relay:read" })}`;
    const ids: string[] = [];
    let since = "";
    for (;;) {
      const response = await fetch(`${this.node.url}/v1/events?limit=1000${since}`, {
        headers: { authorization },
      });
      const page = (await response.json()) as { events: { event: { id: string } }[]; next: string };
      if (page.events.length === 0) return ids;
      ids.push(...page.events.map(({ event }) => event.id));
      since = `&since=${page.next}`;
    }
  }

  expectConnected(): void {
    expect(this.stock.socket.connected).toBe(true);
    expect(this.#disconnects).toBe(0);
    expect(this.sdkStatus.filter((state) => state !== "live" && state !== "catching_up")).toEqual([]);
  }

  /** What was answered 200 is stored; what is stored reached both clients once, in the order of the log. */
  async expectWhole(acknowledged: readonly string[]): Promise<void> {
    const stored = await this.stored();
    expect([...stored].sort()).toEqual([...acknowledged].sort());
    await this.expectDelivered(stored);
  }

  /** Events come one by one, each as soon as it is stored: without announcements each would take up to a second. */
  async expectPrompt(): Promise<string[]> {
    const ids: string[] = [];
    const began = performance.now();
    for (let n = 0; n < 5; n++) {
      const event = makeEvent("token.created", { token_id: "t" });
      ids.push(event.id);
      expect((await postOnce(this.node.url, event)).status).toBe(200);
      await until(() => this.stock.got.at(-1)?.event.id === event.id);
    }
    expect(performance.now() - began).toBeLessThan(2_000);
    return ids;
  }

  async expectDelivered(ids: readonly string[]): Promise<void> {
    await until(() => this.stock.got.length >= ids.length && this.sdkIds.length >= ids.length, {
      what: `${ids.length} events at the clients`,
    });
    expect(this.stock.ids()).toEqual(ids);
    expect(this.sdkIds).toEqual(ids);
    expect(this.stock.notices.filter(({ name }) => name === "relay.gap")).toEqual([]);
    this.expectConnected();
  }
}

/**
 * Both clients follow everything from before the first event; `apart`: at another node than the one that takes
 * webhooks, so that they get only what is announced or read.
 */
export async function startBench(options: RedisServerOptions = {}, { apart = false } = {}): Promise<Bench> {
  const redis = await startRedis(options);
  endWithTest(() => redis.stop());
  const admin = await redis.session();
  const node = await startNode({ redisUrl: redis.url });
  const { url } = apart ? await startNode({ redisUrl: redis.url }) : node;
  const stock = await connect(url, await token({ scope: "events:*" }));
  expect(await stock.request("subscribe", { topics: ["*"] })).toMatchObject({ ok: true });
  const sdk = createRelay({ url, token: () => token({ scope: "events:*" }) });
  endWithTest(() => sdk.close());
  const sdkIds: string[] = [];
  await sdk.on("*", (event) => sdkIds.push(event.id)).ready;
  const sdkStatus = [sdk.status.state];
  sdk.onStatus(({ state }) => {
    if (state !== sdkStatus.at(-1)) sdkStatus.push(state);
  });
  return new Bench({ redis, admin, node, stock, sdkIds, sdkStatus });
}

/**
 * A fault that stops writes: webhooks get 503 in time, the relay stays alive and says why it is not ready, clients
 * stay, and everything recovers by itself.
 */
export async function sufferAndRecover(fault: Fault): Promise<void> {
  const bench = await startBench(fault.redis);
  const sender = bench.send();
  await until(() => sender.acknowledged.length > 20);
  await fault.begin(bench);

  const refused = (): boolean => sender.answers.some(({ status }) => status === 503);
  await until(refused, { what: "a webhook to be refused" });
  const answersBefore = sender.answers.length;
  const { code, message } = fault.reason;
  const text = await until(
    async () => {
      const { status, codes, text } = await bench.ready();
      return status === 503 && codes.includes(code) && message.test(text) && text;
    },
    { what: `readiness to say ${code} ${message}` },
  );
  expect(text).toMatch(/REDIS_URL/);
  await until(() => sender.answers.length >= answersBefore + 8, { what: "more webhooks to be answered" });
  expect(await bench.healthy()).toBe(true);
  bench.expectConnected();
  const during = sender.answers.slice(answersBefore);
  expect(during.filter(({ status }) => status === 200)).toEqual([]);

  await fault.end(bench);
  await until(async () => (await bench.ready()).status === 200, { what: "the relay to be ready again" });
  const before = sender.acknowledged.length;
  await until(() => sender.acknowledged.length > before + 20, { what: "webhooks to be taken again" });
  await sender.stop();
  for (const { status, said, retryAfter, ms } of sender.answers) {
    expect(ms).toBeLessThan(promptMs);
    if (status === 200) continue;
    expect({ status, said }).toEqual({ status: 503, said: "storage_unavailable" });
    expect(Number(retryAfter)).toBeGreaterThan(0);
  }
  await bench.expectWhole(sender.acknowledged);
}
