/** One test event of a chosen type with edited data, as the vendor's dashboard sends it: once, without retries. */
import { randomBytes } from "node:crypto";
import type { EventType } from "@sharmo-relay/protocol";
import { createMarket, type SimulatedEvent } from "../market.ts";
import { type Scheme, signatureHeaders } from "../sign.ts";
import { keptAnswerBytes, type PostResult, post, vendorTimeoutMs } from "./post.ts";

export interface TestEventOptions {
  readonly url: string;
  readonly secret: string;
  readonly scheme?: Scheme;
  readonly type: string;
  /** The text of a JSON object. It is sent as it stands, so that `10.50` stays `10.50`. */
  readonly data: string;
  /** Default: a new one. */
  readonly id?: string;
  /** Default: now. */
  readonly createdAt?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Posts the event and answers what came back. */
export function sendTestEvent(options: TestEventOptions): Promise<PostResult> {
  const { url, secret, scheme = "body" } = options;
  const body = testEventBytes(options);
  return post({
    url,
    body,
    headers: signatureHeaders(scheme, body, secret, Math.floor(Date.now() / 1_000)),
    timeoutMs: options.timeoutMs ?? vendorTimeoutMs,
    keepBytes: keptAnswerBytes,
    signal: options.signal ?? new AbortController().signal,
  });
}

function testEventBytes(options: TestEventOptions): Uint8Array {
  const id = options.id ?? `evt_${randomBytes(8).toString("hex")}`;
  const createdAt = options.createdAt ?? new Date().toISOString();
  const head = JSON.stringify({ id, type: options.type, created_at: createdAt });
  return Buffer.from(`${head.slice(0, -1)},"data":${options.data}}`);
}

/** How far into a market every type has long appeared. */
const farEnough = 50_000;

/** Data as an event of this type usually has it: the first that the default market sends. */
export function sampleData(type: EventType): SimulatedEvent["data"] {
  const market = createMarket();
  for (let i = 0; i < farEnough; i += 1) {
    const event = market.next();
    if (event.type === type) return event.data;
  }
  throw new Error(`the market never sends ${type}`);
}

/**
 * The text of an object with some members replaced or added, each given as the text of a JSON value.
 */
export function editData(data: object, edits: ReadonlyMap<string, string>): string {
  const members = new Map(Object.entries(data).map(([key, value]) => [key, JSON.stringify(value)]));
  for (const [key, text] of edits) members.set(key, text);
  return `{${[...members].map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",")}}`;
}
