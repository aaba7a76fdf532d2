/**
 * The connection that runs scripts. A call waits for the connection, but never longer than its time; one that finds
 * Redis away for longer than that already is rejected at once. A server that hangs loses its connection: ioredis
 * destroys one on which an answer is overdue, and tries again for ever.
 */
import { Redis } from "ioredis";
import { LogError } from "./event-log.ts";
import { followingMaster } from "./redis-connector.ts";
import { brokenConnection, explain, explainText, isNotMaster, textOf } from "./redis-errors.ts";
import { ReplicaWait } from "./redis-replicas.ts";
import type { Script } from "./redis-scripts.ts";
import type { RedisAddress } from "./redis-url.ts";

export interface LineLogger {
  info(message: string): void;
  warn(message: string): void;
}

/** Of one script; the prologue's three first. */
export type ScriptArgument = string | Buffer;

const leastRetryMs = 50;
const mostRetryMs = 2_000;
/** Where another server may take its place, it may do so any moment. */
const mostFailoverRetryMs = 500;

/** Any time up to a ceiling that doubles: nodes that lost Redis together do not come back together. */
export function retryDelay(
  attempt: number,
  random: () => number = Math.random,
  mostMs: number = mostRetryMs,
): number {
  const ceiling = Math.min(mostMs, leastRetryMs * 2 ** Math.min(attempt, 10));
  return leastRetryMs + Math.floor(random() * (ceiling - leastRetryMs));
}

/**
 * A connection as every part of the log uses it. `refused` hears what Redis has against it: one that has no
 * connection left answers so to whatever comes first, and hangs up.
 */
export function connect(
  address: RedisAddress,
  timeoutMs: number,
  refused: (error: unknown) => void = () => undefined,
): Redis {
  const redis = new Redis({
    ...address.options,
    ...followingMaster(address),
    // In the client's own greeting a refusal would be lost: this one we send ourselves.
    disableClientInfo: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disconnectTimeout: 250,
    keepAlive: 10_000,
    retryStrategy: (attempt) =>
      retryDelay(attempt, Math.random, address.guides === undefined ? mostRetryMs : mostFailoverRetryMs),
    // A call that may have been carried out is the caller's to repeat: nothing is queued or sent again.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    // A server that is loading says so to each call; asking beforehand would need the right to INFO.
    enableReadyCheck: false,
  });
  redis.on("ready", () => void redis.client("SETNAME", "sharmo-relay").catch(refused));
  return redis;
}

/** A server that became a replica may hide behind a name or an address that now leads to the new master. */
const renewMs = 2_000;

/** A call that waits for the connection. */
interface Waiter {
  ready(): void;
  fail(error: LogError): void;
}

interface Call {
  over: boolean;
  waiter?: Waiter;
}

export class RedisConnection {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #label: string;
  readonly #timeoutMs: number;
  readonly #logger: LineLogger | undefined;
  readonly #replicas: ReplicaWait | undefined;
  readonly #waiting = new Set<Waiter>();
  #awaySince: number | undefined = performance.now();
  /** What the last attempt to connect came to, and the last such thing that was logged. */
  #problem: string | undefined;
  #logged: string | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #running = 0;
  #idle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** With `minReplicas`, what a script wrote must be on so many before its call resolves. */
  constructor(
    address: RedisAddress,
    key: string,
    timeoutMs: number,
    logger: LineLogger | undefined,
    minReplicas: number = 0,
  ) {
    this.#key = key;
    this.#label = address.label;
    this.#timeoutMs = timeoutMs;
    this.#logger = logger;
    this.#redis = connect(address, timeoutMs, (error) => this.#refused(textOf(error)));
    if (minReplicas > 0) {
      // A call may have to wait for the one before it, and must be over in its time all the same.
      const waitMs = Math.floor(timeoutMs / 3);
      this.#replicas = new ReplicaWait(this.#redis, {
        replicas: minReplicas,
        timeoutMs: waitMs,
        label: address.label,
      });
    }
    this.#redis.on("ready", () => this.#came());
    this.#redis.on("close", () => {
      this.#awaySince ??= performance.now();
    });
    this.#redis.on("error", (error) => this.#trouble(textOf(error)));
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  assertOpen(): void {
    if (this.closed) throw new LogError("closed", "the event log is closed");
  }

  /** Runs a script; rejects with a `LogError`, at the latest when its time is over. */
  async run(script: Script, args: readonly ScriptArgument[]): Promise<unknown> {
    this.assertOpen();
    const call: Call = { over: false };
    this.#running++;
    try {
      return await this.#inTime(call, this.#attempt(call, script, args));
    } catch (error) {
      throw this.errorOf(error);
    } finally {
      this.#running--;
      if (this.#running === 0) this.#idle?.();
    }
  }

  /** What a person is told of an error. One that says that another server is the master makes it connect anew. */
  errorOf(error: unknown): LogError {
    const said = explain(error, this.#label);
    if (error instanceof Error && isNotMaster(error.message)) this.renew();
    return said.message.endsWith(brokenConnection) ? this.#away(textOf(error)) : said;
  }

  /** Connects anew, unless it just did. */
  renew(): void {
    const now = performance.now();
    if (!this.#usable() || now - this.#renewedAt < renewMs) return;
    this.#renewedAt = now;
    this.#redis.disconnect(true);
  }

  /** Takes no more calls, lets those under way end, and disconnects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = new LogError("closed", "the event log was closed");
    for (const waiter of this.#waiting) waiter.fail(closed);
    this.#waiting.clear();
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await disconnect(this.#redis);
  }

  async #attempt(call: Call, script: Script, args: readonly ScriptArgument[]): Promise<unknown> {
    if (!this.#usable()) await this.#ready(call);
    try {
      return await this.#confirmed("EVALSHA", script.sha, "1", this.#key, ...args);
    } catch (error) {
      if (call.over || !(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return await this.#confirmed("EVAL", script.text, "1", this.#key, ...args);
    }
  }

  async #confirmed(command: string, ...args: readonly ScriptArgument[]): Promise<unknown> {
    const write = this.#replicas?.sent();
    const reply = await this.#redis.callBuffer(command, ...args);
    if (write !== undefined) await this.#replicas?.confirm(write);
    return reply;
  }

  /** One that is being replaced still calls itself ready. */
  #usable(): boolean {
    return this.#redis.status === "ready" && this.#redis.stream.writable;
  }

  #inTime<T>(call: Call, attempt: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        call.over = true;
        if (call.waiter !== undefined) this.#waiting.delete(call.waiter);
        reject(this.#away(`timed out after ${this.#timeoutMs} ms`));
      }, this.#timeoutMs);
      attempt.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** Resolves when the connection is there. */
  #ready(call: Call): Promise<void> {
    if (this.#awaySince !== undefined && performance.now() - this.#awaySince > this.#timeoutMs) {
      throw this.#away("connecting timed out");
    }
    return new Promise<void>((resolve, reject) => {
      call.waiter = { ready: resolve, fail: reject };
      this.#waiting.add(call.waiter);
    });
  }

  #away(otherwise: string): LogError {
    return explainText(this.#problem ?? otherwise, this.#label);
  }

  #came(): void {
    if (this.#logged !== undefined) this.#logger?.info(`${this.#label} answers again`);
    this.#awaySince = undefined;
    this.#problem = undefined;
    this.#logged = undefined;
    for (const waiter of this.#waiting) waiter.ready();
    this.#waiting.clear();
  }

  #refused(text: string): void {
    if (/max number of clients/.test(text)) this.#trouble(text);
  }

  #trouble(text: string): void {
    this.#problem = text;
    const { message } = explainText(text, this.#label);
    if (this.#logged === message || this.closed) return;
    this.#logged = message;
    this.#logger?.warn(message);
  }
}

/** Resolves when the connection is closed for good. */
export async function disconnect(redis: Redis): Promise<void> {
  const waits = redis.status === "reconnecting" || redis.status === "end" || redis.status === "wait";
  const ended = waits ? undefined : new Promise<void>((resolve) => redis.once("end", () => resolve()));
  redis.disconnect();
  await ended;
}
