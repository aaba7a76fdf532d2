/**
 * Which pages may open a connection. Browsers send `Origin` with every WebSocket handshake and CORS does not apply
 * to it, so it is checked here; a client that sends none is no browser.
 */
import type { IncomingMessage } from "node:http";

/** True if the page is of the relay's own origin or of one that is allowed. */
export function originAllowed(request: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined || allowed.includes("*")) return true;
  if (allowed.includes(origin)) return true;
  try {
    return new URL(origin).host === host;
  } catch {
    return false;
  }
}
