/** A relay in this process, on a free port, with a data folder of its own that goes when the test ends. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Relay, startRelay } from "@sharmo-relay/relay";
import { loadConfig } from "@sharmo-relay/relay/config";
import { endWithTest } from "./cleanup.ts";
import { until } from "./until.ts";

export const webhookSecret = "whsec_0123456789abcdef";
export const jwtSecret = "an HMAC key of more than thirty-two bytes";

export interface TestNode {
  readonly url: string;
  readonly dataDir: string;
  readonly relay: Relay;
}

export interface NodeOptions {
  readonly redisUrl?: string;
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a free one. */
  readonly port?: number;
  /** Do not wait until it is ready. */
  readonly early?: boolean;
}

export async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "sharmo-relay-"));
  endWithTest(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

export async function startNode(options: NodeOptions = {}): Promise<TestNode> {
  const dataDir = options.dataDir ?? (await tempDir());
  const loaded = loadConfig({
    PORT: String(options.port ?? 0),
    HOST: "127.0.0.1",
    RELAY_DATA_DIR: dataDir,
    SHARMO_WEBHOOK_SECRETS: webhookSecret,
    JWT_SECRET: jwtSecret,
    RELAY_LOG_LEVEL: "silent",
    ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
    ...options.env,
  });
  if (!loaded.ok) throw new Error(loaded.message);
  const relay = await startRelay(loaded.config, { development: loaded.development });
  endWithTest(() => relay.stop());
  const url = `http://127.0.0.1:${relay.port}`;
  if (options.early !== true) {
    await until(async () => (await fetch(`${url}/readyz`)).status === 200, { what: "the relay to be ready" });
  }
  return { url, dataDir, relay };
}
