/**
 * What a refused sender is told. An operator reads it in the sender's dashboard, cut off: so the first 80 characters
 * say what to do. Nothing of the body stands in it.
 */
import type { Refusal } from "./outcome.ts";

const kept = "The bytes are kept in the relay's quarantine.";

export const refusals: {
  readonly addressNotAllowed: Refusal;
  readonly methodNotAllowed: Refusal;
  readonly contentType: Refusal;
  readonly contentEncoding: Refusal;
  tooLarge(maxBytes: number): Refusal;
  tooSlow(timeoutMs: number): Refusal;
  readonly notConfigured: Refusal;
  readonly signatureMissing: Refusal;
  readonly signatureMismatch: Refusal;
  signatureMalformed(header: string, form: string): Refusal;
  signatureRepeated(header: string): Refusal;
  /** `behindMs`: how far the time of the signature lies before the relay's clock; negative if after it. */
  signatureStale(behindMs: number, maxAgeMs: number): Refusal;
  staleChallenge(behindMs: number, maxAgeMs: number): Refusal;
  invalidJson(message: string): Refusal;
  invalidEvent(message: string, details: Readonly<Record<string, unknown>>): Refusal;
  rateLimited(perMinute: number, retryAfterSeconds: number): Refusal;
  readonly storageUnavailable: Refusal;
} = {
  addressNotAllowed: {
    row: "address_not_allowed",
    message:
      "Add the sender to WEBHOOK_ALLOWED_IPS, or a proxy before the relay to RELAY_TRUST_PROXY: requests from this address are not allowed.",
  },
  methodNotAllowed: {
    row: "method_not_allowed",
    message: "Use POST: this address takes Sharmo's webhooks and nothing else.",
  },
  contentType: {
    row: "unsupported_media_type",
    message: "Send Content-Type: application/json; the only parameter may be charset=utf-8.",
  },
  contentEncoding: {
    row: "unsupported_media_type",
    message: "Send the body uncompressed, without Content-Encoding: the signature is over the plain bytes.",
  },
  tooLarge: (maxBytes) => ({
    row: "payload_too_large",
    message: `Raise WEBHOOK_MAX_BYTES of the relay (now ${maxBytes}): the body has more bytes.`,
    details: { max_bytes: maxBytes },
  }),
  tooSlow: (timeoutMs) => ({
    row: "request_timeout",
    message: `Send the whole body within ${timeoutMs / 1000} s: it had not arrived by then. Sharmo will retry.`,
  }),
  notConfigured: {
    row: "not_configured",
    message:
      "Set SHARMO_WEBHOOK_SECRETS on the relay to the secret of Sharmo's dashboard. Sharmo will retry until then.",
  },
  signatureMissing: {
    row: "missing_signature",
    message: "Sign the webhook: it has neither X-Sharmo-Signature nor Sharmo-Signature.",
  },
  signatureMismatch: {
    row: "invalid_signature",
    message:
      "Compare SHARMO_WEBHOOK_SECRETS of the relay with the secret in Sharmo's dashboard: the signature does not fit the bytes received. A proxy that changes the body has the same effect.",
  },
  signatureMalformed: (header, form) => ({
    row: "invalid_signature",
    message: `Send ${header} as ${form}: what came has another form.`,
    details: { header },
  }),
  signatureRepeated: (header) => ({
    row: "invalid_signature",
    message: `Send ${header} once: it came more than once, and which one counts is not the relay's to guess.`,
    details: { header },
  }),
  signatureStale: (behindMs, maxAgeMs) => ({
    row: "stale_signature",
    message: `Compare the clocks of Sharmo and the relay: the signature is right, but its time is ${clockDifference(behindMs)}, more than WEBHOOK_MAX_AGE (${maxAgeMs / 1000} s)${behindMs > 0 ? ", unless it was on its way for so long" : ""}. ${kept}`,
    details: clockDetails(behindMs, maxAgeMs),
  }),
  staleChallenge: (behindMs, maxAgeMs) => ({
    row: "stale_signature",
    message: `Compare the clocks of Sharmo and the relay, then register again: the challenge was signed ${clockDifference(behindMs)}.`,
    details: clockDetails(behindMs, maxAgeMs),
  }),
  invalidJson: (message) => ({ row: "invalid_json", message: `${message} ${kept}` }),
  invalidEvent: (message, details) => ({ row: "invalid_event", message: `${message} ${kept}`, details }),
  rateLimited: (perMinute, retryAfterSeconds) => ({
    row: "rate_limited",
    message: `Wait ${retryAfterSeconds} s, then register again: ${perMinute} challenges a minute from one address are answered.`,
    details: { per_minute: perMinute },
    retryAfterSeconds,
  }),
  storageUnavailable: {
    row: "storage_unavailable",
    message:
      "Let Sharmo retry: the relay could not store the event now. Its log and /readyz say why; nothing is lost.",
  },
};

/** "603 s behind the relay's clock". */
export function clockDifference(behindMs: number): string {
  const seconds = Math.round(Math.abs(behindMs) / 1000);
  return `${seconds} s ${behindMs > 0 ? "behind" : "ahead of"} the relay's clock`;
}

function clockDetails(behindMs: number, maxAgeMs: number): Readonly<Record<string, unknown>> {
  return { max_age_seconds: maxAgeMs / 1000, seconds_behind_relay: Math.round(behindMs / 1000) };
}
