import { describe, expect, it } from "vitest";
import { startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { jwtSecret, tempDir, webhookSecret } from "../support/node.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { open } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, postTo, type TestEvent } from "../support/webhook.ts";

const rounds = 20;
const perRound = 60;
const posters = 8;

/** A client that comes back after each kill, with the cursor of the last event it got. */
class Ledger {
  readonly ids: string[] = [];
  readonly sequences: number[] = [];
  readonly gaps: unknown[] = [];
  #cursor: string | undefined;

  /** As a stock client does: it tries until the relay takes it, and subscribes at every connect. */
  async follow(url: string, bearer: string): Promise<() => void> {
    const { socket } = open(url, { token: bearer }, { reconnection: true, reconnectionDelay: 50 });
    socket.onAny((name: string, payload: { id: string }, meta?: { cursor: string }) => {
      if (name === "relay.gap") this.gaps.push(payload);
      if (meta === undefined) return;
      this.ids.push(payload.id);
      this.#cursor = meta.cursor;
      this.sequences.push(Number(meta.cursor.split("-")[1]));
    });
    let following = false;
    socket.on("connect", () => {
      const since = this.#cursor === undefined ? {} : { since: this.#cursor };
      socket.emit(
        "subscribe",
        { topics: ["*"], ...since },
        (ack: { ok: boolean; cursor: string; gap?: unknown }) => {
          if (ack.gap !== undefined) this.gaps.push(ack.gap);
          this.#cursor ??= ack.cursor;
          following = ack.ok;
        },
      );
    });
    await until(() => following, { what: "the client to be subscribed", within: 30_000 });
    return () => socket.disconnect();
  }
}

/** Posts from several senders at once until all are answered or the relay is gone; resolves with the ids answered 200. */
async function postAll(
  url: string,
  events: readonly TestEvent[],
  answered: (count: number) => void,
): Promise<Set<string>> {
  const acknowledged = new Set<string>();
  const queue = [...events];
  const sender = async (): Promise<void> => {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      const answer = await postTo(url, event).catch(() => undefined);
      if (answer === undefined) return;
      if (answer.status === 200) acknowledged.add(event.id);
      answered(acknowledged.size);
    }
  };
  await Promise.all(Array.from({ length: posters }, sender));
  return acknowledged;
}

async function killAgainAndAgain(start: () => Promise<TestRelay>): Promise<void> {
  const ledger = new Ledger();
  const bearer = await token({ scope: "events:* relay:read" });
  const everything: TestEvent[] = [];
  let relay = await start();
  for (let round = 0; round < rounds; round++) {
    const events = Array.from({ length: perRound }, (_, n) =>
      makeEvent(n % 3 === 0 ? "transaction.created" : "token.price_changed", { token_id: `tok_${n % 5}`, n }),
    );
    everything.push(...events);
    const dying = relay;
    const leave = await ledger.follow(dying.url, bearer);
    const moment = 1 + Math.floor((round / rounds) * (perRound - posters));
    let killed: Promise<unknown> | undefined;
    const acknowledged = await postAll(dying.url, events, (count) => {
      if (count >= moment) killed ??= dying.kill();
    });
    await killed;
    leave();
    expect(acknowledged.size).toBeGreaterThanOrEqual(moment);

    relay = await start();
    const leaveNext = await ledger.follow(relay.url, bearer);
    for (const event of events) {
      const { status, body } = await postTo(relay.url, event);
      expect(status).toBe(200);
      if (acknowledged.has(event.id)) {
        expect(body.status, `${event.id} was answered 200 before the kill`).toBe("duplicate");
      }
    }
    await until(() => ledger.ids.length >= everything.length, { what: "every event to reach the client" });
    leaveNext();
  }
  await checkStored(relay.url, bearer, everything);
  expect([...ledger.ids].sort()).toEqual(everything.map(({ id }) => id).sort());
  expect(ledger.sequences).toEqual(ledger.sequences.map((_, n) => n + 1));
  expect(ledger.gaps).toEqual([]);
}

async function checkStored(url: string, bearer: string, events: readonly TestEvent[]): Promise<void> {
  const stored: string[] = [];
  for (let since = ""; ; ) {
    const answer = await fetch(`${url}/v1/events?limit=1000${since}`, {
      headers: { authorization: `Bearer ${bearer}` },
    });
    const page = (await answer.json()) as { events: { event: { id: string } }[]; next: string };
    stored.push(...page.events.map(({ event }) => event.id));
    if (page.events.length === 0 || stored.length >= events.length) break;
    since = `&since=${page.next}`;
  }
  expect(stored.sort()).toEqual(events.map(({ id }) => id).sort());
}

const env = { SHARMO_WEBHOOK_SECRETS: webhookSecret, JWT_SECRET: jwtSecret, RELAY_LOG_LEVEL: "warn" };

describe("a relay that is killed in mid-flow, twenty times at different moments", () => {
  it("stores and delivers each event once, on the embedded log", { timeout: 240_000 }, async () => {
    const dataDir = await tempDir();
    await killAgainAndAgain(() => launch({ dataDir, env }));
  });

  it("stores and delivers each event once, on Redis", { timeout: 240_000 }, async () => {
    const dataDir = await tempDir();
    const redis = await startRedis();
    endWithTest(() => redis.stop());
    await killAgainAndAgain(() => launch({ dataDir, env: { ...env, REDIS_URL: redis.url } }));
  });
});

async function launch(options: Parameters<typeof startRelay>[0]): Promise<TestRelay> {
  const relay = await startRelay({ ...options, from: "built" });
  endWithTest(() => (relay.exit() === undefined ? relay.kill() : undefined));
  return relay;
}
