import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Config, loadConfig } from "./config.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "relay-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const jwt = "j".repeat(32);
const webhook = "whsec_0123456789";

/** Production, so that nothing touches the disk. */
function load(env: NodeJS.ProcessEnv) {
  return loadConfig({ NODE_ENV: "production", JWT_SECRET: jwt, SHARMO_WEBHOOK_SECRETS: webhook, ...env });
}

function configOf(env: NodeJS.ProcessEnv): Config {
  const loaded = load(env);
  if (!loaded.ok) throw new Error(loaded.message);
  return loaded.config;
}

function notesOf(env: NodeJS.ProcessEnv): string[] {
  const loaded = load(env);
  if (!loaded.ok) throw new Error(loaded.message);
  return loaded.notes;
}

function messageOf(env: NodeJS.ProcessEnv): string {
  const loaded = load(env);
  return loaded.ok ? "" : loaded.message;
}

describe("what is not set", () => {
  test("has the documented value", () => {
    expect(configOf({})).toMatchObject({
      production: true,
      port: 3000,
      host: undefined,
      redisUrl: undefined,
      dataDir: "./data",
      webhook: {
        path: "/api/sharmo-webhooks",
        maxBytes: 262_144,
        maxAgeMs: 300_000,
        challenge: "open",
        allowedIps: [],
        schemaMode: "deliver",
      },
      auth: { jwksUrl: undefined, issuer: undefined, audience: undefined },
      log: { retention: undefined, dedupeMs: 259_200_000, latestMax: 10_000, minReplicas: 0 },
      realtime: {
        allowedOrigins: [],
        transports: ["websocket"],
        maxBufferedBytes: 1_048_576,
        gatherMs: 10,
        directWrites: true,
        compression: true,
        maxTopics: 100,
        memoryEvents: 10_000,
      },
      workers: 1,
      trustProxy: [],
      logLevel: "info",
    });
    expect(configOf({}).auth.defaultTopics.map((t) => t.name)).toContain("token.price_changed");
    expect(notesOf({})).toEqual([]);
  });

  test("is the same as what is empty", () => {
    expect(configOf({ PORT: "", REDIS_URL: " ", RELAY_RETENTION: "", JWT_JWKS_URL: "" })).toEqual(
      configOf({}),
    );
  });
});

test.each<[NodeJS.ProcessEnv, (config: Config) => unknown, unknown]>([
  [{ PORT: "0" }, (c) => c.port, 0],
  [{ PORT: " 8080 " }, (c) => c.port, 8080],
  [{ HOST: "::1" }, (c) => c.host, "::1"],
  [
    { REDIS_URL: "rediss://user:pass@redis.internal:6380/2" },
    (c) => c.redisUrl,
    "rediss://user:pass@redis.internal:6380/2",
  ],
  [
    { REDIS_URL: "redis+sentinel://a:26379,b:26379/main" },
    (c) => c.redisUrl,
    "redis+sentinel://a:26379,b:26379/main",
  ],
  [{ REDIS_URL: "redis://localhost", RELAY_MIN_REPLICAS: "2" }, (c) => c.log.minReplicas, 2],
  [{ WEBHOOK_PATH: "/hooks/sharmo" }, (c) => c.webhook.path, "/hooks/sharmo"],
  [{ WEBHOOK_MAX_BYTES: "1MiB" }, (c) => c.webhook.maxBytes, 1_048_576],
  [{ WEBHOOK_MAX_BYTES: "300000" }, (c) => c.webhook.maxBytes, 300_000],
  [{ WEBHOOK_MAX_AGE: "90s" }, (c) => c.webhook.maxAgeMs, 90_000],
  [{ WEBHOOK_CHALLENGE: "signed" }, (c) => c.webhook.challenge, "signed"],
  [
    { WEBHOOK_ALLOWED_IPS: "10.0.0.0/8, 2001:db8::/32,192.0.2.7" },
    (c) => c.webhook.allowedIps,
    ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"],
  ],
  [{ RELAY_SCHEMA_MODE: "quarantine" }, (c) => c.webhook.schemaMode, "quarantine"],
  [
    { SHARMO_WEBHOOK_SECRETS: `${webhook},whsec_aaaaaaaaaaaa` },
    (c) => c.webhook.secrets,
    [webhook, "whsec_aaaaaaaaaaaa"],
  ],
  [{ JWT_SECRET: `${"ü".repeat(16)},${jwt}` }, (c) => c.auth.secrets, ["ü".repeat(16), jwt]],
  [{ JWT_JWKS_URL: "http://127.0.0.1:9/keys" }, (c) => c.auth.jwksUrl, "http://127.0.0.1:9/keys"],
  [{ RELAY_DEFAULT_SCOPE: "none" }, (c) => c.auth.defaultTopics, []],
  [
    { RELAY_DEFAULT_SCOPE: "events:token.*  events:*" },
    (c) => c.auth.defaultTopics.map((t) => t.name),
    ["token.*", "*"],
  ],
  [
    { RELAY_RETENTION: "*=2d,token.price_changed=6h" },
    (c) => c.log.retention?.types.get("token.price_changed"),
    { maxAgeMs: 21_600_000 },
  ],
  [{ RELAY_DEDUPE: "7d" }, (c) => c.log.dedupeMs, 604_800_000],
  [{ RELAY_ALLOWED_ORIGINS: "*" }, (c) => c.realtime.allowedOrigins, ["*"]],
  [
    { RELAY_ALLOWED_ORIGINS: "https://a.example,http://localhost:5173" },
    (c) => c.realtime.allowedOrigins,
    ["https://a.example", "http://localhost:5173"],
  ],
  [{ RELAY_TRANSPORTS: "polling,websocket" }, (c) => c.realtime.transports, ["polling", "websocket"]],
  [{ RELAY_WORKERS: "auto" }, (c) => c.workers, "auto"],
  [{ RELAY_WORKERS: "64" }, (c) => c.workers, 64],
  [{ RELAY_TRUST_PROXY: "127.0.0.1" }, (c) => c.trustProxy, ["127.0.0.1"]],
  [{ RELAY_LOG_LEVEL: "debug" }, (c) => c.logLevel, "debug"],
])("%j is read", (env, pick, expected) => {
  expect(pick(configOf(env))).toEqual(expected);
});

test.each<[string, string]>([
  ["PORT", "65536"],
  ["PORT", "80a"],
  ["PORT", "-1"],
  ["PORT", "1e3"],
  ["HOST", "not a host"],
  ["REDIS_URL", "localhost:6379"],
  ["REDIS_URL", "http://localhost"],
  ["REDIS_URL", "redis+sentinel://localhost:26379"],
  ["REDIS_URL", "redis+cluster://localhost:7000/1"],
  ["RELAY_MIN_REPLICAS", "all"],
  ["WEBHOOK_PATH", "webhooks"],
  ["WEBHOOK_PATH", "/"],
  ["WEBHOOK_PATH", "/v1/events"],
  ["WEBHOOK_PATH", "/hook?x=1"],
  ["WEBHOOK_MAX_BYTES", "10"],
  ["WEBHOOK_MAX_BYTES", "256KB"],
  ["WEBHOOK_MAX_AGE", "300"],
  ["WEBHOOK_MAX_AGE", "0s"],
  ["WEBHOOK_CHALLENGE", "yes"],
  ["WEBHOOK_ALLOWED_IPS", "10.0.0.0/33"],
  ["WEBHOOK_ALLOWED_IPS", "10.0.0.300"],
  ["WEBHOOK_ALLOWED_IPS", ","],
  ["SHARMO_WEBHOOK_SECRETS", "short"],
  ["SHARMO_WEBHOOK_SECRETS", `${webhook},`],
  ["SHARMO_WEBHOOK_SECRETS", `${webhook}, ${webhook}`],
  ["SHARMO_WEBHOOK_SECRETS", "has a space in the middle"],
  ["JWT_SECRET", "j".repeat(31)],
  ["JWT_SECRET", `${jwt}\n`],
  ["JWT_SECRET", `${jwt},${"k".repeat(31)}`],
  ["JWT_JWKS_URL", "http://login.example.com/keys"],
  ["JWT_JWKS_URL", "http://127.0.0.1.example.com/keys"],
  ["JWT_JWKS_URL", "file:///etc/keys"],
  ["RELAY_DEFAULT_SCOPE", "token.*"],
  ["RELAY_DEFAULT_SCOPE", "events:token.* relay:admin"],
  ["RELAY_DEFAULT_SCOPE", "events:Token"],
  ["RELAY_RETENTION", "7d"],
  ["RELAY_DEDUPE", "3 days"],
  ["RELAY_LATEST_MAX", "0"],
  ["RELAY_WORKERS", "0"],
  ["RELAY_WORKERS", "65"],
  ["RELAY_WORKERS", "all"],
  ["RELAY_WORKERS", "2.5"],
  ["RELAY_ALLOWED_ORIGINS", "https://a.example/"],
  ["RELAY_ALLOWED_ORIGINS", "https://a.example,*"],
  ["RELAY_ALLOWED_ORIGINS", "a.example"],
  ["RELAY_TRANSPORTS", "webtransport"],
  ["RELAY_MAX_BUFFERED_BYTES", "1GiB"],
  ["RELAY_MAX_TOPICS", "0"],
  ["RELAY_GATHER_MS", "1s"],
  ["RELAY_DIRECT_WRITES", "yes"],
  ["RELAY_COMPRESSION", "gzip"],
  ["RELAY_MEMORY_EVENTS", "many"],
  ["RELAY_MEMORY_BYTES", "1KiB"],
  ["RELAY_STALL_LIMIT", "60 seconds"],
  ["RELAY_LOG_LEVEL", "verbose"],
  ["RELAY_TRUST_PROXY", "true"],
  ["NODE_ENV", "prod"],
])("%s=%j is refused by name, with the form and an example", (name, value) => {
  const lines = messageOf({ [name]: value }).split("\n");
  expect(lines[0]).toBe("The relay cannot start: one setting is wrong.");
  expect(lines[1]).toMatch(new RegExp(`^  ${name}  .*expected .+, e\\.g\\. ${name}=.+$`));
  expect(lines).toHaveLength(2);
});

test("every bad variable stands in one message, a line each, aligned", () => {
  const message = messageOf({
    PORT: "x",
    RELAY_MAX_BUFFERED_BYTES: "1",
    JWT_SECRET: "short",
    RELAY_LOG_LEVEL: "loud",
  });
  const lines = message.split("\n").slice(1);
  expect(message).toMatchInlineSnapshot(`
    "The relay cannot start: 4 settings are wrong.
      PORT                      is "x"                  expected a whole number from 0 to 65535, e.g. PORT=3000
      JWT_SECRET                the secret has 5 bytes  expected comma-separated secrets, each at least 32 bytes, e.g. JWT_SECRET="$(openssl rand -base64 48)"
      RELAY_MAX_BUFFERED_BYTES  is "1"                  expected a size from 64KiB to 64MiB (bytes, KiB or MiB), e.g. RELAY_MAX_BUFFERED_BYTES=1MiB
      RELAY_LOG_LEVEL           is "loud"               expected debug, info, warn, error or silent, e.g. RELAY_LOG_LEVEL=info"
  `);
  expect(new Set(lines.map((line) => line.indexOf("expected"))).size).toBe(1);
});

test("replicas are asked of a Redis, never of the local disk", () => {
  expect(messageOf({ RELAY_MIN_REPLICAS: "1" })).toMatch(
    /REDIS_URL +is not set, and RELAY_MIN_REPLICAS asks for replicas of a Redis +expected redis:/,
  );
});

test("several workers do not go with polling, whose requests would reach any of them", () => {
  const polling = { RELAY_TRANSPORTS: "websocket,polling" };
  for (const RelayWorkers of ["2", "auto"]) {
    expect(messageOf({ RELAY_WORKERS: RelayWorkers, ...polling })).toMatch(
      /RELAY_WORKERS +is not 1, and RELAY_TRANSPORTS has polling.* expected 1, or RELAY_TRANSPORTS=websocket/,
    );
  }
  expect(messageOf({ RELAY_WORKERS: "1", ...polling })).toBe("");
});

test("the examples in messages are right values themselves", () => {
  const bad: NodeJS.ProcessEnv = {};
  for (const name of Object.keys(allNames())) bad[name] = "\u0007";
  const lines = messageOf(bad).split("\n").slice(1);
  expect(lines.length).toBeGreaterThan(25);
  for (const line of lines) {
    const [, name, example] = /e\.g\. (\w+)=(.*)$/.exec(line) ?? [];
    if (name === undefined || example === undefined) throw new Error(line);
    if (example.startsWith('"$(')) continue;
    const others = name === "RELAY_MIN_REPLICAS" ? { REDIS_URL: "redis://localhost" } : {};
    expect(messageOf({ ...others, [name]: example.replace(/^'(.*)'$/, "$1") }), name).toBe("");
  }
});

/** The names that are read, found by asking. */
function allNames(): Record<string, true> {
  const names: Record<string, true> = {};
  const asked = new Proxy<NodeJS.ProcessEnv>(
    {},
    {
      get(_, name) {
        if (typeof name === "string") names[name] = true;
        return name === "NODE_ENV" ? "production" : undefined;
      },
    },
  );
  loadConfig(asked);
  return names;
}

test("no message shows a secret, whatever it is", () => {
  const names = ["JWT_SECRET", "SHARMO_WEBHOOK_SECRETS", "REDIS_URL", "JWT_JWKS_URL"];
  const secret = fc
    .string({ minLength: 6, maxLength: 30, unit: "grapheme" })
    .filter((s) => /[^\s,]{6}/.test(s));
  fc.assert(
    fc.property(fc.constantFrom(...names), secret, fc.boolean(), (name, value, twice) => {
      // words that stand in a message of ours anyway prove nothing
      fc.pre(!messageOf({ [name]: "!" }).includes(value));
      expect(messageOf({ [name]: twice ? `${value},${value}x` : value })).not.toContain(value);
    }),
  );
});

test("any number of whole seconds, minutes, hours or days in range is the duration it says", () => {
  const unit = fc.constantFrom<[string, number]>(
    ["s", 1_000],
    ["m", 60_000],
    ["h", 3_600_000],
    ["d", 86_400_000],
  );
  fc.assert(
    fc.property(fc.nat(2_000_000), unit, (count, [name, ms]) => {
      const loaded = load({ RELAY_DEDUPE: `${count}${name}` });
      const inRange = count * ms >= 60_000 && count * ms <= 90 * 86_400_000;
      expect(loaded.ok).toBe(inRange);
      if (loaded.ok) expect(loaded.config.log.dedupeMs).toBe(count * ms);
    }),
  );
});

test("whatever is set, there is a config or a message, and no exception", () => {
  const names = Object.keys(allNames()).filter((name) => name !== "NODE_ENV");
  const env = fc.dictionary(fc.constantFrom(...names), fc.string({ unit: "binary", maxLength: 40 }), {
    maxKeys: 5,
  });
  fc.assert(
    fc.property(env, (values) => {
      const message = messageOf(values);
      for (const line of message.split("\n").slice(1)) expect(line).not.toMatch(/\p{Cc}/u);
    }),
    { numRuns: 100 },
  );
});

describe("notes", () => {
  test("unknown variables are named with what was meant", () => {
    expect(
      notesOf({
        RELAY_RETENTON: "7d",
        WEBHOOK_SECRETS: "x",
        JWT_KEY: "x",
        RELAY_FROBNICATE_ALL_THINGS: "1",
        PATH: "/bin",
      }),
    ).toEqual([
      "JWT_KEY is set, but the relay knows no such variable",
      "RELAY_FROBNICATE_ALL_THINGS is set, but the relay knows no such variable",
      "RELAY_RETENTON is set, but the relay knows no such variable; did you mean RELAY_RETENTION?",
      "WEBHOOK_SECRETS is set, but the relay knows no such variable",
    ]);
    expect(notesOf({ SHARMO_WEBHOOK_SECRET: "x" })[0]).toContain("did you mean SHARMO_WEBHOOK_SECRETS?");
  });

  test("never hold a value", () => {
    expect(
      notesOf({ SHARMO_WEBHOOK_SECRET: "whsec_verysecret", JWT_SECERT: "hunter2hunter2" }).join(),
    ).not.toMatch(/verysecret|hunter2/);
  });

  test.each<[NodeJS.ProcessEnv, RegExp]>([
    [{ RELAY_RETENTION: "*=7d,token.price_changed=14m" }, /gaps may be reported/],
    [{ RELAY_DEDUPE: "3h" }, /RELAY_DEDUPE is shorter/],
    [{ SHARMO_WEBHOOK_SECRETS: "" }, /answered 503/],
    [{ JWT_JWKS_URL: "https://login.example.com/keys" }, /JWT_AUDIENCE is not set/],
  ])("%j is worth one", (env, note) => {
    expect(notesOf(env)).toEqual([expect.stringMatching(note)]);
  });

  test("a retention of 15 minutes is not worth one", () => {
    expect(notesOf({ RELAY_RETENTION: "*=15m" })).toEqual([]);
  });
});

describe("in production", () => {
  test("a missing key for tokens is an error", () => {
    expect(messageOf({ JWT_SECRET: "" })).toMatch(/^ {2}JWT_SECRET {2}is not set, nor is JWT_JWKS_URL/m);
  });

  test("a short secret is named once", () => {
    expect(messageOf({ JWT_SECRET: "short" }).match(/JWT_SECRET {2}/g)).toHaveLength(1);
  });

  test("a key set alone will do", () => {
    const config = configOf({ JWT_SECRET: "", JWT_JWKS_URL: "https://login.example.com/keys" });
    expect(config.auth).toMatchObject({ secrets: [], jwksUrl: "https://login.example.com/keys" });
  });

  test("nothing is made on disk", () => {
    const loaded = load({ RELAY_DATA_DIR: join(folder, "data"), SHARMO_WEBHOOK_SECRETS: "" });
    expect(loaded).toMatchObject({ ok: true, development: {}, config: { webhook: { secrets: [] } } });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("in development", () => {
  const develop = (env: NodeJS.ProcessEnv = {}) =>
    loadConfig({ RELAY_DATA_DIR: join(folder, "data"), ...env });
  const file = () => join(folder, "data", "dev-secrets.json");

  test("both secrets are made once and kept for their owner alone", () => {
    const first = develop();
    if (!first.ok) throw new Error(first.message);
    const { webhookSecret, jwtSecret } = first.development;
    expect(webhookSecret).toMatch(/^whsec_[a-z0-9]{48}$/);
    expect(jwtSecret?.length).toBeGreaterThanOrEqual(43);
    expect(first.config.webhook.secrets).toEqual([webhookSecret]);
    expect(first.config.auth.secrets).toEqual([jwtSecret]);
    expect(JSON.parse(readFileSync(file(), "utf8"))).toEqual({
      webhook_secret: webhookSecret,
      jwt_secret: jwtSecret,
    });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, "data"))).toEqual(["dev-secrets.json"]);
    expect(first.notes.join()).toContain("made just now");
    expect(first.notes.join()).not.toContain(webhookSecret);

    const second = develop();
    expect(second).toMatchObject({ ok: true, development: first.development });
    if (second.ok) expect(second.notes.join()).not.toContain("made just now");
  });

  test("only the one that is missing is taken", () => {
    const loaded = develop({ JWT_SECRET: jwt });
    expect(loaded).toMatchObject({
      ok: true,
      config: { auth: { secrets: [jwt] } },
      development: { webhookSecret: expect.any(String) },
    });
    if (loaded.ok) expect(loaded.development).not.toHaveProperty("jwtSecret");
  });

  test("with a key set there is no development key beside it", () => {
    const loaded = develop({ JWT_JWKS_URL: "https://login.example.com/keys" });
    expect(loaded).toMatchObject({ ok: true, config: { auth: { secrets: [] } } });
  });

  test("nothing is made while a setting is wrong", () => {
    expect(develop({ PORT: "x" }).ok).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([["not json"], ["{}"], ['{"webhook_secret":"whsec_0123456789","jwt_secret":"short"}'], [""]])(
    "a damaged file (%j) is one clear line that does not show it",
    (text) => {
      mkdirSync(join(folder, "data"));
      writeFileSync(file(), text);
      const loaded = develop();
      expect(loaded).toEqual({
        ok: false,
        message: `${file()} is damaged. Delete it and the relay makes new development secrets.`,
      });
    },
  );

  test("a data folder that cannot be made is one clear line", () => {
    writeFileSync(join(folder, "data"), "a file");
    const loaded = develop();
    expect(loaded.ok).toBe(false);
    if (!loaded.ok)
      expect(loaded.message).toMatch(/^The development secrets cannot be kept in .* \(E[A-Z]+\)\./);
  });
});
