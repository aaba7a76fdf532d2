/** Errors of the management API, in the shape of the vendor's own: `{"code","message","details"}`. */
import type { ApiCode, WireError } from "@sharmo-relay/protocol";

export class ApiError extends Error {
  readonly status: number;
  readonly code: ApiCode;
  readonly details: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ApiCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.details = details;
    this.headers = headers;
  }

  get body(): WireError<ApiCode> {
    return { code: this.code, message: this.message, details: this.details };
  }
}

/** The request itself is wrong; sending it again does not help. */
export function invalid(message: string, details: Readonly<Record<string, unknown>> = {}): ApiError {
  return new ApiError(400, "validation_error", message, details);
}

/** The log, or what is known of it, cannot answer now. */
export function unavailable(message: string, retryAfterSeconds = 1): ApiError {
  return new ApiError(503, "unavailable", message, {}, { "Retry-After": String(retryAfterSeconds) });
}
