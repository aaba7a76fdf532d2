/**
 * Posts as the vendor does: the same bytes again after anything but a 2xx, on its schedule run faster, to any node that
 * a balancer without health checks picks. Some answers get lost, so the event is sent again though it was taken; some
 * events are posted to two nodes at once.
 */
import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createMarket,
  createRandom,
  type Market,
  type Random,
  schemes,
  serialise,
  signatureHeaders,
  styles,
  vendorDelays,
} from "@sharmo-relay/simulator";
import type { Answer, Attempt, Posted } from "./history.ts";
import { webhookSecret } from "./nodes.ts";
import { keysOf } from "./topics.ts";

export interface SenderOptions {
  readonly seed: string;
  /** Events a second. */
  readonly rate: number;
  readonly nodes: number;
  readonly urlOf: (node: number) => string;
  readonly posted: Map<string, Posted>;
}

/** The vendor's five minutes become a second; what it would give up, an operator sends again. */
const hurry = 300;
const delays = [...vendorDelays.map((ms) => ms / hurry), 5_000];
/** The shorter of the limits that the vendor's documents name. */
const timeoutMs = 5_000;
const shares = { lostAnswer: 0.05, twoNodes: 0.03, large: 0.01 };
const maxOpen = 2_000;
/** Requests at a time to one node; what a node that hangs holds up, the others do not wait for. */
const maxInFlight = 16;

export class Sender {
  readonly #options: SenderOptions;
  readonly #market: Market;
  readonly #random: Random;
  readonly #open = new Set<Promise<void>>();
  readonly #finish = new AbortController();
  readonly #give = new AbortController();
  readonly #slots: readonly Slots[];
  #posting: Promise<void> | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.nodes }, () => new Slots(maxInFlight));
    // each open delivery listens
    setMaxListeners(0, this.#finish.signal, this.#give.signal);
    this.#market = createMarket({ seed: options.seed });
    this.#random = createRandom(options.seed).fork("sender");
  }

  /** Deliveries without their last answer. */
  get open(): number {
    return this.#open.size;
  }

  start(): void {
    this.#posting = this.#post();
  }

  /** So many events of so many bytes, all at once. */
  burst(count: number, bytes: number): void {
    for (let n = 0; n < count; n++) void this.#send(bytes);
  }

  /** No more new events; what is open is sent again at once. Resolves when all is answered, or after the time. */
  async finish(withinMs: number): Promise<void> {
    this.#finish.abort();
    await this.#posting;
    const over = new AbortController();
    const limit = sleep(withinMs, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([Promise.allSettled([...this.#open]), limit]);
    over.abort();
    this.#give.abort();
    await Promise.allSettled([...this.#open]);
  }

  async #post(): Promise<void> {
    let due = performance.now();
    while (!this.#finish.signal.aborted) {
      due = Math.max(due + 1_000 / this.#options.rate, performance.now() - 500);
      if (this.#open.size < maxOpen) void this.#send();
      await pause(due - performance.now(), this.#finish.signal);
    }
  }

  #send(bytes?: number): Promise<void> {
    const event = this.#market.next();
    const random = this.#random.fork(event.id);
    const size = bytes ?? (random.chance(shares.large) ? random.integer(17_000, 60_000) : undefined);
    const data = size === undefined ? event.data : { ...event.data, note: "x".repeat(size) };
    const body = serialise({ ...event, data }, random.pick(styles));
    const seen = JSON.parse(Buffer.from(body).toString()) as SeenEvent;
    const posted: Posted = {
      id: event.id,
      type: event.type,
      keys: keysOf(event.type, seen.data),
      bytesHash: hash(body),
      eventHash: hashOf(seen),
      attempts: [],
    };
    this.#options.posted.set(event.id, posted);
    const delivery = this.#deliver(posted, body, random).finally(() => this.#open.delete(delivery));
    this.#open.add(delivery);
    return delivery;
  }

  async #deliver(posted: Posted, body: Uint8Array, random: Random): Promise<void> {
    const node = (): number => random.integer(0, this.#options.nodes - 1);
    let toLose = random.chance(shares.lostAnswer) ? 1 : 0;
    for (let attempt = 0; ; attempt++) {
      const two = attempt === 0 && random.chance(shares.twoNodes);
      const arrived = await Promise.all(
        Array.from({ length: two ? 2 : 1 }, () => this.#attempt(posted, body, node(), random)),
      );
      if (arrived.every(Boolean) && toLose-- <= 0) return;
      if (this.#give.signal.aborted) return;
      const delay = delays[Math.min(attempt, delays.length - 1)] ?? 0;
      // when all is to end, nobody waits for the schedule
      if (this.#finish.signal.aborted) await pause(200 + random.next() * 300, this.#give.signal);
      else await pause(delay * (0.8 + random.next() * 0.4), this.#finish.signal);
    }
  }

  async #attempt(posted: Posted, body: Uint8Array, node: number, random: Random): Promise<boolean> {
    const slots = this.#slots[node];
    await slots?.take();
    const at = Date.now();
    const headers = signatureHeaders(random.pick(schemes), body, webhookSecret, Math.floor(at / 1_000));
    const answer = await post(`${this.#options.urlOf(node)}/api/sharmo-webhooks`, body, headers);
    slots?.give();
    const attempt: Attempt = { at, tookMs: Date.now() - at, node, answer };
    posted.attempts.push(attempt);
    return answer.kind === "accepted" || answer.kind === "duplicate";
  }
}

/** So many at a time, in the order they came. */
class Slots {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

async function post(url: string, body: Uint8Array, headers: Record<string, string>): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: new Uint8Array(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = (await response.json()) as { status?: string; cursor?: string; code?: string };
    if (response.status !== 200) {
      return { kind: "refused", status: response.status, code: answer.code ?? "" };
    }
    if (answer.status === "accepted" && answer.cursor !== undefined) {
      return { kind: "accepted", cursor: answer.cursor };
    }
    if (answer.status === "duplicate") return { kind: "duplicate" };
    return { kind: "refused", status: 200, code: JSON.stringify(answer) };
  } catch (error) {
    return { kind: "no_answer", why: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  const cause = error.cause instanceof Error ? error.cause : error;
  return "code" in cause ? String(cause.code) : cause.message;
}

/** Ends early when the signal comes. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => undefined);
}

export interface SeenEvent {
  readonly id: string;
  readonly type: string;
  readonly created_at: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Of the event as a parser sees it, whatever bytes it came in. */
export function hashOf({ id, type, created_at, data }: SeenEvent): string {
  return hash(Buffer.from(JSON.stringify({ id, type, created_at, data })));
}

export function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url").slice(0, 16);
}
