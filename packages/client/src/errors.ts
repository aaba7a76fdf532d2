/** One error class; `code` tells what happened, `message` is for the person who reads it. */
import type { ErrorCode, WireError } from "@sharmo-relay/protocol";

/**
 * The relay's own codes, and those of this package:
 * - `closed`: the relay was closed, or the subscription ended, before what was awaited came.
 * - `gap`: events are missing and the subscription has no `onGap`.
 * - `handler_failed`: a handler threw; `cause` is what it threw.
 * - `invalid_options`: an argument that cannot work.
 */
export type RelayErrorCode = ErrorCode | "closed" | "gap" | "handler_failed" | "invalid_options";

/** Codes that asking again does not mend: neither time nor a new token changes the answer. */
export const finalCodes: readonly RelayErrorCode[] = [
  "invalid_topic",
  "forbidden",
  "too_many_topics",
  "invalid_cursor",
  "revoked",
  "origin_refused",
  "unsupported_protocol",
  "subject_changed",
];

export class RelayError extends Error {
  override readonly name = "RelayError";
  readonly code: RelayErrorCode;
  /** As the relay sent them; for `forbidden`, `topics` lists those refused. */
  readonly details: WireError["details"];

  constructor(
    code: RelayErrorCode,
    message: string,
    options?: { details?: WireError["details"]; cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.details = options?.details ?? {};
  }
}
