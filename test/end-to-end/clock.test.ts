/** Clocks that are set, ten minutes either way, while events come in: of the relay, of the sender, of Redis. */
import { createHmac } from "node:crypto";
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createRelay } from "@sharmo-relay/client";
import { describe, expect, it } from "vitest";
import { startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { jwtSecret, tempDir, webhookSecret } from "../support/node.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { connect } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, postWebhook, type TestEvent } from "../support/webhook.ts";

const minutes = 60_000;
const clockModule = pathToFileURL(join(import.meta.dirname, "../support/stepped-clock.mjs")).href;

interface Stepped extends TestRelay {
  /** Sets its clock so far off the real one. */
  setClock(offMs: number): Promise<void>;
}

async function start(env: Record<string, string> = {}): Promise<Stepped> {
  const file = join(await tempDir(), "clock");
  const relay = await startRelay({
    dataDir: await tempDir(),
    env: {
      JWT_SECRET: jwtSecret,
      SHARMO_WEBHOOK_SECRETS: webhookSecret,
      NODE_OPTIONS: `--import=${clockModule}`,
      TEST_CLOCK_FILE: file,
      ...env,
    },
  });
  endWithTest(() => relay.stop());
  const setClock = async (offMs: number): Promise<void> => {
    await writeFile(file, String(offMs));
    process.kill(relay.pid, "SIGUSR2");
    await until(
      async () =>
        access(file).then(
          () => false,
          () => true,
        ),
      { what: "the clock to be set" },
    );
  };
  return { ...relay, setClock };
}

/** `at`: how far the sender's clock is off, in milliseconds. */
function signedAt(event: TestEvent, offMs: number): Record<string, string> {
  const seconds = Math.floor((Date.now() + offMs) / 1000);
  const digest = createHmac("sha256", webhookSecret)
    .update(`${seconds}.${JSON.stringify(event)}`)
    .digest("hex");
  return { "sharmo-signature": `t=${seconds},v1=${digest}` };
}

const made = (count: number): TestEvent[] =>
  Array.from({ length: count }, (_, n) => makeEvent("token.price_changed", { token_id: `tok_${n % 3}`, n }));

interface Follower {
  readonly ids: () => readonly string[];
  readonly sequences: () => readonly number[];
  readonly trouble: () => readonly string[];
}

async function follow(url: string): Promise<Follower> {
  const client = await connect(url, await token({ scope: "events:*" }));
  await client.request("subscribe", { topics: ["*"] });
  const sdk = createRelay({ url, token: () => token({ scope: "events:*" }) });
  endWithTest(() => sdk.close());
  const seen: string[] = [];
  await sdk.on("*", (event) => seen.push(event.id)).ready;
  const trouble: string[] = [];
  client.socket.on("disconnect", (why) => trouble.push(why));
  return {
    ids: () => (seen.join() === client.ids().join() ? seen : []),
    sequences: () => client.got.map(({ meta }) => Number(meta.cursor?.split("-")[1])),
    trouble: () => [
      ...trouble,
      ...client.notices.map(({ name }) => name).filter((name) => name !== "relay.cursor"),
    ],
  };
}

async function post(relay: TestRelay, events: readonly TestEvent[]): Promise<void> {
  for (const event of events)
    expect((await postWebhook(relay, event)).body).toMatchObject({ status: "accepted" });
}

async function expectReady(relay: TestRelay): Promise<void> {
  const ready = await fetch(`${relay.url}/readyz`);
  expect({ status: ready.status, body: await ready.text() }).toMatchObject({ status: 200 });
}

const logs = [
  { log: "embedded", env: async () => ({}) },
  {
    log: "redis",
    env: async () => {
      const redis = await startRedis();
      endWithTest(() => redis.stop());
      return { REDIS_URL: redis.url };
    },
  },
];

describe.each(logs)("a relay ($log log) whose clock is set", ({ env }) => {
  it("ten minutes on, back, and on again stays ready, and delivers everything once and in order", async () => {
    const relay = await start(await env());
    const follower = await follow(relay.url);
    const events = made(60);
    const steps = [10 * minutes, 0, -10 * minutes, 10 * minutes, -10 * minutes];
    for (const [round, off] of steps.entries()) {
      await post(relay, events.slice(round * 10, round * 10 + 5));
      await relay.setClock(off);
      await expectReady(relay);
      // a token and a handshake of now are still good: the clock of whoever made the token is off by as much
      await post(relay, events.slice(round * 10 + 5, round * 10 + 10));
      await expectReady(relay);
    }
    await relay.setClock(0);
    await post(relay, events.slice(50));
    await until(() => follower.ids().length === events.length, { what: "every event at both clients" });
    expect(follower.ids()).toEqual(events.map(({ id }) => id));
    expect(follower.sequences()).toEqual(events.map((_, n) => n + 1));
    expect(follower.trouble()).toEqual([]);
    const again = events[7];
    if (again !== undefined)
      expect((await postWebhook(relay, again)).body).toMatchObject({ status: "duplicate" });
    // a client that comes now gets all of it from the log, or from memory, without a gap
    const late = await connect(relay.url, await token({ scope: "events:*" }));
    const first = await fetch(`${relay.url}/v1/events?limit=1`, {
      headers: { authorization: `Bearer ${await token({ scope: "events:* relay:read" })}` },
    });
    const page = (await first.json()) as { events: { cursor: string }[] };
    const ack = await late.request("subscribe", { topics: ["*"], since: page.events[0]?.cursor });
    expect(ack).toMatchObject({ ok: true, recovered: true });
    expect(ack["gap"]).toBeUndefined();
    await until(() => late.got.length === events.length - 1);
    expect(late.ids()).toEqual(events.slice(1).map(({ id }) => id));
  });
});

/** How far a clock is off, and what the refusal says; a busy machine may take some seconds in between. */
const differences = [
  { relayOff: 10 * minutes, senderOff: 0, words: /6[0-4][0-9] s behind the relay's clock/ },
  { relayOff: -10 * minutes, senderOff: 0, words: /(5[5-9][0-9]|60[01]) s ahead of the relay's clock/ },
  { relayOff: 0, senderOff: -10 * minutes, words: /6[0-4][0-9] s behind the relay's clock/ },
  { relayOff: 0, senderOff: 10 * minutes, words: /(5[5-9][0-9]|60[01]) s ahead of the relay's clock/ },
];

describe("a sender whose clock and the relay's differ by more than the window", () => {
  it("is told so, whosever clock is wrong; nothing is lost, and the retry is accepted once it is right", async () => {
    const relay = await start();
    const follower = await follow(relay.url);
    const authorization = `Bearer ${await token({ scope: "events:* relay:read relay:admin" })}`;
    const sent: string[] = [];
    for (const { relayOff, senderOff, words } of differences) {
      await relay.setClock(relayOff);
      const events = made(2);
      for (const event of events) {
        sent.push(event.id);
        const headers = signedAt(event, senderOff);
        const answer = await postWebhook(relay, event, { scheme: "none", headers });
        expect(answer).toMatchObject({ status: 401, body: { code: "stale_signature" } });
        const { message } = answer.body as { readonly message?: string };
        expect(message).toMatch(/^Compare the clocks of Sharmo and the relay/);
        expect(message).toMatch(words);
      }
      await relay.setClock(0);
      // one is posted again by the sender, signed anew; both by an operator, from quarantine
      for (const event of events.slice(1)) {
        const retry = await postWebhook(relay, event, { scheme: "none", headers: signedAt(event, 0) });
        expect(retry.body).toMatchObject({ status: "accepted" });
      }
      const list = await fetch(`${relay.url}/v1/quarantine`, { headers: { authorization } });
      const { items } = (await list.json()) as { items: { id: string; reason: string }[] };
      expect(items.map(({ reason }) => reason)).toEqual(["stale_signature", "stale_signature"]);
      const answers: string[] = [];
      for (const { id } of items) {
        const again = await fetch(`${relay.url}/v1/quarantine/${id}/retry`, {
          method: "POST",
          headers: { authorization },
        });
        answers.push(((await again.json()) as { status: string }).status);
      }
      expect(answers.sort()).toEqual(["accepted", "duplicate"]);
    }
    await until(() => follower.ids().length === sent.length);
    expect([...follower.ids()].sort()).toEqual([...sent].sort());
  });
});
