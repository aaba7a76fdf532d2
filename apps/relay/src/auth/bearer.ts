/**
 * The token of an HTTP request: `Authorization: Bearer <token>` and nowhere else. A token in a URL would end up in
 * logs, histories and referrers.
 */
import type { IncomingMessage } from "node:http";
import type { TokenVerifier, Verified } from "./principal.ts";

export type Bearer =
  | { readonly ok: true; readonly token: string }
  | { readonly ok: false; readonly message: string };

/** RFC 6750, 2.1: the scheme in any case, one or more spaces, then a b64token. */
const bearerShape = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i;
const form = "expected the header Authorization: Bearer <token>";

export function readBearer(request: Pick<IncomingMessage, "rawHeaders">): Bearer {
  const given = request.rawHeaders.filter(
    (_, index, all) => index % 2 === 1 && all[index - 1]?.toLowerCase() === "authorization",
  );
  const [header] = given;
  if (header === undefined) return { ok: false, message: form };
  // Node would silently take the first; which of two is meant is not ours to guess
  if (given.length > 1) return { ok: false, message: `${form} once` };
  const token = bearerShape.exec(header)?.[1];
  return token === undefined ? { ok: false, message: form } : { ok: true, token };
}

export async function authenticate(
  request: Pick<IncomingMessage, "rawHeaders">,
  verifier: TokenVerifier,
): Promise<Verified> {
  const bearer = readBearer(request);
  return bearer.ok
    ? verifier.verify(bearer.token)
    : { ok: false, code: "unauthenticated", message: bearer.message };
}
