/** A webhook over real HTTP, with a log, a quarantine and an observer that only remember. */
import { createHash, createHmac } from "node:crypto";
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Epoch, parseEpoch } from "@sharmo-relay/protocol";
import { afterEach, expect } from "vitest";
import type { Config } from "../config.ts";
import type { Accepted, NewEvent, Quarantine, QuarantineItem } from "../log/event-log.ts";
import { clientAddress, networksOf } from "./address.ts";
import { createWebhookHandler, type WebhookDeps } from "./webhook.ts";

export const secret = "whsec_0123456789abcdef";
/** 2026-01-15T10:31:07Z. */
export const nowMs = 1_768_473_067_000;

export const epoch: Epoch = parseEpoch("k3v9x2m7qa1z") as Epoch;

const defaults: Config["webhook"] = {
  path: "/api/sharmo-webhooks",
  secrets: [secret],
  maxBytes: 256 * 1024,
  maxAgeMs: 300_000,
  challenge: "open",
  allowedIps: [],
  schemaMode: "deliver",
};

export function eventText(parts: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    id: "evt_1",
    type: "token.price_changed",
    created_at: "2026-01-15T10:31:00Z",
    data: { token_id: "tok_42", current_price: 101.25 },
    ...parts,
  });
}

function hmac(message: string | Buffer, key: string = secret): string {
  return createHmac("sha256", key).update(message).digest("hex");
}

export function bodySigned(body: string | Buffer, key: string = secret): Record<string, string> {
  return { "x-sharmo-signature": hmac(body, key) };
}

export function timeSigned(
  body: string | Buffer,
  seconds: number | string = nowMs / 1000,
  key: string = secret,
): Record<string, string> {
  const message = Buffer.concat([Buffer.from(`${seconds}.`), Buffer.from(body)]);
  return { "sharmo-signature": `t=${seconds},v1=${hmac(message, key)}` };
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export interface Options {
  readonly settings?: Partial<Config["webhook"]>;
  readonly trustProxy?: readonly string[];
  readonly deps?: Partial<WebhookDeps>;
}

export class Webhook {
  readonly accepted: NewEvent[] = [];
  readonly kept: Parameters<Quarantine["put"]>[0][] = [];
  /** What the observer heard, a line each. */
  readonly heard: string[] = [];
  now = nowMs;
  accept: WebhookDeps["accept"] = async (event) => this.#store(event);
  put: Quarantine["put"] = async (item) => void this.kept.push(item);
  readonly server: Server;
  /** The promise of each request's handler. */
  readonly handled: Promise<void>[] = [];

  constructor({ settings = {}, trustProxy = [], deps = {} }: Options) {
    const trusted = networksOf(trustProxy);
    const quarantine: Quarantine = {
      put: (item) => this.put(item),
      list: async () => [],
      get: async () => undefined,
      remove: async () => false,
    };
    const handle = createWebhookHandler({
      settings: { ...defaults, ...settings },
      accept: (event) => this.accept(event),
      quarantine,
      clientAddress: (request) => clientAddress(request, trusted),
      observe: {
        outcome: (row) => void this.heard.push(row),
        acceptTook: (seconds) => void this.heard.push(`took ${seconds > 0 && seconds < 60}`),
        schemaProblem: (type, field) => void this.heard.push(`schema ${type} ${field}`),
        idReused: (type, id) => void this.heard.push(`reused ${type} ${id}`),
        failed: (code) => void this.heard.push(`failed ${code}`),
      },
      now: () => this.now,
      ...deps,
    });
    this.server = createServer((request, response) => {
      this.handled.push(handle(request, response));
    });
  }

  #store(event: NewEvent): Accepted {
    const before = this.accepted.findIndex((one) => one.id === event.id);
    const stored = this.accepted[before];
    if (stored !== undefined) {
      return {
        status: "duplicate",
        epoch,
        sequence: before + 1,
        sameContent: stored.body.equals(event.body),
      };
    }
    const sequence = this.accepted.push(event);
    return {
      status: "accepted",
      epoch,
      entry: { ...event, kind: "event", sequence, at: this.now, late: false },
    };
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get reasons(): QuarantineItem["reason"][] {
    return this.kept.map((item) => item.reason);
  }

  /** Signed under the body scheme unless `headers` say otherwise. */
  post(body: string | Buffer, headers: Record<string, string | string[]> = bodySigned(body)): Promise<Reply> {
    return this.send("POST", body, { "content-type": "application/json", ...headers });
  }

  send(method: string, body: string | Buffer, headers: Record<string, string | string[]>): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { port: this.port, host: "127.0.0.1", method, path: "/", headers, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString();
            const json = text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
          });
        },
      );
      request.on("error", reject);
      request.end(body);
    });
  }
}

const open: Webhook[] = [];

/** A webhook on a free port; closed after the test. */
export async function startWebhook(options: Options = {}): Promise<Webhook> {
  const webhook = new Webhook(options);
  open.push(webhook);
  await new Promise<void>((resolve) => webhook.server.listen(0, "127.0.0.1", resolve));
  return webhook;
}

afterEach(async () => {
  for (const { server } of open.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** What quarantine holds of a body. */
export function keptItem(reason: QuarantineItem["reason"], body: string): unknown {
  const id = createHash("sha256").update(`${reason}\n${body}`).digest("hex");
  return { id, reason, message: expect.any(String), body: Buffer.from(body) };
}

export const verification = '{"type":"webhook.verification","data":{"challenge":"abc123xyz456"}}';
