/** A real relay as a child process: its sources, a free port, a data folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "./until.ts";

const root = resolve(import.meta.dirname, "../..");
const startLimit = 20_000;
/** A node has 10 s to stop. */
const stopLimit = 12_000;
const keptOutput = 64 * 1024;

export interface RelayOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** `source` (default): what is in the tree, through tsx. `built`: `dist/main.js`, as an operator runs it. */
  readonly from?: "source" | "built";
  /** A folder that outlives the relay; without it one is made, and removed by `stop` and `kill`. */
  readonly dataDir?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** False: do not wait for `/readyz`. */
  readonly ready?: boolean;
  /** Told of what it writes, as it comes: `output` keeps only the end. */
  readonly onOutput?: (chunk: Buffer) => void;
}

interface RelaySecrets {
  /** The first of `SHARMO_WEBHOOK_SECRETS`, or the development one. */
  readonly webhook: string;
  readonly jwt: string;
}

export interface TestRelay {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  readonly secrets: RelaySecrets;
  /** What it wrote to stdout and stderr, the end of it. */
  readonly output: () => string;
  /** How it ended; undefined while it runs. */
  readonly exit: () => RelayExit | undefined;
  /** SIGTERM, then the exit; SIGKILL when that takes too long, which is an error. */
  readonly stop: () => Promise<RelayExit>;
  /** SIGKILL. With `dataDir` given, the log stays for the next start. */
  readonly kill: () => Promise<RelayExit>;
}

interface RelayExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export async function startRelay(options: RelayOptions = {}): Promise<TestRelay> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "sharmo-relay-test-")));
  const relay = launch(options, dataDir);
  const removeFolder = async (): Promise<void> => {
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
  };

  const end = async (signal: NodeJS.Signals): Promise<RelayExit> => {
    const exit = await relay.end(signal);
    await removeFolder();
    return exit;
  };

  try {
    const waits = options.ready ?? true;
    // the relay chooses its port itself: one found free here could be somebody else's by the time it is opened
    const port = options.port ?? (waits ? await announcedPort(relay) : 0);
    if (waits) await untilReady(relay, `http://127.0.0.1:${port}`);
    relay.isReady();
    const secrets = await secretsOf(options.env ?? {}, dataDir);
    return {
      url: `http://127.0.0.1:${port}`,
      port,
      pid: relay.child.pid ?? -1,
      dataDir,
      secrets,
      output: relay.output,
      exit: relay.exit,
      stop: () => end("SIGTERM"),
      kill: () => end("SIGKILL"),
    };
  } catch (error) {
    await end("SIGKILL");
    throw error;
  }
}

/** A test that runs out of time ends nothing more: what it started then goes with the process that ran it. */
const running = new Set<ChildProcess>();
const endRunning = (): void => {
  for (const child of running) child.kill("SIGKILL");
};
process.once("exit", endRunning);
process.once("disconnect", endRunning);
process.once("SIGTERM", () => {
  endRunning();
  process.exit(143);
});

interface Launched {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exit: () => RelayExit | undefined;
  readonly isReady: () => void;
  readonly end: (signal: NodeJS.Signals) => Promise<RelayExit>;
}

function launch(options: RelayOptions, dataDir: string): Launched {
  const program =
    options.from === "built"
      ? ["apps/relay/dist/main.js"]
      : ["--conditions=sharmo-source", "--import", "tsx", "apps/relay/src/main.ts"];
  const child = spawn(process.execPath, program, {
    cwd: root,
    env: {
      ...inherited(),
      HOST: "127.0.0.1",
      PORT: String(options.port ?? 0),
      RELAY_DATA_DIR: dataDir,
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });

  running.add(child);
  child.once("close", () => running.delete(child));
  let output = "";
  let ended: RelayExit | undefined;
  const keep = (chunk: Buffer): void => {
    options.onOutput?.(chunk);
    output = (output + chunk.toString("utf8")).slice(-keptOutput);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.on("error", (error) => keep(Buffer.from(`${error.message}\n`)));
  /** Before that, whoever waits for readiness tells of the end. */
  let ready = false;
  let wanted = false;
  // A test process that ends early takes its relay with it.
  const orphan = (): void => void child.kill("SIGKILL");
  process.once("exit", orphan);
  const closed = new Promise<RelayExit>((done) => {
    child.once("close", (code, signal) => {
      process.off("exit", orphan);
      ended = { code, signal };
      if (ready && !wanted)
        console.error(`the relay ended unasked with ${code ?? signal}; it wrote:\n${output}`);
      done(ended);
    });
  });

  const end = async (signal: NodeJS.Signals): Promise<RelayExit> => {
    if (ended !== undefined) return ended;
    wanted = true;
    child.kill(signal);
    const exit = await Promise.race([closed, sleep(stopLimit, undefined, { ref: false })]);
    if (exit !== undefined) return exit;
    child.kill("SIGKILL");
    await closed;
    throw new Error(`the relay did not end within ${stopLimit} ms of ${signal}\n${output}`);
  };
  const isReady = (): void => {
    ready = true;
  };
  return { child, output: () => output, exit: () => ended, isReady, end };
}

/** The environment of the tests without anything that would configure the relay. */
function inherited(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) =>
    /^(RELAY_|WEBHOOK_|JWT_|SHARMO_|REDIS_URL$|NODE_ENV$|NODE_OPTIONS$|VITEST)/.test(name),
  );
  return { ...process.env, ...Object.fromEntries(names.map((name) => [name, undefined])) };
}

/** The port that the relay names when it is up. Rejects if it ends before. */
async function announcedPort(relay: Launched): Promise<number> {
  const port = await until(
    () => {
      if (relay.exit() !== undefined) return 0;
      const named = /webhooks\s+POST http:\/\/[^\s/]+:([0-9]+)\//.exec(relay.output())?.[1];
      return named === undefined ? undefined : Number(named);
    },
    { within: startLimit, every: 10, what: `the relay to name its port; it wrote:\n${relay.output()}` },
  );
  if (port === 0) throw new Error(`the relay ended at start; it wrote:\n${relay.output()}`);
  return port;
}

async function untilReady(relay: Launched, url: string): Promise<void> {
  try {
    await until(
      async () => {
        if (relay.exit() !== undefined) return true;
        const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
        const body = await response.text();
        if (!response.ok) throw new Error(body);
        return true;
      },
      { within: startLimit, every: 50, what: "the relay's readiness" },
    );
  } catch (error) {
    throw new Error(`the relay did not become ready; it wrote:\n${relay.output()}`, { cause: error });
  }
  const exit = relay.exit();
  if (exit !== undefined) {
    throw new Error(
      `the relay ended with ${exit.code ?? exit.signal} at start; it wrote:\n${relay.output()}`,
    );
  }
}

async function secretsOf(env: Readonly<Record<string, string>>, dataDir: string): Promise<RelaySecrets> {
  const text = await readFile(join(dataDir, "dev-secrets.json"), "utf8").catch(() => "{}");
  const made = JSON.parse(text) as { readonly webhook_secret?: string; readonly jwt_secret?: string };
  const first = (list: string | undefined): string | undefined => list?.split(",")[0]?.trim();
  return {
    webhook: first(env["SHARMO_WEBHOOK_SECRETS"]) ?? made.webhook_secret ?? "",
    jwt: first(env["JWT_SECRET"]) ?? made.jwt_secret ?? "",
  };
}
