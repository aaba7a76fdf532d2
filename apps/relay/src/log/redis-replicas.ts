/** Waits until replicas have what was written: one WAIT for all writes that were sent before it. */
import type { Redis } from "ioredis";
import { LogError } from "./event-log.ts";
import { explain, explainText } from "./redis-errors.ts";

/** A command on its way to Redis: on which connection, and which of its commands it is. */
export interface SentWrite {
  readonly stream: Redis["stream"];
  readonly place: number;
}

interface Waiter {
  readonly write: SentWrite;
  resolve(): void;
  reject(error: LogError): void;
}

export interface ReplicaWaitOptions {
  readonly replicas: number;
  /** Redis does nothing else for this connection meanwhile. */
  readonly timeoutMs: number;
  readonly label: string;
}

/**
 * WAIT covers what its own connection wrote, and on a connection that wrote nothing it is answered at once: so a write
 * and its WAIT must not be on two.
 */
export class ReplicaWait {
  readonly #redis: Redis;
  readonly #options: ReplicaWaitOptions;
  #sent = 0;
  #waiting: Waiter[] = [];
  #scheduled = false;
  #running: { readonly covers: SentWrite; readonly done: Promise<void> } | undefined;

  constructor(redis: Redis, options: ReplicaWaitOptions) {
    this.#redis = redis;
    this.#options = options;
  }

  /** Call it in the same tick as the write. */
  sent(): SentWrite {
    return { stream: this.#redis.stream, place: ++this.#sent };
  }

  /** Call it once the write was answered. Rejects with a `LogError` if too few replicas have it in time. */
  confirm(write: SentWrite): Promise<void> {
    const running = this.#running;
    if (
      running !== undefined &&
      write.stream === running.covers.stream &&
      write.place <= running.covers.place
    ) {
      return running.done;
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject });
      this.#schedule();
    });
  }

  /** What came in one piece from Redis is confirmed in one. */
  #schedule(): void {
    if (this.#scheduled || this.#running !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#confirmAll();
    });
  }

  #confirmAll(): void {
    const { stream } = this.#redis;
    const waiting = this.#waiting.splice(0);
    const here = waiting.filter(({ write }) => write.stream === stream);
    const lost = explainText("connection close", this.#options.label);
    for (const waiter of waiting) if (waiter.write.stream !== stream) waiter.reject(lost);
    if (here.length === 0) return;
    const done = this.#wait();
    this.#running = { covers: { stream, place: this.#sent }, done };
    done
      .then(
        () => {
          for (const waiter of here) waiter.resolve();
        },
        (error: LogError) => {
          for (const waiter of here) waiter.reject(error);
        },
      )
      .finally(() => {
        this.#running = undefined;
        if (this.#waiting.length > 0) this.#schedule();
      });
  }

  async #wait(): Promise<void> {
    const { replicas, timeoutMs, label } = this.#options;
    let have: number;
    try {
      have = Number(await this.#redis.call("WAIT", String(replicas), String(timeoutMs)));
    } catch (error) {
      throw explain(error, label);
    }
    if (have >= replicas) return;
    const message = `${label} has it on ${have} of ${replicas} replicas (RELAY_MIN_REPLICAS): ${checkReplicas}`;
    throw new LogError("unavailable", message);
  }
}

export const checkReplicas = "check that its replicas run and are in step (INFO replication, on the master)";
