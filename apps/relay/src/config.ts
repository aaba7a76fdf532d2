/** The relay's settings: environment in, one typed object out, every bad variable named in one message. */
import { defaultScope, parseScope, type Topic } from "@sharmo-relay/protocol";
import * as forms from "./config-forms.ts";
import { ConfigReader, type Setting } from "./config-reader.ts";
import { type DevSecrets, devSecrets } from "./dev-secrets.ts";
import type { Retention } from "./log/event-log.ts";
import { shortestAge } from "./log/retention.ts";

export interface Config {
  readonly production: boolean;
  readonly port: number;
  readonly host: string | undefined;
  /** Undefined: the embedded log. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  readonly webhook: {
    readonly path: string;
    /** Empty: ingest answers 503 until one is set. */
    readonly secrets: readonly string[];
    readonly maxBytes: number;
    /** Window of the timestamped scheme, either direction. */
    readonly maxAgeMs: number;
    /** `open`: a challenge needs no signature. */
    readonly challenge: "open" | "signed";
    readonly allowedIps: readonly string[];
    readonly schemaMode: "deliver" | "quarantine";
  };
  readonly auth: {
    /** HMAC secrets, each at least 32 bytes. */
    readonly secrets: readonly string[];
    readonly jwksUrl: string | undefined;
    readonly issuer: string | undefined;
    readonly audience: string | undefined;
    /** Topics that every valid token may see. */
    readonly defaultTopics: readonly Topic[];
  };
  readonly log: {
    readonly retention: Retention | undefined;
    readonly dedupeMs: number;
    readonly latestMax: number;
    /** How many replicas of Redis must have an event before its webhook is answered 200. */
    readonly minReplicas: number;
  };
  readonly realtime: {
    /** Empty: same origin only. `*` allows every origin. */
    readonly allowedOrigins: readonly string[];
    readonly transports: readonly ("websocket" | "polling")[];
    readonly maxBufferedBytes: number;
    /** A client that takes nothing for so long is closed. */
    readonly stallLimitMs: number;
    /** How long a live event may wait for others before one write takes them to a busy socket. */
    readonly gatherMs: number;
    /** False: sockets are written to through Engine.IO alone. */
    readonly directWrites: boolean;
    /** Compress what goes to clients that offer permessage-deflate. */
    readonly compression: boolean;
    /** Most topics of one connection. */
    readonly maxTopics: number;
    /** Events this node keeps in memory for those who come back. */
    readonly memoryEvents: number;
    /** And how many bytes of them at most. */
    readonly memoryBytes: number;
  };
  /** How many processes serve the port. */
  readonly workers: number | "auto";
  /** Addresses or networks whose X-Forwarded-For is believed; empty: none. */
  readonly trustProxy: readonly string[];
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
}

export type ConfigResult =
  | {
      readonly ok: true;
      readonly config: Config;
      /** What a person should know at start, a line each. */
      readonly notes: string[];
      /** The development secrets in use, each only if it is; never in production. */
      readonly development: Partial<DevSecrets>;
    }
  | { readonly ok: false; readonly message: string };

const webhookSecrets: Setting<readonly string[]> = {
  form: forms.webhookSecrets,
  fallback: [],
  example: "whsec_4f9c1e7ab0d25836",
  secret: true,
};
const redisUrl: Setting<string | undefined> = {
  form: forms.redisUrl,
  fallback: undefined,
  example: "redis://127.0.0.1:6379",
  secret: true,
};
const jwtSecrets: Setting<readonly string[]> = {
  form: forms.jwtSecrets,
  fallback: [],
  example: "$(openssl rand -base64 48)",
  secret: true,
};
const workers: Setting<number | "auto"> = { form: forms.workers, fallback: 1, example: "4" };

/**
 * Reads the environment. In development, secrets that are not set are taken from the data folder, where they are
 * made at the first start; the disk is touched only if everything else is right.
 */
export function loadConfig(env: NodeJS.ProcessEnv): ConfigResult {
  const reader = new ConfigReader(env);
  const read = readAll(reader);
  if (read.production && read.auth.secrets.length === 0 && read.auth.jwksUrl === undefined) {
    reader.missing("JWT_SECRET", jwtSecrets, "is not set, nor is JWT_JWKS_URL");
  }
  if (read.log.minReplicas > 0 && read.redisUrl === undefined) {
    reader.missing("REDIS_URL", redisUrl, "is not set, and RELAY_MIN_REPLICAS asks for replicas of a Redis");
  }
  if (read.workers !== 1 && read.realtime.transports.includes("polling")) {
    const form = { ...forms.workers, expected: "1, or RELAY_TRANSPORTS=websocket" };
    const why = "is not 1, and RELAY_TRANSPORTS has polling, whose requests must all reach one process";
    reader.missing("RELAY_WORKERS", { form, example: "1" }, why);
  }
  const message = reader.message();
  if (message !== undefined) return { ok: false, message };

  const notes = [...reader.strangers(), ...notesOn(read)];
  if (read.production) return { ok: true, config: read, notes, development: {} };
  return withDevSecrets(read, notes);
}

function readAll(reader: ConfigReader): Config {
  const optional = <T>(form: forms.Form<T>, example: string): Setting<T | undefined> => ({
    form,
    fallback: undefined,
    example,
  });
  const environment = reader.read("NODE_ENV", {
    form: forms.oneOf("production", "development", "test"),
    fallback: "development",
    example: "production",
  });
  return {
    production: environment === "production",
    port: reader.read("PORT", { form: forms.wholeNumber(0, 65_535), fallback: 3000, example: "3000" }),
    host: reader.read("HOST", optional(forms.host, "127.0.0.1")),
    redisUrl: reader.read("REDIS_URL", redisUrl),
    dataDir: reader.read("RELAY_DATA_DIR", { form: forms.text, fallback: "./data", example: "./data" }),
    webhook: readWebhook(reader),
    auth: {
      secrets: reader.read("JWT_SECRET", jwtSecrets),
      jwksUrl: reader.read("JWT_JWKS_URL", {
        ...optional(forms.jwksUrl, "https://login.example.com/.well-known/jwks.json"),
        secret: true,
      }),
      issuer: reader.read("JWT_ISSUER", optional(forms.text, "https://login.example.com/")),
      audience: reader.read("JWT_AUDIENCE", optional(forms.text, "sharmo-relay")),
      defaultTopics: reader.read("RELAY_DEFAULT_SCOPE", {
        form: forms.scope,
        fallback: parseScope(defaultScope).topics,
        example: "events:token.price_changed events:property.*",
      }),
    },
    log: {
      retention: reader.read("RELAY_RETENTION", optional(forms.retention, "*=7d,token.price_changed=24h")),
      dedupeMs: reader.read("RELAY_DEDUPE", {
        form: forms.duration("1m", "90d"),
        fallback: 72 * 3_600_000,
        example: "72h",
      }),
      latestMax: reader.read("RELAY_LATEST_MAX", {
        form: forms.wholeNumber(1, 1_000_000),
        fallback: 10_000,
        example: "10000",
      }),
      minReplicas: reader.read("RELAY_MIN_REPLICAS", {
        form: forms.wholeNumber(0, 100),
        fallback: 0,
        example: "1",
      }),
    },
    realtime: readRealtime(reader),
    workers: reader.read("RELAY_WORKERS", workers),
    trustProxy: reader.read("RELAY_TRUST_PROXY", {
      form: forms.networks,
      fallback: [],
      example: "10.0.0.0/8,127.0.0.1",
    }),
    logLevel: reader.read("RELAY_LOG_LEVEL", {
      form: forms.oneOf("debug", "info", "warn", "error", "silent"),
      fallback: "info",
      example: "info",
    }),
  };
}

function readWebhook(reader: ConfigReader): Config["webhook"] {
  return {
    path: reader.read("WEBHOOK_PATH", {
      form: forms.path,
      fallback: "/api/sharmo-webhooks",
      example: "/api/sharmo-webhooks",
    }),
    secrets: reader.read("SHARMO_WEBHOOK_SECRETS", webhookSecrets),
    maxBytes: reader.read("WEBHOOK_MAX_BYTES", {
      form: forms.size("1KiB", "16MiB"),
      fallback: 256 * 1024,
      example: "256KiB",
    }),
    maxAgeMs: reader.read("WEBHOOK_MAX_AGE", {
      form: forms.duration("1s", "24h"),
      fallback: 5 * 60_000,
      example: "5m",
    }),
    challenge: reader.read("WEBHOOK_CHALLENGE", {
      form: forms.oneOf("open", "signed"),
      fallback: "open",
      example: "signed",
    }),
    allowedIps: reader.read("WEBHOOK_ALLOWED_IPS", {
      form: forms.networks,
      fallback: [],
      example: "203.0.113.0/24,198.51.100.7",
    }),
    schemaMode: reader.read("RELAY_SCHEMA_MODE", {
      form: forms.oneOf("deliver", "quarantine"),
      fallback: "deliver",
      example: "deliver",
    }),
  };
}

function readRealtime(reader: ConfigReader): Config["realtime"] {
  return {
    allowedOrigins: reader.read("RELAY_ALLOWED_ORIGINS", {
      form: forms.origins,
      fallback: [],
      example: "https://app.example.com,https://admin.example.com",
    }),
    transports: reader.read<Config["realtime"]["transports"]>("RELAY_TRANSPORTS", {
      form: forms.transports,
      fallback: ["websocket"],
      example: "websocket,polling",
    }),
    maxBufferedBytes: reader.read("RELAY_MAX_BUFFERED_BYTES", {
      form: forms.size("64KiB", "64MiB"),
      fallback: 1024 * 1024,
      example: "1MiB",
    }),
    stallLimitMs: reader.read("RELAY_STALL_LIMIT", {
      form: forms.duration("1s", "1h"),
      fallback: 60_000,
      example: "60s",
    }),
    gatherMs: reader.read("RELAY_GATHER_MS", {
      form: forms.wholeNumber(0, 1_000),
      fallback: 10,
      example: "10",
    }),
    directWrites:
      reader.read("RELAY_DIRECT_WRITES", {
        form: forms.oneOf("on", "off"),
        fallback: "on",
        example: "on",
      }) === "on",
    compression:
      reader.read("RELAY_COMPRESSION", { form: forms.oneOf("on", "off"), fallback: "on", example: "on" }) ===
      "on",
    maxTopics: reader.read("RELAY_MAX_TOPICS", {
      form: forms.wholeNumber(1, 10_000),
      fallback: 100,
      example: "100",
    }),
    memoryEvents: reader.read("RELAY_MEMORY_EVENTS", {
      form: forms.wholeNumber(1, 1_000_000),
      fallback: 10_000,
      example: "10000",
    }),
    memoryBytes: reader.read("RELAY_MEMORY_BYTES", {
      form: forms.size("1MiB", "16GiB"),
      fallback: 64 * 1024 * 1024,
      example: "64MiB",
    }),
  };
}

/** After 3 h 50 min Sharmo tries no more (guide A). */
const senderRetriesMs = 230 * 60_000;
const shortRetentionMs = 15 * 60_000;

function notesOn(config: Config): string[] {
  const notes: string[] = [];
  const { retention, dedupeMs } = config.log;
  if (retention !== undefined && shortestAge(retention) < shortRetentionMs) {
    notes.push(
      "RELAY_RETENTION keeps a type for less than 15 minutes: after a failover, gaps may be reported that are none",
    );
  }
  if (dedupeMs < senderRetriesMs) {
    notes.push(
      "RELAY_DEDUPE is shorter than the 3 h 50 min over which Sharmo retries: a late retry may count as a new event",
    );
  }
  if (config.production && config.webhook.secrets.length === 0) {
    notes.push(
      "SHARMO_WEBHOOK_SECRETS is not set: webhooks are answered 503 until it is, and Sharmo sends them again",
    );
  }
  if (config.auth.jwksUrl !== undefined && config.auth.audience === undefined) {
    notes.push(
      "JWT_AUDIENCE is not set: every token signed with the keys of JWT_JWKS_URL is accepted, whatever it was made for",
    );
  }
  return notes;
}

function withDevSecrets(config: Config, notes: string[]): ConfigResult {
  const needsWebhook = config.webhook.secrets.length === 0;
  const needsJwt = config.auth.secrets.length === 0 && config.auth.jwksUrl === undefined;
  if (!needsWebhook && !needsJwt) return { ok: true, config, notes, development: {} };

  const found = devSecrets(config.dataDir);
  if (!found.ok) return found;
  const { webhookSecret, jwtSecret } = found.secrets;
  const names = [
    ...(needsWebhook ? ["SHARMO_WEBHOOK_SECRETS"] : []),
    ...(needsJwt ? ["JWT_SECRET"] : []),
  ].join(" and ");
  return {
    ok: true,
    config: {
      ...config,
      webhook: needsWebhook ? { ...config.webhook, secrets: [webhookSecret] } : config.webhook,
      auth: needsJwt ? { ...config.auth, secrets: [jwtSecret] } : config.auth,
    },
    notes: [
      ...notes,
      `${names} not set: development secrets of ${found.file} are in use${found.made ? ", made just now" : ""}`,
    ],
    development: { ...(needsWebhook ? { webhookSecret } : {}), ...(needsJwt ? { jwtSecret } : {}) },
  };
}
