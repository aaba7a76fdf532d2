/** What can be said of a request before its body is read. */
import type { IncomingMessage } from "node:http";
import type { Refusal } from "./outcome.ts";
import { refusals } from "./refusals.ts";

const jsonShape =
  /^application\/(?:json|[a-z0-9!#$&^_.+-]+\+json)[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?$/i;

export function refuseByHead(
  { method, headers }: Pick<IncomingMessage, "method" | "headers">,
  maxBytes: number,
): Refusal | undefined {
  if (method !== "POST") return refusals.methodNotAllowed;
  if (!jsonShape.test(headers["content-type"] ?? "")) return refusals.contentType;
  if ((headers["content-encoding"] ?? "identity").toLowerCase() !== "identity")
    return refusals.contentEncoding;
  return Number(headers["content-length"] ?? 0) > maxBytes ? refusals.tooLarge(maxBytes) : undefined;
}

/** True if a body follows the head, of whatever length. */
export function announcesBody({ headers }: Pick<IncomingMessage, "headers">): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
