/** The one place where an outcome becomes HTTP. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { answerOf, type Outcome } from "./outcome.ts";

const lingerMs = 2_000;
const lingerBytes = 1024 * 1024;

/**
 * `unread`: the body was not read to its end, so the connection cannot carry another request. Resolves when the
 * answer is handed over, in that case when the connection may be closed.
 */
export async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  outcome: Outcome,
  unread: boolean,
): Promise<void> {
  if (response.destroyed || response.headersSent) return;
  const { status, headers, body } = answerOf(outcome, Math.random());
  response.writeHead(status, {
    ...headers,
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(unread ? { connection: "close" } : {}),
  });
  if (unread) {
    response.write(body);
    await linger(request);
    response.end();
  } else {
    response.end(body);
  }
}

/**
 * A connection that is closed while bytes wait unread is reset, and a reset can overtake the answer: the operator
 * would see a broken connection instead of the reason. So what still comes is dropped, for a moment.
 */
function linger(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let dropped = 0;
    const done = (): void => {
      clearTimeout(timer);
      request.off("data", onData).off("end", done).off("close", done);
      resolve();
    };
    const onData = (chunk: Buffer): void => {
      dropped += chunk.length;
      if (dropped > lingerBytes) done();
    };
    const timer = setTimeout(done, lingerMs);
    request.on("data", onData).on("end", done).on("close", done).on("error", done).resume();
    if (request.destroyed || request.readableEnded) done();
  });
}
