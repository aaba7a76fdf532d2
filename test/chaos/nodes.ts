/** The relays under test: child processes from the build, each with a port of its own for every life. */
import { createWriteStream, type WriteStream } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import type { Incident } from "./history.ts";

export const webhookSecret = "whsec_chaos0123456789";
export const jwtSecret = "an HMAC key of chaos runs with more than 32 bytes";

/** Long enough that nothing is ever removed; small buffers, so that slow clients are seen to be slow. */
const settings = {
  SHARMO_WEBHOOK_SECRETS: webhookSecret,
  JWT_SECRET: jwtSecret,
  RELAY_RETENTION: "*=7d",
  RELAY_MAX_BUFFERED_BYTES: "64KiB",
};

/** For a machine that has much else to do. */
const startLimit = 60_000;

export interface NodeOptions {
  readonly index: number;
  /** Keeps its data from life to life. */
  readonly dataDir: string;
  /** Where the file with its output goes. */
  readonly outputDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly incidents: Incident[];
}

export class Node {
  readonly index: number;
  /** `stopped`: its process hangs. */
  state: "up" | "down" | "stopped" = "down";
  /** When its process last ended, in milliseconds since 1970. */
  diedAt = 0;
  readonly #options: NodeOptions;
  readonly #output: WriteStream;
  #relay: TestRelay | undefined;

  constructor(options: NodeOptions) {
    this.index = options.index;
    this.#options = options;
    this.#output = createWriteStream(join(options.outputDir, `relay-${options.index}.log`));
  }

  /** Of its present or last life; nothing listens there while it is down. */
  get port(): number {
    return this.#relay?.port ?? 1;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves when it answers; it need not be ready. Rejects if it ends again and again. */
  async start(): Promise<void> {
    const { dataDir, env, index } = this.#options;
    for (let attempt = 1; ; attempt++) {
      this.#note("start");
      const relay = await startRelay({
        from: "built",
        ready: false,
        port: await freePort(),
        dataDir,
        env: { ...settings, ...env },
        onOutput: (chunk) => void this.#output.write(chunk),
      });
      this.#relay = relay;
      try {
        const what = `relay ${index} to answer`;
        await until(() => relay.exit() !== undefined || isAlive(relay.url), {
          within: startLimit,
          every: 20,
          what,
        });
      } catch (error) {
        await relay.kill();
        throw error;
      }
      if (relay.exit() === undefined) break;
      // somebody else may have taken the port just now
      if (attempt === 3) throw new Error(`relay ${index} ended at start: ${relay.output().slice(-500)}`);
    }
    this.state = "up";
  }

  async kill(): Promise<void> {
    this.#note("SIGKILL");
    await this.#end((relay) => relay.kill());
  }

  /** SIGTERM. An exit code that is not 0 is an incident, and so is taking longer than the 10 s it has. */
  async drain(): Promise<void> {
    this.#note("SIGTERM");
    const { incidents, index } = this.#options;
    const began = Date.now();
    await this.#end(async (relay) => {
      try {
        const { code, signal } = await relay.stop();
        const tookMs = Date.now() - began;
        if (code !== 0 || tookMs > 10_000) {
          incidents.push({
            at: began,
            what: `relay ${index} ended with ${code ?? signal} ${tookMs} ms after SIGTERM`,
          });
        }
      } catch (error) {
        incidents.push({ at: began, what: `relay ${index}: ${String(error).slice(0, 200)}` });
      }
    });
  }

  stop(): void {
    this.#note("SIGSTOP");
    this.#signal("SIGSTOP");
    this.state = "stopped";
  }

  resume(): void {
    this.#note("SIGCONT");
    this.#signal("SIGCONT");
    this.state = "up";
  }

  /** An end that nobody asked for is an incident. */
  watch(): void {
    const exit = this.#relay?.exit();
    if (this.state === "down" || exit === undefined) return;
    this.state = "down";
    const what = `relay ${this.index} ended by itself with ${exit.code ?? exit.signal}`;
    this.#options.incidents.push({ at: Date.now(), what });
  }

  async close(): Promise<void> {
    if (this.state === "stopped") this.resume();
    if (this.#relay?.exit() === undefined) await this.#relay?.kill();
    this.#output.end();
  }

  async #end(end: (relay: TestRelay) => Promise<unknown>): Promise<void> {
    const relay = this.#relay;
    if (relay === undefined || this.state === "down") return;
    this.state = "down";
    await end(relay);
    this.diedAt = Date.now();
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#relay?.exit() === undefined && this.#relay !== undefined) process.kill(this.#relay.pid, signal);
  }

  #note(what: string): void {
    this.#output.write(`--- ${new Date().toISOString()} ${what}\n`);
  }
}

async function isAlive(url: string): Promise<boolean> {
  const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(1_000) });
  await response.body?.cancel();
  return response.ok;
}
