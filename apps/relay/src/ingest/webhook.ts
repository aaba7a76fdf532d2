/**
 * The webhook over HTTP: reads a request, has it judged, does what the verdict says, and answers with one row of the
 * table in `outcome.ts`. Works on Node's own request and response: the bytes must come as they were sent.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { formatCursor } from "@sharmo-relay/protocol";
import type { Config } from "../config.ts";
import { type Accepted, LogError, type NewEvent, type Quarantine } from "../log/event-log.ts";
import { networksOf } from "./address.ts";
import { ChallengeLimit, challengesPerMinute } from "./challenge.ts";
import { createJudge, type Keep, keepTooManyTypes, type Verdict } from "./judge.ts";
import type { IngestFailure, IngestObserver } from "./observer.ts";
import type { Outcome, Refusal } from "./outcome.ts";
import { quarantineItem } from "./quarantine-item.ts";
import { readBody } from "./read-body.ts";
import { refusals } from "./refusals.ts";
import { announcesBody, refuseByHead } from "./request-head.ts";
import { respond } from "./respond.ts";

export interface WebhookDeps {
  readonly settings: Config["webhook"];
  /** Rejects when the log cannot take the event; resolves only once it is stored. */
  accept(event: NewEvent): Promise<Accepted>;
  readonly quarantine: Quarantine;
  clientAddress(request: IncomingMessage): string;
  readonly observe: IngestObserver;
  readonly now?: () => number;
  readonly timeouts?: Partial<WebhookTimeouts>;
}

interface WebhookTimeouts {
  /** From the head of a request to the last byte of its body. */
  readonly bodyMs: number;
  /** All calls to the log for one request. */
  readonly storeMs: number;
}

export type WebhookHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** The log gives up after 1.5 s; `storeMs` holds even if it does not, and leaves time to answer within 2 s. */
const defaultTimeouts: WebhookTimeouts = { bodyMs: 10_000, storeMs: 1_800 };

/** The handler never rejects. */
export function createWebhookHandler(deps: WebhookDeps): WebhookHandler {
  const { settings, observe, now = Date.now } = deps;
  const { bodyMs, storeMs } = { ...defaultTimeouts, ...deps.timeouts };
  const judge = createJudge(settings);
  const allowed = networksOf(settings.allowedIps);
  const challenges = new ChallengeLimit();

  const refuseUnread = (request: IncomingMessage): Refusal | undefined =>
    allowed.empty || allowed.has(deps.clientAddress(request))
      ? refuseByHead(request, settings.maxBytes)
      : refusals.addressNotAllowed;

  const follow = async (
    verdict: Verdict,
    body: Buffer,
    request: IncomingMessage,
    startedAt: number,
  ): Promise<Outcome> => {
    switch (verdict.kind) {
      case "refuse":
        return verdict.refusal;
      case "challenge": {
        const waitSeconds = challenges.take(deps.clientAddress(request), now());
        return waitSeconds === undefined
          ? { row: "challenge", challenge: verdict.challenge }
          : refusals.rateLimited(challengesPerMinute, waitSeconds);
      }
      case "keep":
        for (const problem of verdict.problems) observe.schemaProblem(problem.type, problem.field);
        return keep(verdict.keep, body);
      case "accept": {
        const { event, problems } = verdict;
        const accepted = await deps.accept(event);
        if (accepted.status === "refused") return keep(keepTooManyTypes(), body);
        if (accepted.status === "duplicate") return duplicate(event, accepted.sameContent);
        observe.acceptTook((performance.now() - startedAt) / 1000);
        for (const problem of problems) observe.schemaProblem(problem.type, problem.field);
        return {
          row: "accepted",
          id: event.id,
          cursor: formatCursor(accepted.epoch, accepted.entry.sequence),
        };
      }
    }
  };

  /** The refusal is said only once the bytes are kept: after a 4xx an operator may stop the sender's retries. */
  const keep = async ({ reason, message, refusal }: Keep, body: Buffer): Promise<Outcome> => {
    await deps.quarantine.put(quarantineItem(reason, message, body));
    return refusal;
  };

  const duplicate = async (event: NewEvent, sameContent: boolean): Promise<Outcome> => {
    if (!sameContent) {
      observe.idReused(event.type, event.id);
      const message = "The id is that of an event which came before with other content.";
      await deps.quarantine.put(quarantineItem("id_reused", message, event.body));
    }
    return { row: "duplicate", id: event.id };
  };

  const failed = (error: unknown): Outcome => {
    observe.failed(failureOf(error), error);
    return refusals.storageUnavailable;
  };

  return async (request, response) => {
    const startedAt = performance.now();
    const answer = async (outcome: Outcome, unread: boolean): Promise<void> => {
      observe.outcome(outcome.row);
      await respond(request, response, outcome, unread);
    };
    try {
      const early = refuseUnread(request);
      if (early !== undefined) return await answer(early, announcesBody(request));

      const body = await readBody(request, settings.maxBytes, bodyMs);
      if (body.status === "aborted") return;
      if (body.status === "too_large") return await answer(refusals.tooLarge(settings.maxBytes), true);
      if (body.status === "too_slow") return await answer(refusals.tooSlow(bodyMs), true);

      const verdict = judge(request.rawHeaders, body.bytes, now());
      const outcome = await within(storeMs, follow(verdict, body.bytes, request, startedAt)).catch(failed);
      await answer(outcome, false);
    } catch (error) {
      // A fault of our own: the event is not stored, so the sender must try again.
      await answer(failed(error), !request.complete).catch(() => response.destroy());
    }
  };
}

class StoreTimeout extends Error {}

/** What comes after the time is up is dropped: the sender's retry will find the event, if it was stored. */
function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new StoreTimeout(`no answer within ${ms} ms`)), ms);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

function failureOf(error: unknown): IngestFailure {
  if (error instanceof LogError) return error.code;
  return error instanceof StoreTimeout ? "timeout" : "unexpected";
}
