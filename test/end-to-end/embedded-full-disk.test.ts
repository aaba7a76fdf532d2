/**
 * A relay whose disk fills while webhooks come in. The limit on the size of files stands for the full disk: it needs
 * no rights to set, and what writes beyond it is refused as on one.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { endWithTest } from "../support/cleanup.ts";
import { jwtSecret, tempDir, webhookSecret } from "../support/node.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { connect } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, postTo, type TestEvent } from "../support/webhook.ts";

const env = { JWT_SECRET: jwtSecret, SHARMO_WEBHOOK_SECRETS: webhookSecret };

async function start(dataDir: string): Promise<TestRelay> {
  const relay = await startRelay({ dataDir, env });
  endWithTest(() => relay.stop());
  return relay;
}

async function limitFiles(relay: TestRelay, bytes: number | "unlimited"): Promise<void> {
  const [code] = await once(spawn("prlimit", ["--pid", String(relay.pid), `--fsize=${bytes}:`]), "close");
  expect(code).toBe(0);
}

const roomOf = async (dataDir: string): Promise<number> =>
  (await stat(join(dataDir, "event-log/data.mdb"))).size;

async function readiness(relay: TestRelay): Promise<{ status: number; text: string }> {
  const response = await fetch(`${relay.url}/readyz`);
  return { status: response.status, text: await response.text() };
}

async function storedIn(relay: TestRelay): Promise<string[]> {
  const authorization = `Bearer ${await token({ scope: "events:* relay:read" })}`;
  const ids: string[] = [];
  for (let since = ""; ; ) {
    const answer = await fetch(`${relay.url}/v1/events?limit=1000${since}`, { headers: { authorization } });
    const page = (await answer.json()) as { events: { event: { id: string } }[]; next: string };
    if (page.events.length === 0) return ids;
    ids.push(...page.events.map(({ event }) => event.id));
    since = `&since=${page.next}`;
  }
}

describe.runIf(process.platform === "linux")("a relay on a disk that fills up", () => {
  it("answers 503, says why, keeps its clients, and goes on by itself when there is room", async () => {
    const dataDir = await tempDir();
    const relay = await start(dataDir);
    const client = await connect(relay.url, await token({ scope: "events:*" }));
    await client.request("subscribe", { topics: ["*"] });
    const acknowledged = new Set<string>();
    const waiting: TestEvent[] = [];
    const refusals: { code: string | undefined; retryAfter: string | null; ms: number }[] = [];
    const post = async (event: TestEvent): Promise<void> => {
      const asked = performance.now();
      const { status, body, headers } = await postTo(relay.url, event);
      if (status === 200) {
        acknowledged.add(event.id);
        return;
      }
      expect(status).toBe(503);
      const ms = performance.now() - asked;
      refusals.push({ code: body.code, retryAfter: headers.get("retry-after"), ms });
      waiting.push(event);
    };
    const some = (count: number): TestEvent[] =>
      Array.from({ length: count }, () =>
        makeEvent("transaction.created", { note: "x".repeat(Math.floor(Math.random() * 20_000)) }),
      );

    await Promise.all(some(20).map(post));
    expect(refusals).toEqual([]);
    for (let round = 0; round < 2; round++) {
      await limitFiles(relay, (await roomOf(dataDir)) + 200_000);
      while (waiting.length < 30) await Promise.all(some(8).map(post));
      const { text } = await until(
        async () => {
          const ready = await readiness(relay);
          return ready.status === 503 && ready;
        },
        { what: "readiness to say that the disk is full" },
      );
      expect(text).toMatch(
        /"code":"not_writable","message":"the event log takes no writes \(.+\): is the disk of .+ full\?"/,
      );
      expect((await fetch(`${relay.url}/healthz`)).status).toBe(200);
      expect(client.socket.connected).toBe(true);
      await limitFiles(relay, "unlimited");
      await until(async () => (await readiness(relay)).status === 200, { what: "readiness" });
      await Promise.all(waiting.splice(0).map(post));
      expect(waiting).toEqual([]);
    }
    for (const { code, retryAfter, ms } of refusals) {
      expect(code).toBe("storage_unavailable");
      expect(Number(retryAfter)).toBeGreaterThan(0);
      expect(ms).toBeLessThan(2_400);
    }
    await until(() => client.got.length >= acknowledged.size);
    const stored = await storedIn(relay);
    expect([...stored].sort()).toEqual([...acknowledged].sort());
    expect(client.ids()).toEqual(stored);
    expect(client.socket.connected).toBe(true);
    expect(relay.exit()).toBeUndefined();
    expect(relay.output()).not.toMatch(/unhandled/i);
    expect((await relay.stop()).code).toBe(0);

    const again = await start(dataDir);
    expect(await storedIn(again)).toEqual(stored);
    const metrics = await (await fetch(`${again.url}/metrics`)).text();
    const [, size] = /^sharmo_relay_log_bytes\{kind="file"\} ([0-9]+)$/m.exec(metrics) ?? [];
    expect(Number(size)).toBe(await roomOf(dataDir));
    expect(metrics).toMatch(/^sharmo_relay_log_bytes\{kind="used"\} [1-9][0-9]+$/m);
  });
});
