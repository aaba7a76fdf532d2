/**
 * A real Redis for tests: a child process on a free port, with a folder of its own. Whoever starts one stops it; one
 * that was forgotten dies with the tests.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { until } from "./until.test-helper.ts";

export interface RedisServerOptions {
  /** Keeps an append-only file: what was acknowledged outlives `kill`. */
  readonly appendonly?: boolean;
  readonly password?: string;
  /** A port that `freePort` gave; one is found if absent. */
  readonly port?: number;
  /** More of what stands on the command line, for example `["--maxmemory", "3mb"]`. */
  readonly args?: readonly string[];
  /** Makes it a Sentinel with this configuration, which it rewrites as it learns. */
  readonly sentinel?: string;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Of the running process; changes with `restart`. */
  readonly pid: number;
  /** False after `kill`, or when it ended by itself. */
  readonly running: boolean;
  /**
   * Runs one command on a connection of its own and resolves with the answer as redis-cli would print it, a line for
   * each item; rejects if Redis answers with an error.
   */
  cli(...args: readonly string[]): Promise<string>;
  /** As `cli`, on one connection that is made now and stays: what new ones may no longer do, it still may. */
  session(): Promise<(...args: readonly string[]) => Promise<string>>;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
  /** SIGKILL; the folder stays. */
  kill(): Promise<void>;
  /** The process hangs: connections stand, nothing is answered. */
  pause(): void;
  resume(): void;
  /** Starts it again on the same port, with all data or with none; what a Cluster or a Sentinel noted for itself stays. */
  restart(options: { readonly keepData: boolean }): Promise<void>;
}

/**
 * Below the range from which the system gives connections their ports: a server that is down finds its port free when
 * it comes back, and nobody who connects to it meanwhile ends up connected to itself.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = randomInt(15_000, 32_000);
    const probe = createServer().listen(port, "127.0.0.1");
    try {
      await once(probe, "listening");
    } catch {
      continue;
    }
    probe.close();
    await once(probe, "close");
    return port;
  }
  throw new Error("no free port between 15000 and 32000");
}

const alive = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const dir = await mkdtemp(join(tmpdir(), "sharmo-redis-"));
  if (options.sentinel !== undefined) await writeFile(join(dir, "sentinel.conf"), options.sentinel);
  const attempts = options.port === undefined ? 5 : 1;
  let port = 0;
  let child: ChildProcess | undefined;
  for (let attempt = 1; child === undefined; attempt++) {
    port = options.port ?? (await freePort());
    try {
      child = await launch(port);
    } catch (error) {
      if (attempt < attempts) continue;
      await rm(dir, { recursive: true, force: true });
      throw error;
    }
  }
  let running = child;
  let starting: Promise<void> | undefined;
  const sessions: Redis[] = [];

  async function launch(on: number): Promise<ChildProcess> {
    const started = spawn(
      "redis-server",
      [
        options.sentinel === undefined ? [] : [join(dir, "sentinel.conf"), "--sentinel"],
        ["--port", String(on), "--bind", "127.0.0.1", "--dir", dir],
        options.sentinel === undefined
          ? ["--save", "", "--appendonly", options.appendonly === true ? "yes" : "no"]
          : [],
        options.password === undefined ? [] : ["--requirepass", options.password],
        options.args ?? [],
      ].flat(),
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    alive.add(started);
    started.once("exit", () => alive.delete(started));
    let output = "";
    started.stdout?.on("data", (text: Buffer) => {
      output = (output + text.toString()).slice(-2_000);
    });
    let failed: Error | undefined;
    started.once("error", (error) => {
      failed = error;
    });
    started.once("exit", () => {
      failed = new Error(`redis-server ended:\n${output}`);
    });
    // Another server may have taken the port: the one that answers must be this one.
    const isUp = async () => {
      const info = await cliOn(on, ["INFO"]);
      return info.includes(`process_id:${started.pid}\r\n`) && !/\r\nloading:[^0]/.test(info);
    };
    await until(async () => failed !== undefined || (await isUp()), { everyMs: 20 });
    if (failed !== undefined) throw failed;
    return started;
  }

  function connectTo(on: number): Redis {
    const redis = new Redis({
      host: "127.0.0.1",
      port: on,
      ...(options.password === undefined ? {} : { password: options.password }),
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    redis.on("error", () => undefined);
    return redis;
  }

  async function cliOn(on: number, [command = "PING", ...args]: readonly string[]): Promise<string> {
    const redis = connectTo(on);
    try {
      return print(await redis.call(command, ...args));
    } finally {
      redis.disconnect();
    }
  }

  function isRunning(): boolean {
    return running.exitCode === null && running.signalCode === null;
  }

  async function kill(): Promise<void> {
    if (!isRunning()) return;
    const exited = once(running, "exit");
    running.kill("SIGKILL");
    await exited;
  }

  async function restart(keepData: boolean): Promise<void> {
    if (keepData && isRunning()) {
      const exited = once(running, "exit");
      // It is answered by the end of the connection.
      await cliOn(port, ["SHUTDOWN", options.appendonly === true ? "NOSAVE" : "SAVE"]).catch(() => undefined);
      await exited;
    }
    await kill();
    if (!keepData) {
      for (const name of await readdir(dir)) {
        if (!name.endsWith(".conf")) await rm(join(dir, name), { recursive: true, force: true });
      }
    }
    running = await launch(port);
  }

  return {
    url:
      options.password === undefined
        ? `redis://127.0.0.1:${port}`
        : `redis://:${options.password}@127.0.0.1:${port}`,
    port,
    get pid() {
      return running.pid ?? 0;
    },
    get running() {
      return isRunning();
    },
    cli: (...args) => cliOn(port, args),
    async session() {
      const redis = connectTo(port);
      sessions.push(redis);
      await redis.ping();
      return async (command = "PING", ...args) => print(await redis.call(command, ...args));
    },
    async stop() {
      for (const session of sessions) session.disconnect();
      await starting?.catch(() => undefined);
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
    kill,
    pause() {
      running.kill("SIGSTOP");
    },
    resume() {
      running.kill("SIGCONT");
    },
    restart({ keepData }) {
      starting = restart(keepData);
      return starting;
    },
  };
}

function print(answer: unknown): string {
  return Array.isArray(answer) ? answer.map(print).join("\n") : String(answer ?? "");
}
