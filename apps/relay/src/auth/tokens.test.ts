import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { allows, makeTopic, parseTopic, type Topic } from "@sharmo-relay/protocol";
import fc from "fast-check";
import { type JWTPayload, SignJWT } from "jose";
import { afterEach, describe, expect, test } from "vitest";
import { createTokenVerifier } from "./tokens.ts";

const secret = "a-secret-of-thirty-two-bytes-or-so";
const other = "another-secret-of-thirty-two-bytes";
const auth = {
  secrets: [secret],
  jwksUrl: undefined,
  issuer: undefined,
  audience: undefined,
  defaultTopics: [],
};
/** `undefined` leaves a claim out. */
type Claims = Readonly<Record<string, unknown>>;
const nowSeconds = () => Math.floor(Date.now() / 1000);

function sign(
  claims: Claims = {},
  key: string | KeyObject = secret,
  header: { alg?: string; kid?: string; typ?: string } = {},
) {
  const payload = { sub: "u1", exp: nowSeconds() + 60, ...claims } as JWTPayload;
  const bytes = typeof key === "string" ? new TextEncoder().encode(key) : key;
  return new SignJWT(payload).setProtectedHeader({ alg: "HS256", ...header }).sign(bytes);
}

/** A token as someone would make it who does not use a library. */
function forge(header: object, payload: object | string, key: string | Buffer | undefined): string {
  const part = (value: object | string) =>
    Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  const input = `${part(header)}.${part(payload)}`;
  const signature = key === undefined ? "" : createHmac("sha256", key).update(input).digest("base64url");
  return `${input}.${signature}`;
}

function topic(name: string): Topic {
  const parsed = parseTopic(name);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.topic;
}

describe("a token signed with a secret", () => {
  test("becomes a principal with its grants", async () => {
    const base = makeTopic({ kind: "type", type: "token.price_changed" });
    const verifier = createTokenVerifier({ ...auth, defaultTopics: [base] });
    const exp = nowSeconds() + 60;
    const token = await sign({
      exp,
      iat: 1_700_000_000,
      jti: "t1",
      scope: "events:property.* relay:read",
      wallets: ["0xAB"],
    });
    const verified = await verifier.verify(token);
    if (!verified.ok) throw new Error(verified.message);
    const { principal } = verified;
    expect(principal).toMatchObject({
      subject: "u1",
      tokenId: "t1",
      issuedAtMs: 1_700_000_000_000,
      expiresAtMs: exp * 1000,
      grants: { read: true, admin: false },
    });
    for (const name of [
      "token.price_changed",
      "property.created?property_id=p1",
      "token.*?address=0xab",
      "user.*?user_id=u1",
    ]) {
      expect(allows(principal.grants, topic(name)), name).toBe(true);
    }
    for (const name of ["*", "user.*", "transaction.*", "user.*?user_id=u2", "token.*"]) {
      expect(allows(principal.grants, topic(name)), name).toBe(false);
    }
  });

  test("may be signed with any of several secrets", async () => {
    const verifier = createTokenVerifier({ ...auth, secrets: [other, secret] });
    expect((await verifier.verify(await sign({}, secret))).ok).toBe(true);
    expect((await verifier.verify(await sign({}, other))).ok).toBe(true);
    expect((await verifier.verify(await sign({}, "a-third-secret-of-thirty-two-bytes!"))).ok).toBe(false);
  });

  test("is not accepted any more once its secret is gone", async () => {
    const token = await sign({}, other);
    expect((await createTokenVerifier({ ...auth, secrets: [secret, other] }).verify(token)).ok).toBe(true);
    expect((await createTokenVerifier(auth).verify(token)).ok).toBe(false);
  });

  test.each([["JWT"], ["at+jwt"], [undefined]])("may have the typ %s", async (typ) => {
    expect(
      (await createTokenVerifier(auth).verify(await sign({}, secret, typ === undefined ? {} : { typ }))).ok,
    ).toBe(true);
  });

  test.each<[string, Claims, string, RegExp]>([
    ["has expired", { exp: nowSeconds() - 6 }, "token_expired", /expired/],
    ["has no exp", { exp: undefined }, "unauthenticated", /claim exp/],
    ["has an exp of another type", { exp: "soon" }, "unauthenticated", /exp to be a number/],
    ["has its exp in milliseconds", { exp: Date.now() + 60_000 }, "unauthenticated", /seconds since 1970/],
    ["is not valid yet", { nbf: nowSeconds() + 60 }, "unauthenticated", /nbf/],
    ["was issued in the future", { iat: nowSeconds() + 60 }, "unauthenticated", /iat/],
    ["has an iat of another type", { iat: "now" }, "unauthenticated", /iat to be a number/],
  ])("is refused if it %s", async (_name, claims, code, message) => {
    const verified = await createTokenVerifier(auth).verify(await sign(claims));
    expect(verified).toMatchObject({ ok: false, code, message: expect.stringMatching(message) });
  });

  test("is refused if its exp is beyond every number", async () => {
    const token = forge({ alg: "HS256" }, '{"sub":"u1","exp":1e999}', secret);
    expect(await createTokenVerifier(auth).verify(token)).toMatchObject({
      ok: false,
      code: "unauthenticated",
    });
  });

  test.each<[string, Claims]>([
    ["exp", { exp: nowSeconds() - 3 }],
    ["nbf", { nbf: nowSeconds() + 3 }],
    ["iat", { iat: nowSeconds() + 3 }],
  ])("may have a clock that is three seconds off (%s)", async (_claim, claims) => {
    expect((await createTokenVerifier(auth).verify(await sign(claims))).ok).toBe(true);
  });

  test("must be of the issuer and for the audience that are set", async () => {
    const verifier = createTokenVerifier({ ...auth, issuer: "https://login.example", audience: "relay" });
    const right = { iss: "https://login.example", aud: ["x", "relay"] };
    expect((await verifier.verify(await sign(right))).ok).toBe(true);
    for (const claims of [
      { ...right, iss: "https://evil.example" },
      { ...right, aud: "other" },
      { iss: right.iss },
      { aud: "relay" },
    ]) {
      const verified = await verifier.verify(await sign(claims));
      expect(verified).toMatchObject({ ok: false, code: "unauthenticated" });
      if (!verified.ok)
        expect(verified.message).toMatch(
          /expected the claim (iss|aud) to (be|hold) "(https:\/\/login\.example|relay)"/,
        );
    }
  });

  test("with claims of other types grants nothing by them", async () => {
    const token = forge(
      { alg: "HS256" },
      { sub: 42, jti: {}, scope: ["events:*"], wallets: "0xab", exp: nowSeconds() + 60 },
      secret,
    );
    expect(await createTokenVerifier(auth).verify(token)).toMatchObject({
      ok: true,
      principal: {
        subject: undefined,
        tokenId: undefined,
        grants: { events: [], read: false, admin: false },
      },
    });
  });
});

describe("what is no token of ours", () => {
  const verifier = createTokenVerifier(auth);
  const claims = { sub: "u1", exp: nowSeconds() + 60, scope: "events:*" };

  test.each<[string, string]>([
    ["an empty text", ""],
    ["some text", "hello"],
    ["two dots", ".."],
    ["a token without signature", forge({ alg: "none" }, claims, undefined)],
    ["alg none with a signature", forge({ alg: "none" }, claims, secret)],
    ["alg None", forge({ alg: "None" }, claims, undefined)],
    ["HS256 without signature", forge({ alg: "HS256" }, claims, undefined)],
    ["no alg", forge({}, claims, secret)],
    ["alg of another type", forge({ alg: ["HS256"] }, claims, secret)],
    ["HS512", forge({ alg: "HS512" }, claims, secret)],
    ["an unknown critical header", forge({ alg: "HS256", crit: ["x"], x: 1 }, claims, secret)],
    ["an unencoded payload", forge({ alg: "HS256", crit: ["b64"], b64: false }, claims, secret)],
    ["claims that are a list", forge({ alg: "HS256" }, "[]", secret)],
    ["claims that are no JSON", forge({ alg: "HS256" }, "{", secret)],
    [
      "its own key in the header",
      forge(
        { alg: "HS256", jwk: { kty: "oct", k: Buffer.from(other).toString("base64url") } },
        claims,
        other,
      ),
    ],
    ["the empty key", forge({ alg: "HS256" }, claims, "")],
    ["more than 8 KiB", forge({ alg: "HS256" }, { ...claims, pad: "x".repeat(8_192) }, secret)],
  ])("%s is refused", async (_name, token) => {
    const verified = await verifier.verify(token);
    expect(verified).toMatchObject({
      ok: false,
      code: "unauthenticated",
      message: expect.stringMatching(/^expected /),
    });
  });

  test("one changed character is enough", async () => {
    const token = await sign({ scope: "events:*" });
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(..."ABab01-_."), async (at, character) => {
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        fc.pre(changed !== token);
        // the last character of base64url carries bits that mean nothing
        fc.pre(
          Buffer.from(changed.split(".")[2] ?? "", "base64url").compare(
            Buffer.from(token.split(".")[2] ?? "", "base64url"),
          ) !== 0 || at < token.lastIndexOf("."),
        );
        expect((await verifier.verify(changed)).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test("no message holds any part of the token", async () => {
    const tokens = [
      await sign({}, other),
      forge({ alg: "none" }, claims, undefined),
      await sign({ exp: 1 }),
      "secret-text-that-is-no-token",
    ];
    for (const token of tokens) {
      const verified = await verifier.verify(token);
      if (verified.ok) throw new Error("expected a refusal");
      for (const part of token.split(".").filter((p) => p !== ""))
        expect(verified.message).not.toContain(part);
    }
  });
});

/** A login service that publishes its keys; `answer` may be changed while it runs. */
class LoginService {
  keys: object[] = [];
  asked = 0;
  answer: "keys" | "error" | "hang" | "junk" | "redirect" = "keys";
  readonly #server: Server;

  constructor() {
    this.#server = createServer((_request, response) => {
      this.asked++;
      if (this.answer === "hang") return;
      if (this.answer === "error") response.statusCode = 500;
      if (this.answer === "redirect") response.writeHead(302, { Location: "/elsewhere" });
      response.end(this.answer === "junk" ? "<html>" : JSON.stringify({ keys: this.keys }));
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/keys`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** A new key pair whose public half is published. */
  add(kid: string | undefined, kind: "rsa" | "ec" | "ed25519" = "rsa"): KeyObject {
    const pair =
      kind === "rsa"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : kind === "ec"
          ? generateKeyPairSync("ec", { namedCurve: "P-256" })
          : generateKeyPairSync("ed25519");
    this.keys.push({
      ...pair.publicKey.export({ format: "jwk" }),
      ...(kid === undefined ? {} : { kid }),
      use: "sig",
    });
    return pair.privateKey;
  }
}

describe("a token signed by a login service", () => {
  let service = new LoginService();
  afterEach(async () => {
    await service.stop();
    service = new LoginService();
  });
  const published = async (
    jwks: { cooldownMs?: number; timeoutMs?: number; maxAgeMs?: number } = {},
    secrets: string[] = [],
  ) => createTokenVerifier({ ...auth, secrets, jwksUrl: await service.start() }, { jwks });

  test.each<[string, "rsa" | "ec" | "ed25519"]>([
    ["RS256", "rsa"],
    ["RS512", "rsa"],
    ["PS256", "rsa"],
    ["ES256", "ec"],
    ["EdDSA", "ed25519"],
  ])("is accepted with %s", async (alg, kind) => {
    const key = service.add("k1", kind);
    const verifier = await published();
    expect(await verifier.verify(await sign({}, key, { alg, kid: "k1" }))).toMatchObject({
      ok: true,
      principal: { subject: "u1" },
    });
    expect(await verifier.verify(await sign({ exp: undefined }, key, { alg, kid: "k1" }))).toMatchObject({
      ok: false,
      code: "unauthenticated",
    });
  });

  test("is not accepted with a key that is not published", async () => {
    service.add("k1");
    const verifier = await published();
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    expect(await verifier.verify(await sign({}, privateKey, { alg: "RS256", kid: "k1" }))).toMatchObject({
      ok: false,
      code: "unauthenticated",
    });
  });

  test("cannot be forged by using a published key as a secret", async () => {
    service.add("k1");
    const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
    service.keys = [{ ...pair.publicKey.export({ format: "jwk" }), kid: "k1" }];
    const verifier = await published({}, [secret]);
    const claims = { sub: "u1", exp: nowSeconds() + 60, scope: "events:*" };
    const publicForms = [
      pair.publicKey.export({ format: "pem", type: "spki" }),
      pair.publicKey.export({ format: "der", type: "spki" }),
      JSON.stringify(service.keys[0]),
    ];
    for (const key of publicForms) {
      const verified = await verifier.verify(forge({ alg: "HS256", kid: "k1" }, claims, key));
      expect(verified).toMatchObject({ ok: false, code: "unauthenticated" });
    }
    expect(service.asked).toBe(0);
  });

  test("a symmetric key in the set is never used", async () => {
    service.keys = [{ kty: "oct", k: Buffer.from(other).toString("base64url"), kid: "k1" }];
    const verifier = await published();
    expect((await verifier.verify(await sign({}, other, { kid: "k1" }))).ok).toBe(false);
    expect(await verifier.verify(await sign({}, secret))).toMatchObject({
      ok: false,
      message: expect.not.stringContaining("HS256"),
    });
  });

  test("without a key set, its algorithm is refused before anything else", async () => {
    const key = service.add("k1");
    await service.start();
    const verified = await createTokenVerifier(auth).verify(await sign({}, key, { alg: "RS256", kid: "k1" }));
    expect(verified).toMatchObject({
      ok: false,
      code: "unauthenticated",
      message: "expected a token signed with one of the algorithms HS256",
    });
  });

  test("both kinds work side by side", async () => {
    const key = service.add("k1");
    const verifier = await published({}, [secret]);
    expect((await verifier.verify(await sign({}, secret))).ok).toBe(true);
    expect((await verifier.verify(await sign({}, key, { alg: "RS256", kid: "k1" }))).ok).toBe(true);
  });

  test("a new key is fetched when a token names it, and the old one goes on until it is withdrawn", async () => {
    const old = service.add("k1");
    const verifier = await published({ cooldownMs: 0, maxAgeMs: 50 });
    expect((await verifier.verify(await sign({ jti: "1" }, old, { alg: "RS256", kid: "k1" }))).ok).toBe(true);
    const fresh = service.add("k2");
    expect((await verifier.verify(await sign({ jti: "2" }, fresh, { alg: "RS256", kid: "k2" }))).ok).toBe(
      true,
    );
    const lasting = await sign({ jti: "3" }, old, { alg: "RS256", kid: "k1" });
    expect((await verifier.verify(lasting)).ok).toBe(true);
    service.keys.shift();
    await new Promise((resolve) => setTimeout(resolve, 60));
    // also not from the cache
    expect(await verifier.verify(lasting)).toMatchObject({ ok: false, code: "unauthenticated" });
  });

  test("an unknown key is asked for once in a while, and until then nobody is told to give up", async () => {
    const key = service.add("k1");
    const verifier = await published({ cooldownMs: 60_000 });
    expect((await verifier.verify(await sign({}, key, { alg: "RS256", kid: "k1" }))).ok).toBe(true);
    const fresh = service.add("k2");
    for (const jti of ["1", "2", "3"]) {
      expect(await verifier.verify(await sign({ jti }, fresh, { alg: "RS256", kid: "k2" }))).toMatchObject({
        ok: false,
        code: "unavailable",
      });
    }
    expect(service.asked).toBe(1);
  });

  test("a key that is unknown after a fetch is unknown", async () => {
    service.add("k1");
    const verifier = await published();
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    expect(await verifier.verify(await sign({}, privateKey, { alg: "RS256", kid: "k9" }))).toMatchObject({
      ok: false,
      code: "unauthenticated",
    });
  });

  test("without a key id any of several keys may fit", async () => {
    service.add(undefined);
    const key = service.add(undefined);
    const verifier = await published();
    expect((await verifier.verify(await sign({}, key, { alg: "RS256" }))).ok).toBe(true);
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    expect(await verifier.verify(await sign({}, privateKey, { alg: "RS256" }))).toMatchObject({
      ok: false,
      code: "unauthenticated",
    });
  });

  test.each<[LoginService["answer"]]>([["error"], ["hang"], ["junk"], ["redirect"]])(
    "while the keys cannot be had (%s) it is neither good nor bad, and later it is good",
    async (answer) => {
      const key = service.add("k1");
      service.answer = answer;
      const troubles: unknown[] = [];
      const verifier = createTokenVerifier(
        { ...auth, secrets: [secret], jwksUrl: await service.start() },
        { jwks: { timeoutMs: 100 }, onKeysUnavailable: (error) => troubles.push(error) },
      );
      const token = await sign({}, key, { alg: "RS256", kid: "k1" });
      expect(await verifier.verify(token)).toMatchObject({ ok: false, code: "unavailable" });
      expect(troubles).toHaveLength(1);
      expect((await verifier.verify(await sign({}, secret))).ok).toBe(true);
      service.answer = "keys";
      expect((await verifier.verify(token)).ok).toBe(true);
    },
  );

  test("a thousand who come back with few tokens are checked with one fetch", async () => {
    const key = service.add("k1");
    const verifier = await published();
    const tokens = await Promise.all(
      ["1", "2", "3"].map((jti) => sign({ jti }, key, { alg: "RS256", kid: "k1" })),
    );
    const all = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => verifier.verify(tokens[index % 3] ?? "")),
    );
    expect(all.every((verified) => verified.ok)).toBe(true);
    expect(new Set(all).size).toBe(3);
    expect(service.asked).toBe(1);
  });
});

describe("what is kept", () => {
  test("a good answer, until the token expires", async () => {
    let now = Date.now();
    const verifier = createTokenVerifier(auth, { now: () => now });
    const token = await sign({ exp: Math.floor(now / 1000) + 10 });
    const first = await verifier.verify(token);
    expect(await verifier.verify(token)).toBe(first);
    now += 16_000;
    expect(await verifier.verify(token)).toMatchObject({ ok: false, code: "token_expired" });
  });

  test("no more than so many, the longest unused go first", async () => {
    const verifier = createTokenVerifier(auth, { cacheSize: 2 });
    const [a, b, c] = await Promise.all([sign({ jti: "a" }), sign({ jti: "b" }), sign({ jti: "c" })]);
    const first = await verifier.verify(a);
    const second = await verifier.verify(b);
    expect(await verifier.verify(a)).toBe(first);
    await verifier.verify(c);
    expect(await verifier.verify(a)).toBe(first);
    expect(await verifier.verify(b)).not.toBe(second);
  });

  test("no refusal", async () => {
    let now = Date.now();
    const verifier = createTokenVerifier(auth, { now: () => now });
    const token = await sign({ nbf: Math.floor(now / 1000) + 20 });
    expect((await verifier.verify(token)).ok).toBe(false);
    now += 30_000;
    expect((await verifier.verify(token)).ok).toBe(true);
  });

  test("no more under way than there is room for", async () => {
    const verifier = createTokenVerifier(auth, { cacheSize: 1 });
    const [a, b] = await Promise.all([sign({ jti: "a" }), sign({ jti: "b" })]);
    const [first, second] = await Promise.all([verifier.verify(a), verifier.verify(b)]);
    expect(first.ok).toBe(true);
    expect(second).toMatchObject({ ok: false, code: "unavailable" });
    expect((await verifier.verify(b)).ok).toBe(true);
  });
});
