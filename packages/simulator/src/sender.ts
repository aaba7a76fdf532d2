/**
 * Delivers events as the vendor does: signed, posted, answered 2xx or tried again on its schedule. At most
 * `maxInFlight` requests and `maxOpen` deliveries exist at a time; `send` waits while there is no room.
 */
import type { SharmoEvent } from "@sharmo-relay/protocol";
import { createRandom, type Random } from "./random.ts";
import { createRecord, type Delivery } from "./sender/deliveries.ts";
import { keptAnswerBytes, type PostResult, post, vendorTimeoutMs } from "./sender/post.ts";
import { delayBefore, delayOf, drawFate } from "./sender/schedule.ts";
import { type Style, serialise } from "./serialise.ts";
import { type Scheme, signatureHeaders } from "./sign.ts";

export interface SenderOptions {
  readonly url: string;
  readonly secret: string;
  /** Default: `body`. */
  readonly scheme?: Scheme;
  /** Default: `json`. */
  readonly style?: Style;
  /** How many times faster than the vendor's the retry schedule runs. Default: 1. */
  readonly timeScale?: number;
  /** The share of events whose answer is taken for lost, so that they are sent again. Default: 0. */
  readonly duplicates?: number;
  /** The share of events that are held back for one to three steps of the schedule. Default: 0. */
  readonly late?: number;
  /** Decides which events are sent again or held back: by their id, so the same ones each time. */
  readonly random?: Random;
  /** Default: 8. */
  readonly maxInFlight?: number;
  /** Requests in flight and deliveries that wait for a retry, together. Default: 5,000. */
  readonly maxOpen?: number;
  /** Default: the vendor's 10 s; the time scale does not change it. */
  readonly timeoutMs?: number;
  /** How many deliveries are kept for `deliveries()`. Default: 200. */
  readonly keepDeliveries?: number;
  /** Told of every attempt that ended. */
  readonly onDelivery?: (delivery: Delivery) => void;
  /** Stops the sender. */
  readonly signal?: AbortSignal;
}

export interface SenderStats {
  /** Events taken by `send`. */
  readonly sent: number;
  /** Events answered 2xx. */
  readonly accepted: number;
  /** Deliveries answered 2xx of events that had been answered 2xx before. */
  readonly duplicates: number;
  /** Events held back on purpose. */
  readonly late: number;
  /** Events given up after the last retry. */
  readonly failed: number;
  /** Requests that ended, with any outcome. */
  readonly attempts: number;
  readonly inFlight: number;
  /** Deliveries that wait for their next attempt. */
  readonly waiting: number;
  /** `maxOpen` is reached: `send` waits until a delivery has its outcome. */
  readonly full: boolean;
  /** When the first of them is due, in milliseconds since 1970. */
  readonly nextAt?: number;
}

export interface Sender {
  /** Takes an event as soon as there is room. `false`: the sender was stopped. Await it before the next call. */
  send(event: SharmoEvent): Promise<boolean>;
  /** Sends at once what was held back on purpose, and waits until every delivery has its outcome. */
  finish(): Promise<void>;
  /** Ends requests and retries at once. */
  stop(): Promise<void>;
  stats(): SenderStats;
  /** The last deliveries, newest last. */
  deliveries(): readonly Delivery[];
}

interface Job {
  readonly id: string;
  readonly type: string;
  /** Made once: a retry carries the same bytes under a new signature time. */
  readonly body: Uint8Array;
  retries: number;
  answersToLose: number;
  accepted: boolean;
}

interface Wait {
  readonly timer: NodeJS.Timeout;
  readonly until: number;
  readonly onPurpose: boolean;
}

export function createSender(options: SenderOptions): Sender {
  const { url, secret, scheme = "body", style = "json", timeScale = 1, onDelivery } = options;
  const { maxInFlight = 8, maxOpen = 5_000, timeoutMs = vendorTimeoutMs } = options;
  const shares = { duplicates: options.duplicates ?? 0, late: options.late ?? 0 };
  const random = options.random ?? createRandom("sender");
  const record = createRecord(options.keepDeliveries ?? 200);
  const counts = { sent: 0, accepted: 0, duplicates: 0, late: 0, failed: 0, attempts: 0 };

  const stopped = new AbortController();
  const waiting = new Map<Job, Wait>();
  const due: Job[] = [];
  const askers: (() => void)[] = [];
  const finishers: (() => void)[] = [];
  const stoppers: (() => void)[] = [];
  let inFlight = 0;
  let heldOnPurpose = 0;
  let finishing = false;

  const open = (): number => inFlight + due.length + waiting.size;
  const hasRoom = (): boolean => inFlight < maxInFlight && due.length === 0 && open() < maxOpen;
  // The rest of the room stays for real retries.
  const mayHold = (): boolean => heldOnPurpose < maxOpen / 2;

  /** Uses the room there is: first for what is due again, then for who asks to send. */
  const goOn = (): void => {
    if (inFlight === 0) for (const done of stoppers.splice(0)) done();
    if (stopped.signal.aborted) return;
    while (inFlight < maxInFlight) {
      const job = due.shift();
      if (job === undefined) break;
      start(job);
    }
    if (hasRoom()) askers.shift()?.();
    if (open() === 0) for (const done of finishers.splice(0)) done();
  };

  const start = (job: Job): void => {
    inFlight += 1;
    void attempt(job).finally(() => {
      inFlight -= 1;
      goOn();
    });
  };

  const wait = (job: Job, ms: number, onPurpose: boolean): number => {
    const until = Date.now() + ms;
    const timer = setTimeout(() => wake(job), ms);
    waiting.set(job, { timer, until, onPurpose });
    if (onPurpose) heldOnPurpose += 1;
    if (onPurpose && finishing) wake(job);
    return until;
  };

  const wake = (job: Job): void => {
    const wait = waiting.get(job);
    if (wait === undefined) return;
    clearTimeout(wait.timer);
    waiting.delete(job);
    if (wait.onPurpose) heldOnPurpose -= 1;
    due.push(job);
    goOn();
  };

  const attempt = async (job: Job): Promise<void> => {
    const at = new Date();
    const number = job.retries + 1;
    const headers = signatureHeaders(scheme, job.body, secret, Math.floor(at.getTime() / 1_000));
    const request = { url, body: job.body, headers, timeoutMs, keepBytes: keptAnswerBytes };
    const result = await post({ ...request, signal: stopped.signal });
    if (result.kind === "stopped" || stopped.signal.aborted) return;
    const again = job.accepted;
    const { outcome, nextAt } = conclude(job, result);
    const delivery: Delivery = {
      eventId: job.id,
      type: job.type,
      attempt: number,
      at: at.toISOString(),
      tookMs: Math.round(result.tookMs),
      ...(result.kind === "answer" ? { status: result.status } : {}),
      response: result.kind === "answer" ? result.body : result.reason,
      outcome,
      again,
      ...(nextAt === undefined ? {} : { nextAt: new Date(nextAt).toISOString() }),
    };
    record.add(delivery);
    onDelivery?.(delivery);
  };

  /** Counts the result of an attempt and decides what follows. */
  const conclude = (
    job: Job,
    result: Exclude<PostResult, { kind: "stopped" }>,
  ): { outcome: Delivery["outcome"]; nextAt?: number } => {
    counts.attempts += 1;
    const arrived = result.kind === "answer" && result.status >= 200 && result.status < 300;
    const delay = delayBefore(job.retries + 1, timeScale);
    if (arrived) {
      if (job.accepted) counts.duplicates += 1;
      else counts.accepted += 1;
      job.accepted = true;
      if (job.answersToLose === 0 || delay === undefined || !mayHold()) return { outcome: "delivered" };
      job.answersToLose -= 1;
      job.retries += 1;
      return { outcome: "lost_answer", nextAt: wait(job, delay, true) };
    }
    if (delay === undefined) {
      if (!job.accepted) counts.failed += 1;
      return { outcome: "failed" };
    }
    job.retries += 1;
    return { outcome: "retrying", nextAt: wait(job, delay, false) };
  };

  const stop = async (): Promise<void> => {
    if (!stopped.signal.aborted) {
      stopped.abort();
      for (const { timer } of waiting.values()) clearTimeout(timer);
      // What waits stays counted: it is what was left without an outcome.
      for (const done of [...askers.splice(0), ...finishers.splice(0)]) done();
    }
    if (inFlight > 0) await new Promise<void>((done) => stoppers.push(done));
  };

  if (options.signal?.aborted === true) void stop();
  else options.signal?.addEventListener("abort", () => void stop(), { once: true });

  return {
    send: async (event) => {
      while (!stopped.signal.aborted && !hasRoom()) await new Promise<void>((done) => askers.push(done));
      if (stopped.signal.aborted) return false;
      const fate = drawFate(random.fork(event.id), shares);
      const job: Job = {
        id: event.id,
        type: event.type,
        body: serialise(event, style),
        retries: 0,
        answersToLose: fate.answersToLose,
        accepted: false,
      };
      counts.sent += 1;
      if (fate.stepsLate > 0 && !finishing && mayHold()) {
        counts.late += 1;
        job.retries = fate.stepsLate;
        wait(job, delayOf(fate.stepsLate, timeScale), true);
      } else {
        start(job);
      }
      goOn();
      return true;
    },
    finish: async () => {
      finishing = true;
      for (const [job, { onPurpose }] of [...waiting]) if (onPurpose) wake(job);
      if (open() > 0 && !stopped.signal.aborted) await new Promise<void>((done) => finishers.push(done));
    },
    stop,
    stats: () => {
      let nextAt: number | undefined;
      for (const { until } of waiting.values()) if (nextAt === undefined || until < nextAt) nextAt = until;
      return {
        ...counts,
        inFlight,
        waiting: waiting.size + due.length,
        full: open() >= maxOpen,
        ...(nextAt === undefined ? {} : { nextAt }),
      };
    },
    deliveries: record.list,
  };
}
