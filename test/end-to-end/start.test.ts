import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freePort } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { jwtSecret, tempDir, webhookSecret } from "../support/node.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { until } from "../support/until.ts";

async function start(options: Parameters<typeof startRelay>[0]): Promise<TestRelay> {
  const relay = await startRelay({ ...options, from: "built" });
  endWithTest(() => (relay.exit() === undefined ? relay.kill() : undefined));
  return relay;
}

/** Starts a relay that must not start; answers what it wrote. */
async function refusal(options: Parameters<typeof startRelay>[0]): Promise<string> {
  const relay = await start({ ...options, ready: false });
  const exit = await until(() => relay.exit(), { what: "the relay to give up", within: 20_000 });
  expect(exit.code).toBe(1);
  expect(relay.output(), "no stack trace").not.toMatch(/^\s+at /m);
  return relay.output();
}

const secrets = { SHARMO_WEBHOOK_SECRETS: webhookSecret, JWT_SECRET: jwtSecret };

describe("the relay at start", () => {
  it("names every bad setting in one message, with the form expected and an example, and shows no secret", async () => {
    const output = await refusal({
      env: {
        PORT: "eighty",
        JWT_SECRET: "short-and-private",
        RELAY_RETENTION: "forever",
        WEBHOOK_MAX_AGE: "5 parsecs",
        NODE_ENV: "production",
      },
    });
    for (const name of ["PORT", "JWT_SECRET", "RELAY_RETENTION", "WEBHOOK_MAX_AGE"])
      expect(output).toContain(name);
    expect(output).toContain("PORT=3000");
    expect(output).not.toContain("short-and-private");
  });

  it("wants a key for tokens in production", async () => {
    expect(await refusal({ env: { NODE_ENV: "production" } })).toMatch(/JWT_SECRET/);
  });

  it("says that its port is in use, and what to do", async () => {
    const first = await start({ env: secrets });
    const output = await refusal({ port: first.port, env: secrets });
    expect(output).toContain(`port ${first.port} is in use`);
    expect(output).toContain(`PORT=${first.port + 1}`);
  });

  it("says which process holds its data folder", async () => {
    const dataDir = await tempDir();
    const first = await start({ dataDir, env: secrets });
    const output = await refusal({ dataDir, port: await freePort(), env: secrets });
    expect(output).toContain(String(first.pid));
    expect(output).toContain("RELAY_DATA_DIR");
  });

  it("says that its data folder cannot be used, whether it is a file or holds something else", async () => {
    const dir = await tempDir();
    await writeFile(join(dir, "a-file"), "x");
    expect(await refusal({ dataDir: join(dir, "a-file"), env: secrets })).toContain("a-file");
    await mkdir(join(dir, "foreign", "event-log"), { recursive: true });
    await writeFile(join(dir, "foreign", "event-log", "data.mdb"), "not a database");
    expect(await refusal({ dataDir: join(dir, "foreign"), env: secrets })).toContain("foreign");
  });

  it("ends within two seconds of a signal, with code 0, and goes on with the same log", async () => {
    const dataDir = await tempDir();
    const relay = await start({ dataDir, env: secrets });
    const before = performance.now();
    expect(await relay.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - before).toBeLessThan(2_000);
    const again = await start({ dataDir, env: secrets });
    expect((await fetch(`${again.url}/healthz`)).status).toBe(200);
  });
});
