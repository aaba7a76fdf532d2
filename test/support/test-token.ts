import { SignJWT } from "jose";
import { jwtSecret } from "./node.ts";

export interface TokenOptions {
  readonly sub?: string;
  readonly scope?: string;
  readonly wallets?: readonly string[];
  /** Seconds; default an hour. */
  readonly lifetime?: number;
  readonly secret?: string;
}

export function token(options: TokenOptions = {}): Promise<string> {
  const { sub = "user_1", scope, wallets, lifetime = 3_600, secret = jwtSecret } = options;
  return new SignJWT({
    ...(scope === undefined ? {} : { scope }),
    ...(wallets === undefined ? {} : { wallets }),
  })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + lifetime)
    .sign(Buffer.from(secret));
}
