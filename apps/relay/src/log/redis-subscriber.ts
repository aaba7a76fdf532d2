/**
 * One subscription to the channel of announcements, on a connection of its own. It connects and subscribes anew for
 * ever; a connection that is dead without having been closed is found by asking it regularly.
 */
import type { Redis } from "ioredis";
import { decodeAnnouncement } from "./entry.ts";
import { LogError, type LogListener } from "./event-log.ts";
import { connect, disconnect, type LineLogger, retryDelay } from "./redis-connection.ts";
import { explain } from "./redis-errors.ts";
import type { RedisAddress } from "./redis-url.ts";

/** Longest time after which a silent connection is asked whether it lives. */
const maxPingMs = 5_000;

export interface SubscriberOptions {
  readonly address: RedisAddress;
  readonly channel: string;
  readonly timeoutMs: number;
  readonly listener: LogListener;
  readonly logger: LineLogger | undefined;
  /** Something came on the channel that is no announcement. */
  ignored(): void;
}

export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #redis: Redis;
  readonly #ping: NodeJS.Timeout;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;
  #flowed = false;
  #stopping: Promise<void> | undefined;
  #started: { resolve(): void; reject(error: LogError): void } | undefined;
  /** Resolves when announcements flow for the first time; rejects if it is stopped before. */
  readonly started: Promise<void>;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.started = new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
    });
    this.#redis = connect(options.address, options.timeoutMs);
    // What is wrong with Redis is said by the connection that runs scripts.
    this.#redis.on("error", () => undefined);
    this.#redis.on("ready", () => this.#subscribe());
    this.#redis.on("messageBuffer", (_channel: Buffer, message: Buffer) => this.#hear(message));
    this.#ping = setInterval(() => this.#ask(), Math.min(maxPingMs, 2 * options.timeoutMs));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#ping);
    clearTimeout(this.#retry);
    this.#started?.reject(new LogError("closed", "listening was stopped before it began"));
    await disconnect(this.#redis);
  }

  #subscribe(): void {
    clearTimeout(this.#retry);
    this.#redis.subscribe(this.#options.channel).then(
      () => this.#flows(),
      (error: unknown) => this.#failed(error),
    );
  }

  #flows(): void {
    if (this.#stopping !== undefined) return;
    this.#attempts = 0;
    if (this.#flowed) this.#options.listener.reconnected();
    this.#flowed = true;
    this.#started?.resolve();
  }

  /** A lost connection subscribes when it is back; on one that is there, this was a refusal. */
  #failed(error: unknown): void {
    if (this.#stopping !== undefined || this.#redis.status !== "ready") return;
    const { address, logger } = this.#options;
    if (this.#attempts === 0) logger?.warn(`no announcements: ${explain(error, address.label).message}`);
    this.#retry = setTimeout(() => this.#subscribe(), retryDelay(++this.#attempts));
  }

  #hear(message: Buffer): void {
    if (this.#stopping !== undefined) return;
    const announcement = decodeAnnouncement(message);
    if (announcement === undefined) this.#options.ignored();
    else this.#options.listener.announced(announcement);
  }

  #ask(): void {
    if (this.#redis.status === "ready") this.#redis.ping().catch(() => undefined);
  }
}
