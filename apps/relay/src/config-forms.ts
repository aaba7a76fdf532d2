/**
 * The forms a setting can have: what is accepted, and the words that say so in an error message. A problem that
 * needs more words than "this value is not it" is reported as a `custom` issue; those never quote a secret.
 */
import { isIP } from "node:net";
import { parseScope, type Topic } from "@sharmo-relay/protocol";
import { z } from "zod";
import { isAddressOrNetwork } from "./ingest/address.ts";
import type { Retention } from "./log/event-log.ts";
import { readRedisUrl, redisUrlForm } from "./log/redis-url.ts";
import { parseRetention } from "./log/retention.ts";

export interface Form<T> {
  /** Completes "expected …". */
  readonly expected: string;
  readonly schema: z.ZodType<T, string>;
}

type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem?: string };

/** A form by hand; `problem` says more than "is not it". */
function form<T>(expected: string, parse: (text: string) => Parsed<T>): Form<T> {
  const schema = z.string().transform((text, context): T => {
    const parsed = parse(text);
    if (parsed.ok) return parsed.value;
    if (parsed.problem === undefined) context.addIssue({ code: "invalid_value", values: [], input: text });
    else context.addIssue({ code: "custom", message: parsed.problem, input: text });
    return z.NEVER;
  });
  return { expected, schema };
}

export function wholeNumber(min: number, max: number): Form<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    schema: z
      .string()
      .regex(/^[0-9]{1,15}$/)
      .transform(Number)
      .pipe(z.number().min(min).max(max)),
  };
}

/** Most processes of one relay. */
const maxWorkers = 64;

export const workers: Form<number | "auto"> = form<number | "auto">(
  `a whole number from 1 to ${maxWorkers}, or auto`,
  (text) => {
    if (text === "auto") return { ok: true, value: text };
    const count = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0;
    return count >= 1 && count <= maxWorkers ? { ok: true, value: count } : { ok: false };
  },
);

export function oneOf<const T extends string>(...values: readonly T[]): Form<T> {
  return form(`${values.slice(0, -1).join(", ")} or ${values.at(-1)}`, (text) => {
    const value = values.find((v) => v === text);
    return value === undefined ? { ok: false } : { ok: true, value };
  });
}

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `5m`, `24h`, `7d`; a number without a unit is refused, since nobody remembers what it would count. */
export function duration(min: string, max: string): Form<number> {
  const [least, most] = [milliseconds(min) ?? 0, milliseconds(max) ?? Number.POSITIVE_INFINITY];
  return form(`a duration from ${min} to ${max}`, (text) => {
    const value = milliseconds(text);
    return value === undefined || value < least || value > most ? { ok: false } : { ok: true, value };
  });
}

function milliseconds(text: string): number | undefined {
  const [, digits, unit] = /^([0-9]{1,10})(ms|s|m|h|d)$/.exec(text) ?? [];
  const name = (Object.keys(units) as (keyof typeof units)[]).find((u) => u === unit);
  return digits === undefined || name === undefined ? undefined : Number(digits) * units[name];
}

/** Bytes, or `256KiB`, `1MiB`. */
export function size(min: string, max: string): Form<number> {
  const [least, most] = [bytes(min) ?? 0, bytes(max) ?? Number.POSITIVE_INFINITY];
  return form(`a size from ${min} to ${max} (bytes, KiB or MiB)`, (text) => {
    const value = bytes(text);
    return value === undefined || value < least || value > most ? { ok: false } : { ok: true, value };
  });
}

function bytes(text: string): number | undefined {
  const [, digits, unit] = /^([0-9]{1,12})(KiB|MiB)?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return Number(digits) * (unit === undefined ? 1 : unit === "KiB" ? 1024 : 1024 * 1024);
}

/** Any text without control characters. */
export const text: Form<string> = {
  expected: "text without control characters",
  schema: z.string().regex(/^\P{Cc}+$/u),
};

export const host: Form<string> = form("a host name or an IP address", (value) =>
  isIP(value) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(value)
    ? { ok: true, value }
    : { ok: false },
);

/** Paths that the relay itself answers; the webhook must not hide one. */
const takenPaths = [
  "/healthz",
  "/readyz",
  "/metrics",
  "/openapi.json",
  "/v1",
  "/dev",
  "/assets",
  "/socket.io",
];

export const path: Form<string> = form(
  "a path that begins with / and is not one of the relay's own",
  (value) => {
    if (!/^\/[A-Za-z0-9\-._~/]{1,200}$/.test(value) || value.includes("//")) return { ok: false };
    const taken = takenPaths.find((own) => value === own || value.startsWith(`${own}/`));
    return taken === undefined
      ? { ok: true, value }
      : { ok: false, problem: `${taken} is answered by the relay itself` };
  },
);

/** Items of a comma-separated list, white space around them dropped. */
function items(value: string): string[] {
  return [...new Set(value.split(",").map((item) => item.trim()))].filter((item) => item !== "");
}

function list<T>(expected: string, parse: (item: string) => T | undefined): Form<readonly T[]> {
  return form(expected, (value) => {
    const parsed: T[] = [];
    for (const item of items(value)) {
      const one = parse(item);
      if (one === undefined) return { ok: false, problem: `${quote(item)} is not one` };
      parsed.push(one);
    }
    return parsed.length === 0 ? { ok: false } : { ok: true, value: parsed };
  });
}

/** A value from outside as it may stand in a message: short, on one line, control characters escaped. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
}

export const networks: Form<readonly string[]> = list(
  "a comma-separated list of IP addresses or networks",
  (item) => (isAddressOrNetwork(item) ? item : undefined),
);

export const transports: Form<readonly ("websocket" | "polling")[]> = list(
  "websocket, polling or websocket,polling",
  (item) => (item === "websocket" || item === "polling" ? item : undefined),
);

export const origins: Form<readonly string[]> = form(
  "a comma-separated list of origins (scheme and host, no path), or * for every origin",
  (value) => {
    const all = items(value);
    if (all.length === 1 && all[0] === "*") return { ok: true, value: all };
    const wrong = all.find((item) => !/^https?:\/\//.test(item) || originOf(item) !== item);
    if (wrong === "*") return { ok: false, problem: "* stands among other origins" };
    if (wrong !== undefined) return { ok: false, problem: `${quote(wrong)} is not an origin` };
    return all.length === 0 ? { ok: false } : { ok: true, value: all };
  },
);

function originOf(item: string): string | undefined {
  return URL.canParse(item) ? new URL(item).origin : undefined;
}

export const scope: Form<readonly Topic[]> = form(
  "events:<topic> words with spaces between them, or none",
  (value) => {
    if (value === "none") return { ok: true, value: [] };
    const { topics, words, invalid } = parseScope(value.replaceAll(/\s+/g, " "));
    const wrong = invalid[0] ?? [...words].find((word) => !word.startsWith("events:"));
    return wrong === undefined
      ? { ok: true, value: topics }
      : { ok: false, problem: `${quote(wrong)} is not one` };
  },
);

export const retention: Form<Retention> = form(
  "<type or *>=<age> pairs with commas between them",
  (value) => {
    const parsed = parseRetention(value);
    return parsed.ok ? { ok: true, value: parsed.retention } : { ok: false, problem: parsed.message };
  },
);

export const redisUrl: Form<string> = form(redisUrlForm, (value) => {
  const url = readRedisUrl(value.trim());
  return url.ok ? { ok: true, value: value.trim() } : url;
});

export const jwksUrl: Form<string> = form("an https URL (http only for this machine)", (value) => {
  if (!URL.canParse(value)) return { ok: false, problem: "is not a URL" };
  const { protocol, hostname } = new URL(value);
  if (protocol === "https:" || (protocol === "http:" && isLoopback(hostname))) return { ok: true, value };
  return {
    ok: false,
    problem: protocol === "http:" ? "is http, which anyone on the way could alter" : "is not https",
  };
});

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.[0-9]{1,3}){3}$/.test(hostname);
}

/**
 * Secrets, the newest first. White space at the ends is refused and not trimmed: the sender's or the customer's copy
 * may have it too, and then no signature would fit and nothing would say why.
 */
function secrets(
  expected: string,
  problemOf: (secret: string) => string | undefined,
): Form<readonly string[]> {
  return form(expected, (value) => {
    const all = value.split(",");
    for (const [index, secret] of all.entries()) {
      const which = all.length === 1 ? "the secret" : `secret ${index + 1} of ${all.length}`;
      const problem =
        secret === ""
          ? "is empty"
          : secret.trim() !== secret
            ? "begins or ends with white space"
            : problemOf(secret);
      if (problem !== undefined) return { ok: false, problem: `${which} ${problem}` };
    }
    return { ok: true, value: [...new Set(all)] };
  });
}

export const webhookSecrets: Form<readonly string[]> = secrets(
  "the secrets from Sharmo's dashboard, comma-separated, each at least 16 characters without spaces",
  (secret) => {
    if (/\s/.test(secret)) return "has a space in it";
    return secret.length < 16 ? `has ${secret.length} characters` : undefined;
  },
);

export const jwtSecrets: Form<readonly string[]> = secrets(
  "comma-separated secrets, each at least 32 bytes",
  (secret) => {
    const length = Buffer.byteLength(secret);
    return length < 32 ? `has ${length} ${length === 1 ? "byte" : "bytes"}` : undefined;
  },
);
