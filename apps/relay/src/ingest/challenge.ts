/**
 * The challenge that the sender posts when a webhook is registered. It can be unsigned, since the secret may be handed
 * out only after it was answered; so only its exact shape counts, and how often it is answered is limited.
 */
import { type Document, isObject, readDocument } from "./envelope.ts";

/** In UTF-16 code units. */
const maxChallengeLength = 512;
/** A challenge is small, however its characters are escaped: larger unsigned bodies are not even parsed. */
const maxChallengeBytes = 4096;

/** The text to send back; undefined unless the body is `{"type":"webhook.verification","data":{"challenge":…}}` and nothing else. */
export function challengeOf({ value, scan }: Document): string | undefined {
  if (!isObject(value) || !hasOnly(value, "type", "data") || scan.repeatedKey !== undefined) return undefined;
  const { type, data } = value;
  if (type !== "webhook.verification") return undefined;
  if (!isObject(data) || !hasOnly(data, "challenge") || scan.repeatedDataKey) return undefined;
  const { challenge } = data;
  if (typeof challenge !== "string" || challenge === "" || challenge.length > maxChallengeLength) {
    return undefined;
  }
  return challenge;
}

/** `challengeOf` for a body that may come from anyone. */
export function smallChallengeOf(body: Buffer): string | undefined {
  if (body.length > maxChallengeBytes) return undefined;
  const read = readDocument(body);
  return read.ok ? challengeOf(read.document) : undefined;
}

function hasOnly(object: object, ...names: readonly string[]): boolean {
  return Object.keys(object).length === names.length && names.every((name) => Object.hasOwn(object, name));
}

export const challengesPerMinute = 60;
const windowMs = 60_000;

/** Counts by address within the running minute. Addresses beyond `maxAddresses` share one count. */
export class ChallengeLimit {
  readonly #counts = new Map<string, number>();
  readonly #maxAddresses: number;
  #endsAt = 0;

  constructor(maxAddresses = 10_000) {
    this.#maxAddresses = maxAddresses;
  }

  /** Undefined if one more may be answered, else in how many seconds. */
  take(address: string, nowMs: number): number | undefined {
    // Also after the clock was set back.
    if (nowMs >= this.#endsAt || nowMs < this.#endsAt - windowMs) {
      this.#counts.clear();
      this.#endsAt = nowMs + windowMs;
    }
    const known = this.#counts.has(address) || this.#counts.size < this.#maxAddresses;
    const name = known ? address : "all others";
    const count = (this.#counts.get(name) ?? 0) + 1;
    if (count > challengesPerMinute) return Math.max(1, Math.ceil((this.#endsAt - nowMs) / 1000));
    this.#counts.set(name, count);
    return undefined;
  }
}
