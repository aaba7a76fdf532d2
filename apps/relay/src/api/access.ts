/** Who may do what: the token of a request and the grants it carries. */
import type { IncomingMessage } from "node:http";
import { allows, type Topic } from "@sharmo-relay/protocol";
import { authenticate } from "../auth/bearer.ts";
import type { Principal, TokenVerifier } from "../auth/principal.ts";
import { ApiError, unavailable } from "./errors.ts";

/** The principal of a request; throws 401 if there is none, 503 if that cannot be told now. */
export async function principalOf(request: IncomingMessage, verifier: TokenVerifier): Promise<Principal> {
  const verified = await authenticate(request, verifier);
  if (verified.ok) return verified.principal;
  if (verified.code === "unavailable") throw unavailable(verified.message, 2);
  const challenge = verified.code === "token_expired" ? 'Bearer error="invalid_token"' : "Bearer";
  throw new ApiError(
    401,
    "unauthenticated",
    verified.message,
    { reason: verified.code },
    { "WWW-Authenticate": challenge },
  );
}

export function needRead(principal: Principal): void {
  if (!principal.grants.read) throw lacking("relay:read");
}

export function needAdmin(principal: Principal): void {
  if (!principal.grants.admin) throw lacking("relay:admin");
}

function lacking(scope: string): ApiError {
  return new ApiError(403, "unauthorized", `the token needs ${scope} in its scope`, { scope });
}

/** A topic that is not wholly granted is refused by name, never narrowed. */
export function needTopics(principal: Principal, topics: readonly Topic[]): void {
  const denied = topics.filter((topic) => !allows(principal.grants, topic)).map((topic) => topic.name);
  if (denied.length === 0) return;
  throw new ApiError(403, "unauthorized", `the token does not grant ${denied.join(", ")}`, {
    topics: denied,
  });
}
