/** Reads the body of a request into memory, bounded in bytes and in time. */
import type { IncomingMessage } from "node:http";

export type BodyResult =
  | { readonly status: "read"; readonly bytes: Buffer }
  /** These two leave the rest unread and the request paused. */
  | { readonly status: "too_large" }
  | { readonly status: "too_slow" }
  /** The sender went away; there is nobody to answer. */
  | { readonly status: "aborted" };

export function readBody(request: IncomingMessage, maxBytes: number, timeoutMs: number): Promise<BodyResult> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (result: BodyResult): void => {
      clearTimeout(timer);
      if (result.status !== "read") request.off("data", onData).off("end", onEnd).pause();
      resolve(result);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > maxBytes) settle({ status: "too_large" });
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle({ status: "read", bytes: joined(chunks, length) });
    const onClose = (): void => settle({ status: "aborted" });
    const timer = setTimeout(() => settle({ status: "too_slow" }), timeoutMs);
    // What comes after the end or the limit changes nothing any more. An error ends in "close"; without a listener
    // it would end the process.
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

/** `Buffer.concat` cuts small results from a shared pool, which an event that is kept would keep whole. */
function joined(chunks: readonly Buffer[], length: number): Buffer {
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return first;
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const chunk of chunks) at += chunk.copy(bytes, at);
  return bytes;
}
