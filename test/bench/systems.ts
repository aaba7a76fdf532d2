/** The relay and its peers, started for one measurement and ended after it, all on the servers' core. */

import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { SignJWT } from "jose";
import { freePort, type RedisServer, startRedis } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { until } from "../support/until.ts";
import type { LogKind } from "./options.ts";
import { childrenOf, cores, endAll, launch, type Program, pin, untilWritten } from "./processes.ts";

const root = resolve(import.meta.dirname, "../..");
const peers = join(import.meta.dirname, "peers");
const startLimit = 30_000;
const webhookSecret = "whsec_bench0123456789";
const jwtSecret = "an HMAC key of the bench with more than 32 bytes";

/** What one client says at its start. */
export interface Seat {
  readonly topics: readonly string[];
}

export interface Running {
  readonly port: number;
  /** Where events are posted to, if elsewhere than clients connect to. */
  readonly publishPort: number;
  /** Everything whose CPU counts, Redis included. */
  readonly pids: () => readonly number[];
  /** The process that holds the connections. */
  readonly program: Program;
  readonly redis?: RedisServer;
  /** A folder for this measurement; goes with `stop`. */
  readonly folder: string;
  /** wsload's part of the command line for these clients. */
  readonly subscribeScript: (seats: readonly Seat[]) => Promise<readonly string[]>;
  /** wspost's. */
  readonly publishScript: readonly string[];
  stop(): Promise<void>;
}

interface StartOptions {
  /** For node, before the program. */
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface System {
  readonly name: string;
  /** False: not Node, so there is no garbage to collect and nothing to load into it. */
  readonly collects: boolean;
  start(options?: StartOptions): Promise<Running>;
}

export interface RelayChoice {
  readonly name: string;
  /** A tree with a built relay; absent: this one. */
  readonly tree?: string;
  readonly log: LogKind;
  readonly env?: Readonly<Record<string, string>>;
}

export function relaySystem({ name, tree = root, log, env }: RelayChoice): System {
  return {
    name,
    collects: true,
    start: (options = {}) =>
      started(log === "redis", async ({ folder, redisUrl }) => ({
        command: process.execPath,
        args: [...(options.nodeArgs ?? []), join(resolve(tree), "apps/relay/dist/main.js")],
        ready: /webhooks\s+POST http:\/\/[^\s/]+:(\d+)\//,
        env: {
          NODE_ENV: "production",
          HOST: "127.0.0.1",
          PORT: String(await freePort()),
          RELAY_DATA_DIR: join(folder, "data"),
          SHARMO_WEBHOOK_SECRETS: webhookSecret,
          JWT_SECRET: jwtSecret,
          ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
          ...env,
          ...options.env,
        },
        subscribeScript: socketIoScript,
        publishScript: signedPosts,
      })),
  };
}

/** Koa, Socket.IO and @socket.io/redis-adapter; with `recovery`, connection state recovery in memory and no Redis. */
export function naiveSystem({ recovery = false }: { readonly recovery?: boolean } = {}): System {
  return {
    name: recovery ? "csr" : "naive",
    collects: true,
    start: (options = {}) =>
      started(!recovery, async ({ redisUrl }) => ({
        command: process.execPath,
        args: [...(options.nodeArgs ?? []), join(peers, "naive.mjs")],
        ready: /listening on (\d+)/,
        env: {
          NODE_ENV: "production",
          WEBHOOK_SECRET: webhookSecret,
          JWT_SECRET: jwtSecret,
          ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
          ...(recovery ? { RECOVERY: "1" } : {}),
          ...options.env,
        },
        subscribeScript: socketIoScript,
        publishScript: signedPosts,
      })),
  };
}

export function rawWsSystem(): System {
  return {
    name: "ws",
    collects: true,
    start: (options = {}) =>
      started(false, async () => ({
        command: process.execPath,
        args: [...(options.nodeArgs ?? []), join(peers, "raw-ws.mjs")],
        ready: /listening on (\d+)/,
        env: { NODE_ENV: "production", WEBHOOK_SECRET: webhookSecret, ...options.env },
        subscribeScript: async () => ["--send", "subscribe", "--wait", '{"ok":true}'],
        publishScript: signedPosts,
      })),
  };
}

/** Checks webhooks and stores nothing: nobody can subscribe. */
export function ingestSystem(framework: "koa" | "http"): System {
  return {
    name: framework,
    collects: true,
    start: () =>
      started(false, async () => ({
        command: process.execPath,
        args: [join(peers, "ingest.mjs")],
        ready: /listening on (\d+)/,
        env: { NODE_ENV: "production", WEBHOOK_SECRET: webhookSecret, FRAMEWORK: framework },
        subscribeScript: () => Promise.reject(new Error(`${framework} has no subscribers`)),
        publishScript: signedPosts,
      })),
  };
}

const signedPosts = ["--secret", webhookSecret];

export interface Place {
  readonly folder: string;
  readonly redisUrl?: string;
}

export interface Plan {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Written when it listens; its first group is the port, unless that is given. */
  readonly ready: RegExp | "accepts";
  readonly port?: number;
  readonly publishPort?: number;
  readonly subscribeScript: (folder: string, seats: readonly Seat[]) => Promise<readonly string[]>;
  readonly publishScript: readonly string[];
}

export async function started(
  withRedis: boolean,
  planned: (place: Place) => Promise<Plan>,
): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), "sharmo-bench-"));
  const ends: (() => Promise<unknown> | unknown)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    // as an operator who wants to keep events runs it: an append-only file, one fsync a second
    const redis = withRedis ? await startRedis({ appendonly: true }) : undefined;
    if (redis !== undefined) {
      ends.push(() => redis.stop());
      pin(redis.pid, cores.server);
    }
    const plan = await planned({ folder, ...(redis === undefined ? {} : { redisUrl: redis.url }) });
    const program = launch({
      core: cores.server,
      command: plan.command,
      args: plan.args,
      env: plan.env,
      cwd: root,
    });
    ends.push(() => program.stop());
    const port =
      plan.ready === "accepts"
        ? (plan.port ?? 0)
        : Number((await untilWritten(program, plan.ready, startLimit))[1]);
    if (plan.ready === "accepts") await untilAccepts(program, port);
    return {
      port,
      publishPort: plan.publishPort ?? port,
      program,
      folder,
      ...(redis === undefined ? {} : { redis }),
      pids: () => [program.pid, ...childrenOf(program.pid), ...(redis === undefined ? [] : [redis.pid])],
      subscribeScript: (seats) => plan.subscribeScript(folder, seats),
      publishScript: plan.publishScript,
      stop: () => endAll(ends),
    };
  } catch (error) {
    await endAll(ends);
    throw error;
  }
}

async function untilAccepts(program: Program, port: number): Promise<void> {
  await until(
    async () => {
      if (!program.running()) return true;
      const socket = connect(port, "127.0.0.1");
      try {
        await once(socket, "connect");
        return true;
      } finally {
        socket.destroy();
      }
    },
    { within: startLimit, every: 20, what: `port ${port} to accept connections:\n${program.output()}` },
  );
  if (!program.running()) throw new Error(`it ended before it was ready:\n${program.output()}`);
}

/** Each client has a token of its own and headers as a browser behind a login sends them. */
async function socketIoScript(folder: string, seats: readonly Seat[]): Promise<readonly string[]> {
  const lines = await Promise.all(
    seats.map(async ({ topics }, index) => `${await tokenOf(index)}\t${JSON.stringify(topics)}\n`),
  );
  const file = join(folder, "words");
  await writeFile(file, lines.join(""));
  return [
    ["-u", "/socket.io/?EIO=4&transport=websocket", "--eio", "--words", file],
    browserHeaders,
    ["--wait", "0{", "--send", '40{"token":"%1"}', "--wait", "40{"],
    ["--send", '420["subscribe",{"topics":%2}]', "--wait", '430[{"ok":true'],
  ].flat();
}

const browserHeaders = [
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7",
  "Cache-Control: no-cache",
  "Pragma: no-cache",
  `Cookie: session=${"c0ffee".repeat(60)}; theme=dark; consent=${"yes-".repeat(20)}`,
].flatMap((header) => ["--header", header]);

export function tokenOf(index: number): Promise<string> {
  const number = String(index).padStart(6, "0");
  return new SignJWT({
    scope: "events:token.* events:property.* events:transaction.*",
    wallets: [`0x${number.padStart(40, "a")}`, `0x${number.padStart(40, "b")}`],
    name: `Client ${number} of the bench`,
    email: `client-${number}@example.com`,
  })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(`user_${number}`)
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(Buffer.from(jwtSecret));
}
