/** Several processes on one port: what they serve together, and what happens when some of them end. */
import { execFile } from "node:child_process";
import { Agent, request } from "node:http";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { tempDir } from "../support/node.ts";
import { startRelay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import { makeEvent, postTo, signed } from "../support/webhook.ts";
import {
  allGot,
  env,
  figure,
  follow,
  lives,
  type Options,
  Stream,
  startWorkers,
  workersOf,
} from "./workers.test-harness.ts";

const logs: [name: string, options: () => Promise<Options>][] = [
  ["the embedded log", async () => ({})],
  [
    "Redis",
    async () => {
      const redis = await startRedis();
      endWithTest(() => redis.stop());
      return { env: { REDIS_URL: redis.url } };
    },
  ],
];

describe.each(logs)("two workers with %s", (_name, options) => {
  it("serve one stream to clients of both, replace one that is killed, and lose and repeat nothing", async () => {
    const relay = await startWorkers(await options());
    const clients = await follow(relay, 6);
    const stream = new Stream(relay.url);
    await stream.reach(100);
    expect(await figure(relay.url, "sharmo_relay_connections")).toBe(6);
    const [victim = -1] = await workersOf(relay);
    process.kill(victim, "SIGKILL");
    await until(() => clients.some(({ disconnects }) => disconnects > 0));
    const reached = stream.accepted.length;
    await until(async () => (await workersOf(relay)).length === 2, { what: "another worker" });
    await until(() => clients.every(({ following }) => following));
    await stream.reach(reached + 100);
    await stream.end();
    const order = await allGot(clients, stream);
    expect([...order].sort()).toEqual([...stream.accepted].sort());
    for (const { ids, gaps } of clients) {
      expect(ids).toEqual(order);
      expect(gaps).toEqual([]);
    }
    // the others noticed nothing
    const hit = clients.filter(({ disconnects }) => disconnects > 0);
    expect(hit.length).toBeLessThan(clients.length);
    for (const { disconnects } of hit) expect(disconnects).toBe(1);
    expect(await figure(relay.url, "sharmo_relay_workers_replaced_total")).toBe(1);
    expect(await relay.stop(), relay.output()).toEqual({ code: 0, signal: null });
  });

  it("drain together: exit 0, what was answered 200 is stored, clients are told and miss nothing", async () => {
    const dataDir = await tempDir();
    const chosen = { dataDir, ...(await options()) };
    const relay = await startWorkers(chosen);
    const clients = await follow(relay, 8);
    const stream = new Stream(relay.url, { again: false });
    await stream.reach(50);
    const begun = performance.now();
    expect(await relay.stop(), relay.output()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(5_000);
    await stream.end();
    expect(clients.map(({ drains }) => drains)).toEqual(clients.map(() => 1));
    const again = await startWorkers({ ...chosen, port: relay.port });
    await until(() => clients.every(({ following }) => following));
    await Promise.all(stream.accepted.map((id) => isKnown(again.url, stream, id)));
    const stored = await figure(again.url, "sharmo_relay_head_sequence");
    await until(() => clients.every(({ ids }) => ids.length >= stored));
    const order = clients[0]?.ids ?? [];
    expect(new Set(order).size).toBe(order.length);
    for (const id of stream.accepted) expect(order).toContain(id);
    for (const { ids, gaps } of clients) {
      expect(ids).toEqual(order);
      expect(gaps).toEqual([]);
    }
  });
});

async function isKnown(url: string, stream: Stream, id: string): Promise<void> {
  const event = stream.events.find((one) => one.id === id);
  if (event === undefined) throw new Error(`${id} was never posted`);
  const answer = await until(async () => {
    const { status, body } = await postTo(url, event);
    return status === 200 && body;
  });
  expect(answer.status, `${id} was answered 200`).toBe("duplicate");
}

describe("a relay of several processes", () => {
  it("ends its workers with it when it is killed, and starts again on the same port and log", async () => {
    const dataDir = await tempDir();
    const relay = await startWorkers({ dataDir });
    const clients = await follow(relay, 4);
    const stream = new Stream(relay.url);
    await stream.reach(50);
    const workers = await workersOf(relay);
    expect(workers).toHaveLength(2);
    await relay.kill();
    await until(() => !workers.some(lives), { what: "the workers to end", within: 2_000 });
    await startWorkers({ dataDir, port: relay.port });
    await until(() => clients.every(({ following }) => following));
    await stream.reach(stream.accepted.length + 50);
    await stream.end();
    const order = await allGot(clients, stream);
    expect([...order].sort()).toEqual([...stream.accepted].sort());
    for (const { ids, gaps } of clients) expect([ids, gaps]).toEqual([order, []]);
  });

  it("drains and replaces a worker that gets a signal by itself, and goes on", async () => {
    const relay = await startWorkers();
    const clients = await follow(relay, 6);
    const workers = await workersOf(relay);
    process.kill(workers[0] ?? -1, "SIGTERM");
    await until(async () => {
      const now = await workersOf(relay);
      return now.length === 2 && !now.includes(workers[0] ?? -1);
    });
    await until(() => clients.every(({ following }) => following));
    const told = clients.filter(({ drains }) => drains > 0).length;
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(6);
    // as no death
    expect(relay.output()).not.toContain("takes its place");
    expect(relay.exit()).toBeUndefined();
    expect(await relay.stop(), relay.output()).toEqual({ code: 0, signal: null });
  });

  it("takes a signal to all of its processes, as a terminal sends it, for one", async () => {
    const relay = await startWorkers();
    const clients = await follow(relay, 4);
    const workers = await workersOf(relay);
    for (const pid of [...workers, relay.pid]) process.kill(pid, "SIGINT");
    const exit = await until(() => relay.exit(), { what: "the relay to end" });
    expect(exit).toEqual({ code: 0, signal: null });
    expect(clients.map(({ drains }) => drains)).toEqual([1, 1, 1, 1]);
    expect(relay.output()).not.toContain("takes its place");
    expect(workers.some(lives)).toBe(false);
  });

  it("ends at once at the second signal, with all of its processes", async () => {
    const relay = await startWorkers();
    await follow(relay, 30);
    const workers = await workersOf(relay);
    const exit = relay.stop();
    await until(() =>
      fetch(`${relay.url}/healthz`).then(
        () => false,
        () => true,
      ),
    );
    process.kill(relay.pid, "SIGTERM");
    expect(await exit).toEqual({ code: 1, signal: null });
    await until(() => !workers.some(lives));
  });

  it("says once that its port is in use, or its data folder, and ends with code 1", async () => {
    const first = await startWorkers();
    const refusal = async (options: Options): Promise<string> => {
      const relay = await startRelay({ from: "built", ready: false, ...options, env });
      endWithTest(() => (relay.exit() === undefined ? relay.kill() : undefined));
      const exit = await until(() => relay.exit(), { what: "the relay to give up", within: 20_000 });
      expect(exit.code).toBe(1);
      return relay.output();
    };
    const port = await refusal({ port: first.port });
    expect(port.match(/is in use/g)).toHaveLength(1);
    expect(port).toContain(`PORT=${first.port + 1}`);
    expect(port).not.toContain("Sharmo Relay is running");
    const folder = await refusal({ dataDir: first.dataDir });
    expect(folder.match(/is held by process/g)).toHaveLength(1);
    expect(folder).toContain(String(first.pid));
  });

  it("answers 503 within two seconds while the process that holds the log hangs, says so, and goes on with it", async () => {
    const relay = await startWorkers();
    // connections that stand: there is nobody who would hand over a new one
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    endWithTest(() => agent.destroy());
    const ask = (path: string, body?: Buffer): Promise<{ status: number; body: string }> =>
      new Promise((resolve, reject) => {
        const options = body === undefined ? {} : { method: "POST", headers: signed(body) };
        const asking = request(`${relay.url}${path}`, { agent, ...options }, (response) => {
          const parts: Buffer[] = [];
          response.on("data", (part: Buffer) => parts.push(part));
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }),
          );
        });
        asking.on("error", reject);
        asking.end(body);
      });
    expect((await ask("/readyz")).status).toBe(200);
    const event = Buffer.from(JSON.stringify(makeEvent("token.created", { token_id: "tok_1" })));
    const post = () => ask("/api/sharmo-webhooks", event);
    expect((await post()).status).toBe(200);
    process.kill(relay.pid, "SIGSTOP");
    endWithTest(() => lives(relay.pid) && process.kill(relay.pid, "SIGCONT"));
    const begun = performance.now();
    const posted = await post();
    expect(posted).toMatchObject({ status: 503, body: expect.stringContaining("storage_unavailable") });
    expect(performance.now() - begun).toBeLessThan(2_000);
    await until(async () => {
      const { status, body } = await ask("/readyz");
      return status === 503 && /"code":"unavailable".*the process that holds the event log/.test(body);
    });
    expect((await ask("/healthz")).status).toBe(200);
    process.kill(relay.pid, "SIGCONT");
    await until(async () => (await ask("/readyz")).status === 200);
    expect(await post()).toMatchObject({ status: 200, body: expect.stringContaining("duplicate") });
  });

  it("counts for all its workers, whichever is asked, also for those that ended", async () => {
    const relay = await startWorkers();
    const clients = await follow(relay, 5);
    const stream = new Stream(relay.url);
    await stream.reach(60);
    await stream.end();
    await allGot(clients, stream);
    const live = 'sharmo_relay_deliveries_total{kind="live"}';
    for (let n = 0; n < 4; n++) {
      expect(await figure(relay.url, live)).toBe(clients.length * stream.accepted.length);
      expect(await figure(relay.url, "sharmo_relay_connections")).toBe(clients.length);
      expect(await figure(relay.url, "sharmo_relay_head_sequence")).toBe(stream.accepted.length);
      expect(await figure(relay.url, "sharmo_relay_fanout_sequence")).toBe(stream.accepted.length);
    }
    const workers = await workersOf(relay);
    process.kill(workers[1] ?? -1, "SIGKILL");
    await until(async () => (await figure(relay.url, "sharmo_relay_workers_replaced_total")) === 1);
    expect(await figure(relay.url, live)).toBe(clients.length * stream.accepted.length);
  });

  it("is backed up while it runs", async () => {
    const relay = await startWorkers();
    await postTo(relay.url, makeEvent("token.created", { token_id: "tok_1" }));
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ["apps/relay/dist/backup.js", "--data", relay.dataDir]);
    expect(stdout).toContain("events up to number 1");
  });
});
