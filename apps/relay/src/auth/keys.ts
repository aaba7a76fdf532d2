/**
 * The keys that tokens are checked with, one ring per kind. A token's algorithm chooses the ring and nothing else
 * does: what says HS256 meets only our own secrets, what says RS, PS, ES or EdDSA only the key set.
 */
import { createSecretKey } from "node:crypto";
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";

interface Claims {
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly toleranceSeconds: number;
  readonly now: Date;
}

export interface KeyRing {
  readonly algorithms: readonly string[];
  /** How long a good answer may be kept; a key that was withdrawn must not live on in a cache. */
  readonly keepMs: number;
  /** Rejects with jose's errors, or with `KeysUnavailable`. */
  verify(token: string, claims: Claims): Promise<JWTPayload>;
}

/** The right key could not be looked for, so nothing is known about the token. */
export class KeysUnavailable extends Error {
  /** False if it was only too early to fetch again, which any made-up key id can bring about. */
  readonly failed: boolean;
  constructor(failed: boolean, cause: unknown) {
    super("the keys could not be fetched", { cause });
    this.name = "KeysUnavailable";
    this.failed = failed;
  }
}

function options(ring: Pick<KeyRing, "algorithms">, claims: Claims) {
  return {
    algorithms: [...ring.algorithms],
    requiredClaims: ["exp"],
    clockTolerance: claims.toleranceSeconds,
    currentDate: claims.now,
    ...(claims.issuer === undefined ? {} : { issuer: claims.issuer }),
    ...(claims.audience === undefined ? {} : { audience: claims.audience }),
  };
}

/** Our own secrets; the token fits if it fits one of them. */
export function secretRing(secrets: readonly string[]): KeyRing {
  const keys = secrets.map((secret) => createSecretKey(Buffer.from(secret, "utf8")));
  const ring = { algorithms: ["HS256"], keepMs: Number.POSITIVE_INFINITY };
  const verify = async (token: string, claims: Claims): Promise<JWTPayload> => {
    for (const key of keys) {
      try {
        return (await jwtVerify(token, key, options(ring, claims))).payload;
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  };
  return { ...ring, verify };
}

export interface JwksTimes {
  readonly timeoutMs: number;
  /** Least time between two fetches because of an unknown key. */
  readonly cooldownMs: number;
  /** A key set older than this is fetched anew. */
  readonly maxAgeMs: number;
}

export const defaultJwksTimes: JwksTimes = { timeoutMs: 5_000, cooldownMs: 10_000, maxAgeMs: 600_000 };

/** Public keys that the customer's login service publishes. */
export function jwksRing(url: string, times: JwksTimes): KeyRing {
  const keySet = createRemoteJWKSet(new URL(url), {
    timeoutDuration: times.timeoutMs,
    cooldownDuration: times.cooldownMs,
    cacheMaxAge: times.maxAgeMs,
  });
  const algorithms = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
  ];
  const ring = { algorithms, keepMs: times.maxAgeMs };

  const verify = async (token: string, claims: Claims): Promise<JWTPayload> => {
    const wasCooling = keySet.coolingDown;
    const findKey: JWTVerifyGetKey = (header, jws) => keyFor(() => keySet(header, jws), wasCooling);
    const checks = options(ring, claims);
    try {
      return (await jwtVerify(token, findKey, checks)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      // a token without `kid` in a time of rotation: any of the keys that fit will do
      for await (const key of error) {
        try {
          return (await jwtVerify(token, key, checks)).payload;
        } catch (inner) {
          if (!(inner instanceof errors.JWSSignatureVerificationFailed)) throw inner;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  };
  return { ...ring, verify };
}

/**
 * Tells "no such key" from "could not look". A key that is unknown while no fetch is allowed may be a new one, so
 * the client is to come back and not to give up.
 */
async function keyFor<T>(find: () => Promise<T>, wasCooling: boolean): Promise<T> {
  try {
    return await find();
  } catch (error) {
    const unknown = error instanceof errors.JWKSNoMatchingKey;
    const several = error instanceof errors.JWKSMultipleMatchingKeys;
    if (several || (unknown && !wasCooling)) throw error;
    throw new KeysUnavailable(!unknown, error);
  }
}
