/**
 * Tokens: the text a client sends, verified, becomes a principal. Thousands of clients come back at once after a
 * deploy with the tokens they had, so good answers are kept, and one token is verified once however many ask.
 */
import { createHash } from "node:crypto";
import { type Grants, grantsOf, parseTopic, type Topic } from "@sharmo-relay/protocol";
import { decodeProtectedHeader, errors, type JWTPayload } from "jose";
import type { Config } from "../config.ts";
import {
  defaultJwksTimes,
  type JwksTimes,
  jwksRing,
  type KeyRing,
  KeysUnavailable,
  secretRing,
} from "./keys.ts";
import type { Principal, TokenVerifier, Verified } from "./principal.ts";

/** Longest token, in characters. */
const maxTokenLength = 8 * 1024;

const toleranceSeconds = 5;
/** The last second of the year 9999; beyond it `exp` is most likely in milliseconds. */
const lastSecond = 253_402_300_799;

export interface TokenVerifierOptions {
  readonly now?: () => number;
  /** Most principals kept, and most verifications under way. */
  readonly cacheSize?: number;
  readonly jwks?: Partial<JwksTimes>;
  /** The key set could not be fetched; nobody else tells an operator. */
  readonly onKeysUnavailable?: (error: unknown) => void;
}

type Refused = Extract<Verified, { ok: false }>;
interface Kept {
  readonly verified: Verified;
  readonly untilMs: number;
}

export function createTokenVerifier(auth: Config["auth"], options: TokenVerifierOptions = {}): TokenVerifier {
  const { now = Date.now, cacheSize = 10_000, onKeysUnavailable } = options;
  const rings: KeyRing[] = [];
  if (auth.secrets.length > 0) rings.push(secretRing(auth.secrets));
  if (auth.jwksUrl !== undefined)
    rings.push(jwksRing(auth.jwksUrl, { ...defaultJwksTimes, ...options.jwks }));

  const kept = new Map<string, Kept>();
  const underWay = new Map<string, Promise<Verified>>();

  const check = async (token: string, digest: string): Promise<Verified> => {
    const ring = chooseRing(token, rings);
    if ("code" in ring) return ring;
    const claims = { issuer: auth.issuer, audience: auth.audience, toleranceSeconds, now: new Date(now()) };
    try {
      const payload = await ring.verify(token, claims);
      const verified = principalOf(payload, auth.defaultTopics, now());
      if (verified.ok) keep(digest, verified, Math.min(verified.principal.expiresAtMs, now() + ring.keepMs));
      return verified;
    } catch (error) {
      if (error instanceof KeysUnavailable && error.failed) onKeysUnavailable?.(error.cause);
      return refusalFor(error, auth);
    }
  };

  /** The map keeps the order of use: the first entry is the one not asked for the longest. */
  const keep = (digest: string, verified: Verified, untilMs: number): void => {
    kept.delete(digest);
    kept.set(digest, { verified, untilMs });
    for (const oldest of kept.keys()) {
      if (kept.size <= cacheSize) break;
      kept.delete(oldest);
    }
  };

  const recall = (digest: string): Verified | undefined => {
    const entry = kept.get(digest);
    if (entry === undefined) return undefined;
    kept.delete(digest);
    if (entry.untilMs <= now()) return undefined;
    kept.set(digest, entry);
    return entry.verified;
  };

  return {
    async verify(token) {
      if (token.length > maxTokenLength)
        return refuse(`expected a token of at most ${maxTokenLength} characters`);
      const digest = createHash("sha256").update(token).digest("base64");
      const known = recall(digest) ?? underWay.get(digest);
      if (known !== undefined) return known;
      if (underWay.size >= cacheSize) {
        return {
          ok: false,
          code: "unavailable",
          message: "too many tokens are being checked at this moment; try again",
        };
      }
      const verifying = check(token, digest).finally(() => underWay.delete(digest));
      underWay.set(digest, verifying);
      return verifying;
    },
  };
}

function refuse(message: string): Refused {
  return { ok: false, code: "unauthenticated", message };
}

function chooseRing(token: string, rings: readonly KeyRing[]): KeyRing | Refused {
  let algorithm: unknown;
  try {
    algorithm = decodeProtectedHeader(token).alg;
  } catch {
    return refuse("expected a signed JWT: three base64url parts with dots between them");
  }
  const ring = rings.find((r) => r.algorithms.some((name) => name === algorithm));
  const accepted = rings.flatMap((r) => r.algorithms).join(", ");
  return ring ?? refuse(`expected a token signed with one of the algorithms ${accepted}`);
}

function principalOf(payload: JWTPayload, defaultTopics: readonly Topic[], nowMs: number): Verified {
  const { exp, iat, sub, jti } = payload;
  if (exp === undefined || !(exp <= lastSecond)) {
    return refuse("expected exp as seconds since 1970; this one lies beyond the year 9999 (milliseconds?)");
  }
  if (iat !== undefined && iat > nowMs / 1000 + toleranceSeconds) {
    return refuse("expected iat not to be in the future; is a clock wrong?");
  }
  const principal: Principal = {
    subject: textClaim(sub),
    tokenId: textClaim(jti),
    issuedAtMs: iat === undefined ? undefined : Math.floor(iat * 1000),
    expiresAtMs: Math.floor(exp * 1000),
    grants: ownedGrants(grantsOf(payload, defaultTopics), defaultTopics),
  };
  return { ok: true, principal };
}

function textClaim(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? copy(value) : undefined;
}

/** Short strings cut from a long one keep the long one in memory; a principal lives as long as its connection. */
function ownedGrants(grants: Grants, shared: readonly Topic[]): Grants {
  const events = grants.events.map((topic) => {
    if (shared.includes(topic)) return topic;
    const owned = parseTopic(copy(topic.name));
    return owned.ok ? owned.topic : topic;
  });
  return { ...grants, events };
}

/** New characters, also for lone surrogates, which UTF-8 would make equal to one another. */
function copy(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

/** Says what was expected. Nothing of the token stands in it. */
function refusalFor(error: unknown, auth: Config["auth"]): Refused {
  if (error instanceof KeysUnavailable) {
    return {
      ok: false,
      code: "unavailable",
      message: "the keys to check this token cannot be fetched now; try again",
    };
  }
  if (error instanceof errors.JWTExpired) {
    return {
      ok: false,
      code: "token_expired",
      message: "the token has expired; expected one whose exp lies ahead",
    };
  }
  if (error instanceof errors.JWTClaimValidationFailed) return refuse(claimMessage(error, auth));
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return refuse("expected a token signed with one of this relay's keys");
  }
  return refuse("expected a signed JWT whose header and claims are JSON objects");
}

function claimMessage(error: errors.JWTClaimValidationFailed, auth: Config["auth"]): string {
  if (error.reason === "invalid")
    return `expected the claim ${error.claim} to be a number of seconds since 1970`;
  switch (error.claim) {
    case "exp":
      return "expected the claim exp: a token without an end is not accepted";
    case "nbf":
      return "expected nbf not to lie ahead; the token is not valid yet";
    case "iss":
      return `expected the claim iss to be ${JSON.stringify(auth.issuer)}`;
    case "aud":
      return `expected the claim aud to hold ${JSON.stringify(auth.audience)}`;
    default:
      return "expected other claims";
  }
}
