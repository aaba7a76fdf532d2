/** Registering an endpoint: the vendor posts a challenge and expects it back. */
import { randomBytes } from "node:crypto";
import { type Scheme, signatureHeaders } from "../sign.ts";
import { keptAnswerBytes, post, vendorTimeoutMs } from "./post.ts";

export interface RegisterOptions {
  readonly url: string;
  /** Signs the challenge. Without it the request is unsigned, as before the secret is handed out. */
  readonly secret?: string;
  readonly scheme?: Scheme;
  /** Default: a random one. */
  readonly challenge?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export type Registration =
  | { readonly ok: true; readonly challenge: string }
  | { readonly ok: false; readonly reason: string; readonly status?: number; readonly response?: string };

export async function register(options: RegisterOptions): Promise<Registration> {
  const { url, secret, scheme = "body", challenge = randomBytes(12).toString("hex") } = options;
  const body = Buffer.from(JSON.stringify({ type: "webhook.verification", data: { challenge } }));
  const headers =
    secret === undefined ? {} : signatureHeaders(scheme, body, secret, Math.floor(Date.now() / 1_000));
  const result = await post({
    url,
    body,
    headers,
    timeoutMs: options.timeoutMs ?? vendorTimeoutMs,
    keepBytes: keptAnswerBytes,
    signal: options.signal ?? new AbortController().signal,
  });

  if (result.kind === "stopped") return { ok: false, reason: "stopped" };
  if (result.kind === "no_answer") return { ok: false, reason: result.reason };
  const { status, body: response } = result;
  if (status !== 200) return { ok: false, reason: "expected status 200", status, response };
  if (challengeIn(response) !== challenge) {
    return { ok: false, reason: `expected {"challenge":"${challenge}"}`, status, response };
  }
  return { ok: true, challenge };
}

function challengeIn(text: string): unknown {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null && "challenge" in answer
      ? answer.challenge
      : undefined;
  } catch {
    return undefined;
  }
}
