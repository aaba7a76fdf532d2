/** One HTTP request as the vendor makes it: bounded in time, no redirects, the answer cut to what is kept of it. */

export interface PostRequest {
  readonly url: string;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** How much of the answer is kept, in bytes. */
  readonly keepBytes: number;
  readonly signal: AbortSignal;
}

export type PostResult =
  | { readonly kind: "answer"; readonly status: number; readonly body: string; readonly tookMs: number }
  | { readonly kind: "no_answer"; readonly reason: string; readonly tookMs: number }
  | { readonly kind: "stopped" };

export const vendorTimeoutMs = 10_000;
export const keptAnswerBytes = 1_024;

/** Never throws: a delivery that did not arrive is part of a sender's normal life. */
export async function post(request: PostRequest): Promise<PostResult> {
  if (request.signal.aborted) return { kind: "stopped" };
  const since = performance.now();
  // Not AbortSignal.any: on Node 20 it leaks when one of its sources lives as long as the process.
  const attempt = new AbortController();
  const abort = (): void => attempt.abort();
  request.signal.addEventListener("abort", abort);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    attempt.abort();
  }, request.timeoutMs);

  try {
    const response = await fetch(request.url, {
      method: "POST",
      body: request.body,
      headers: { "content-type": "application/json", "user-agent": "Sharmo-Simulator", ...request.headers },
      redirect: "manual",
      signal: attempt.signal,
    });
    const body = await beginning(response, request.keepBytes);
    return { kind: "answer", status: response.status, body, tookMs: performance.now() - since };
  } catch (error) {
    if (request.signal.aborted) return { kind: "stopped" };
    const reason = timedOut
      ? `no answer within ${request.timeoutMs / 1_000} s`
      : reasonOf(error, request.url);
    return { kind: "no_answer", reason, tookMs: performance.now() - since };
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener("abort", abort);
  }
}

/** The first bytes of an answer. Short answers are read to the end, so that the connection can be used again. */
async function beginning(response: Response, limit: number): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  while (size <= limit) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(parts).toString();
    parts.push(value);
    size += value.byteLength;
  }
  await reader.cancel();
  // A character that the cut splits must not end as a question mark.
  return new TextDecoder().decode(Buffer.concat(parts).subarray(0, limit), { stream: true });
}

/** What a person can act on; `fetch` itself says no more than "fetch failed". */
function reasonOf(error: unknown, url: string): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const { host } = new URL(url);
  switch (code) {
    case "ECONNREFUSED":
      return `nothing listens at ${host}`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the host of ${host} is not known`;
    case "ECONNRESET":
    case "UND_ERR_SOCKET":
      return `${host} closed the connection without an answer`;
    case "UND_ERR_CONNECT_TIMEOUT":
    case "ETIMEDOUT":
      return `no connection to ${host}`;
    default:
      return cause instanceof Error ? cause.message || code : String(cause);
  }
}
