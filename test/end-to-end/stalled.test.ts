import { readFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { endWithTest } from "../support/cleanup.ts";
import { jwtSecret, webhookSecret } from "../support/node.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { connect, pauseReading, type StockClient } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post } from "../support/webhook.ts";

const MiB = 1024 * 1024;
const everything = { scope: "events:*" };
/** 200 events of it are 50 MB. */
const payload = "x".repeat(250_000);

/** As a process of its own, so that its memory is its own; the memory for recent events is small and soon full. */
async function start(env: Readonly<Record<string, string>> = {}): Promise<TestRelay> {
  const relay = await startRelay({
    env: {
      // its events compress to almost nothing, and would fill no buffer
      RELAY_COMPRESSION: "off",
      SHARMO_WEBHOOK_SECRETS: webhookSecret,
      JWT_SECRET: jwtSecret,
      RELAY_MEMORY_BYTES: "4MiB",
      ...env,
    },
  });
  endWithTest(() => relay.stop());
  return relay;
}

/** Anonymous memory: the pages of the store's file come and go as the system likes. */
async function memoryOf({ pid }: TestRelay): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** The most that was seen until it is ended. */
function watchMemory(relay: TestRelay): { end(): Promise<number> } {
  let most = 0;
  let watching = true;
  const looking = (async () => {
    while (watching) {
      most = Math.max(most, await memoryOf(relay));
      await sleep(20);
    }
  })();
  return {
    end: async () => {
      watching = false;
      await looking;
      return most;
    },
  };
}

async function follow(relay: TestRelay, since?: string): Promise<StockClient> {
  const client = await connect(relay.url, await token(everything));
  expect(await client.request("subscribe", { topics: ["*"], since })).toMatchObject({ ok: true });
  return client;
}

/** How long each event took from being accepted to this client, in milliseconds. */
function delaysOf(client: StockClient): number[] {
  const delays: number[] = [];
  client.socket.onAny((name: string, _event: unknown, meta: { at: number }) => {
    if (!name.startsWith("relay.")) delays.push(Date.now() - meta.at);
  });
  return delays;
}

interface EventStream {
  readonly response: IncomingMessage;
  readonly ids: readonly string[];
}

async function openStream(relay: TestRelay, since?: string): Promise<EventStream> {
  const asking = request(`${relay.url}/v1/stream?topic=*${since === undefined ? "" : `&since=${since}`}`, {
    headers: { authorization: `Bearer ${await token(everything)}` },
  });
  endWithTest(() => asking.destroy());
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asking.on("response", resolve).on("error", reject);
    asking.end();
  });
  const ids: string[] = [];
  let notices = "";
  let rest = "";
  response.setEncoding("utf8");
  response.on("data", (part: string) => {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const id = /^data: \{"id":"(evt_[0-9a-f]+)"/.exec(line)?.[1];
      if (id !== undefined) ids.push(id);
      else if (line.startsWith("event: relay.")) notices += line;
    }
  });
  response.on("error", () => undefined);
  await until(() => notices.includes("relay.cursor"));
  return { response, ids };
}

async function publish(relay: TestRelay, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const event = makeEvent("transaction.created", { n, payload });
    await post(relay.url, event);
    ids.push(event.id);
  }
  return ids;
}

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;

const metric = async (relay: TestRelay, name: string): Promise<number> =>
  Number(
    new RegExp(`^sharmo_relay_${name} (\\d+)$`, "m").exec(
      await (await fetch(`${relay.url}/metrics`)).text(),
    )?.[1],
  );

const longest = 120_000;

describe("readers that take nothing while 50 MB are published", () => {
  it("cost the node less than 20 MB, delay nobody, and get everything in order afterwards", {
    timeout: longest,
  }, async () => {
    const relay = await start();
    const reader = await follow(relay);
    const delays = delaysOf(reader);
    const [socket, stream] = [await follow(relay), await openStream(relay)];
    const all = (count: number): boolean =>
      reader.got.length === count && socket.got.length === count && stream.ids.length === count;
    // the heap grows for a while by itself
    const first = await publish(relay, 200);
    await until(() => all(200));
    // the same without anybody stalled: what publishing alone takes, its garbage included
    const calm = watchMemory(relay);
    first.push(...(await publish(relay, 200)));
    await until(() => all(400));
    const usual = await calm.end();
    const usualDelay = percentile(delays.splice(0), 0.95);

    const goOn = pauseReading(socket);
    stream.response.socket.pause();
    const hard = watchMemory(relay);
    const second = await publish(relay, 200);
    await until(() => reader.got.length === 600);
    const most = await hard.end();
    expect(most - usual).toBeLessThan(20 * MiB);
    expect(percentile(delays, 0.95)).toBeLessThan(usualDelay + 50);
    expect(await metric(relay, "lagged_total")).toBeGreaterThanOrEqual(2);

    goOn();
    stream.response.socket.resume();
    await until(() => socket.got.length >= 600 && stream.ids.length >= 600, {
      within: 30_000,
      what: "everything",
    });
    expect(socket.ids()).toEqual([...first, ...second]);
    expect(stream.ids).toEqual([...first, ...second]);
    expect(reader.ids()).toEqual([...first, ...second]);
  });

  it("cost no more when they go on asking", { timeout: longest }, async () => {
    const relay = await start();
    await publish(relay, 24);
    const client = await connect(relay.url, await token(everything));
    const read = async (): Promise<Record<string, unknown>> =>
      (await client.socket
        .timeout(50_000)
        .emitWithAck("read", { topics: ["*"], since, limit: 1_000 })) as Record<string, unknown>;
    const ack = await client.request("subscribe", { topics: ["*"], snapshot: true });
    const since = String(ack["cursor"]).replace(/-\d+$/, "-0");
    const calm = watchMemory(relay);
    for (let n = 0; n < 30; n++) expect(await read()).toMatchObject({ ok: true });
    const usual = await calm.end();
    const goOn = pauseReading(client);
    const hard = watchMemory(relay);
    const answers = Promise.all(Array.from({ length: 120 }, read));
    // looked at in the end; should the test fail before, that is what is told
    answers.catch(() => undefined);
    // others are served meanwhile
    const reader = await follow(relay);
    await publish(relay, 24);
    await until(() => reader.got.length === 24);
    // the answers themselves would be some 360 MiB
    expect((await hard.end()) - usual).toBeLessThan(60 * MiB);
    goOn();
    for (const answer of await answers) expect(answer).toMatchObject({ ok: true });
  });
});

describe("a reader that takes nothing for the stall limit", () => {
  it("is closed, is counted, and goes on from its cursor", { timeout: longest }, async () => {
    const relay = await start({ RELAY_STALL_LIMIT: "2s" });
    const [socket, slow, stream] = [await follow(relay), await follow(relay), await openStream(relay)];
    const [first] = await publish(relay, 1);
    await until(() => socket.got.length === 1 && slow.got.length === 1 && stream.ids.length === 1);
    const cursor = socket.got[0]?.meta.cursor;
    const goOn = pauseReading(socket);
    stream.response.socket.pause();
    let reading = true;
    // takes a little now and then, and so may stay
    const trickle = (async () => {
      while (reading) {
        const takeMore = pauseReading(slow);
        await sleep(300);
        takeMore();
        await sleep(1);
      }
    })();
    const sent = await publish(relay, 100);
    await until(async () => (await metric(relay, "stalled_total")) === 2, {
      within: 20_000,
      what: "two closed",
    });
    expect(relay.output()).toMatch(/"sub":"user_1","waiting":\d+,"msg":"a client took nothing/);
    reading = false;
    await trickle;
    await until(() => slow.got.length === 101, { within: 30_000, what: "everything at the slow one" });
    expect(slow.socket.connected).toBe(true);
    expect(await metric(relay, "stalled_total")).toBe(2);
    const reason = new Promise((resolve) => socket.socket.once("disconnect", resolve));
    goOn();
    expect(["transport close", "transport error"]).toContain(await reason);
    const again = await follow(relay, cursor);
    const streamed = await openStream(relay, cursor);
    await until(() => again.got.length === 100 && streamed.ids.length === 100, { within: 30_000 });
    expect(again.ids()).toEqual(sent);
    expect(streamed.ids).toEqual(sent);
    expect([first, ...sent]).toEqual(slow.ids());
  });
});
