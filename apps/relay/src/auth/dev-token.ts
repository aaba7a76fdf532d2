/** Tokens for the first page in development: nobody has a login service yet, and the page is to show events at once. */
import { createSecretKey } from "node:crypto";
import { SignJWT } from "jose";
import type { Config } from "../config.ts";

export interface DevToken {
  readonly token: string;
  /** ISO 8601. */
  readonly expires_at: string;
}

const lifetimeSeconds = 3600;

/** Signs tokens that this relay accepts: all events, no part in the management API. */
export function createDevTokens(
  secret: string,
  auth: Pick<Config["auth"], "issuer" | "audience">,
  now: () => number = Date.now,
): () => Promise<DevToken> {
  const key = createSecretKey(Buffer.from(secret, "utf8"));
  return async () => {
    const issued = Math.floor(now() / 1000);
    const expires = issued + lifetimeSeconds;
    const jwt = new SignJWT({ scope: "events:*" })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject("demo")
      .setIssuedAt(issued)
      .setExpirationTime(expires);
    if (auth.issuer !== undefined) jwt.setIssuer(auth.issuer);
    if (auth.audience !== undefined) jwt.setAudience(auth.audience);
    return { token: await jwt.sign(key), expires_at: new Date(expires * 1000).toISOString() };
  };
}
