/** The management API over real HTTP, on a real embedded log and the real follower. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Cursor,
  formatCursor,
  parseTopic,
  primaryKeyOf,
  routingOf,
  type Topic,
} from "@sharmo-relay/protocol";
import { type JWTPayload, SignJWT } from "jose";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import { createTokenVerifier } from "../auth/tokens.ts";
import { apiNode } from "../fanout-node.ts";
import { openEmbeddedLog } from "../log/embedded-log.ts";
import type { EventEntry, LogSettings } from "../log/event-log.ts";
import { runningEpoch } from "../log/lineage.ts";
import { createMetrics } from "../observe/metrics.ts";
import { Follower } from "../tail/follower.ts";
import { createApi } from "./app.ts";
import type { ApiDeps } from "./deps.ts";

const secret = "a-secret-of-thirty-two-bytes-or-so";
const settings: LogSettings = {
  dedupeMs: 3_600_000,
  latestMax: 100,
  maxTypes: 100,
  commandTimeoutMs: 10_000,
};

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of an answer is checked by its expectations
  readonly json: any;
}

export interface ApiUnderTest {
  readonly url: string;
  readonly log: Awaited<ReturnType<typeof openEmbeddedLog>>;
  readonly follower: Follower;
  readonly logged: string[];
  accept(
    type: string,
    data: object | string,
    parts?: { id?: string; createdAt?: number },
  ): Promise<EventEntry>;
  cursor(sequence: number): Cursor;
  get(path: string, token?: string, headers?: Record<string, string>): Promise<Answer>;
  send(method: string, path: string, token?: string, init?: RequestInit): Promise<Answer>;
  /** Ends everything but the data folder and begins anew on it, which starts an epoch. */
  restart(): Promise<ApiUnderTest>;
  advance(ms: number): void;
}

export interface ApiOptions {
  readonly deps?: Partial<ApiDeps>;
  readonly settings?: Partial<LogSettings>;
  readonly defaultTopics?: readonly Topic[];
  readonly dir?: string;
}

export async function startApi(options: ApiOptions = {}): Promise<ApiUnderTest> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "relay-api-")));
  let ahead = 0;
  const log = await openEmbeddedLog({
    dir,
    settings: { ...settings, ...options.settings },
    clock: () => Date.now() + ahead,
  });
  const follower = new Follower({
    log,
    listener: {
      applied() {},
      forked() {},
      restarted() {},
      holeFilled() {},
      junk() {},
      ready() {},
      trouble() {},
      putBack() {},
      lost() {},
    },
    memory: { maxEntries: 100, maxBytes: 1_000_000 },
    latestMax: 100,
  });
  await follower.start();
  const logged: string[] = [];
  const auth = { secrets: [secret], jwksUrl: undefined, issuer: undefined, audience: undefined };
  const app = createApi({
    log,
    node: apiNode(follower),
    verifier: createTokenVerifier({ ...auth, defaultTopics: options.defaultTopics ?? [] }),
    retryQuarantined: async () => ({ status: "not_found" }),
    readiness: () => ({ reasons: [], warnings: [] }),
    metrics: createMetrics(),
    logger: pino({ level: "debug" }, { write: (line) => void logged.push(line) }),
    page: undefined,
    devToken: undefined,
    ...options.deps,
  });
  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await follower.close();
    await log.close();
  };
  onTestFinished(async () => {
    await stop();
    await rm(dir, { recursive: true, force: true });
  });

  const send: ApiUnderTest["send"] = async (method, path, token, init = {}) => {
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
    const response = await fetch(url + path, { ...init, method, headers, redirect: "manual" });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parseJson(text) };
  };
  let made = 0;
  return {
    url,
    log,
    follower,
    logged,
    async accept(type, data, parts = {}) {
      const id = parts.id ?? `evt_${++made}_${runningEpoch(follower.tail?.history ?? []).epoch}`;
      const text = typeof data === "string" ? data : JSON.stringify(data);
      const body = Buffer.from(
        `{"id":${JSON.stringify(id)},"type":"${type}","created_at":"2026-01-01T00:00:00Z","data":${text}}`,
      );
      const routing = routingOf(type, JSON.parse(text));
      const entity = routing.filters.find((filter) => filter.key === primaryKeyOf(type))?.value;
      const createdAt = parts.createdAt ?? Date.now() * 1000;
      const accepted = await follower.accept({
        id,
        type,
        createdAt,
        filters: routing.filters,
        body,
        ...(entity === undefined ? {} : { entity }),
      });
      if (accepted.status !== "accepted") throw new Error(accepted.status);
      return accepted.entry;
    },
    cursor: (sequence) => formatCursor(runningEpoch(follower.tail?.history ?? []).epoch, sequence),
    get: (path, token, headers) => send("GET", path, token, headers === undefined ? {} : { headers }),
    send,
    async restart() {
      await stop();
      return startApi({ ...options, dir });
    },
    advance(ms) {
      ahead += ms;
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `undefined` leaves a claim out. */
export type Claims = Readonly<Record<string, unknown>>;

export function token(scope: string, claims: Claims = {}): Promise<string> {
  return new SignJWT({ scope, sub: "u1", ...claims } as JWTPayload)
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(typeof claims["exp"] === "number" ? claims["exp"] : "1h")
    .sign(new TextEncoder().encode(secret));
}

export function topicOf(name: string): Topic {
  const parsed = parseTopic(name);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.topic;
}

/** A request with a path and headers exactly as given; `fetch` would tidy them. */
export function rawRequest(
  url: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const { port, hostname } = new URL(url);
  return new Promise((resolve, reject) => {
    request({ host: hostname, port, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on("error", reject)
      .end();
  });
}
