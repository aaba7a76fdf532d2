/** The closed sets of codes on the wire. A new code is a change of the protocol. */

/** Why a request on a connection, or a connection itself, was refused. */
export const errorCodes = [
  "invalid_topic",
  "forbidden",
  "invalid_cursor",
  "unavailable",
  "too_many_topics",
  "rate_limited",
  "unauthenticated",
  "token_expired",
  "subject_changed",
  "revoked",
  "origin_refused",
  "overloaded",
  "draining",
  "unsupported_protocol",
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** The error of an ack, of `connect_error` (`data`), and of HTTP bodies: the shape of the vendor's own API. */
export interface WireError<C extends string = ErrorCode> {
  readonly code: C;
  /** For the person who reads it: what was wrong and what was expected. */
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Why a webhook was not accepted. */
export const ingestCodes = [
  "missing_signature",
  "invalid_signature",
  "stale_signature",
  "not_configured",
  "invalid_json",
  "invalid_event",
  "request_timeout",
  "payload_too_large",
  "unsupported_media_type",
  "method_not_allowed",
  "address_not_allowed",
  "rate_limited",
  "storage_unavailable",
] as const;
export type IngestCode = (typeof ingestCodes)[number];

/** Errors of the management API; as in the vendor's own. */
export const apiCodes = [
  "validation_error",
  "unauthenticated",
  "unauthorized",
  "not_found",
  "rate_limit_exceeded",
  "unavailable",
  "server_error",
] as const;
export type ApiCode = (typeof apiCodes)[number];
