/**
 * The answer table of the webhook: every request ends as one of these rows, and a row is all that the answer is made
 * from.
 */
import type { Cursor, IngestCode } from "@sharmo-relay/protocol";

export interface Refusal {
  readonly row: IngestCode;
  readonly message: string;
  /** Names and limits; never anything of `data`. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Where the wait is known; `storage_unavailable` and `not_configured` get one with jitter. */
  readonly retryAfterSeconds?: number;
}

export type Outcome =
  | { readonly row: "accepted"; readonly id: string; readonly cursor: Cursor }
  | { readonly row: "duplicate"; readonly id: string }
  | { readonly row: "challenge"; readonly challenge: string }
  | Refusal;

export type OutcomeRow = Outcome["row"];

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const statusOf: Readonly<Record<IngestCode, number>> = {
  invalid_json: 400,
  missing_signature: 401,
  invalid_signature: 401,
  stale_signature: 401,
  address_not_allowed: 403,
  method_not_allowed: 405,
  request_timeout: 408,
  payload_too_large: 413,
  unsupported_media_type: 415,
  invalid_event: 422,
  rate_limited: 429,
  not_configured: 503,
  storage_unavailable: 503,
};

/** `random` (0 to 1) spreads the retries of a 503, so that senders do not come back in step. */
export function answerOf(outcome: Outcome, random: number): Answer {
  if ("message" in outcome) return refused(outcome, random);
  switch (outcome.row) {
    case "accepted":
      return ok({ status: "accepted", id: outcome.id, cursor: outcome.cursor });
    case "duplicate":
      return ok({ status: "duplicate", id: outcome.id });
    case "challenge":
      return ok({ challenge: outcome.challenge });
  }
}

function ok(body: object): Answer {
  return { status: 200, headers: {}, body: JSON.stringify(body) };
}

function refused({ row, message, details = {}, retryAfterSeconds }: Refusal, random: number): Answer {
  const status = statusOf[row];
  const headers: Record<string, string> = {};
  if (status === 405) headers["allow"] = "POST";
  const wait = retryAfterSeconds ?? (status === 503 ? 5 + Math.floor(random * 11) : undefined);
  if (wait !== undefined) headers["retry-after"] = String(wait);
  return { status, headers, body: JSON.stringify({ code: row, message, details }) };
}
