/** Posts events the way the vendor does: signed with the secret, over exactly the bytes that are sent. */
import { createHmac, randomUUID } from "node:crypto";
import { webhookSecret } from "./node.ts";
import type { TestRelay } from "./relay.ts";

type Scheme = "body" | "timestamped" | "both" | "none";

interface PostOptions {
  /** Default: `body`. */
  readonly scheme?: Scheme;
  readonly secret?: string;
  /** For the timestamped scheme, in seconds; default: now. */
  readonly at?: number;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What any answer of the webhook may hold. */
interface PostedBody {
  readonly status?: string;
  readonly id?: string;
  readonly cursor?: string;
  readonly code?: string;
  readonly challenge?: string;
}

interface PostAnswer {
  readonly status: number;
  readonly body: PostedBody;
  readonly headers: Headers;
}

export interface TestEvent {
  readonly id: string;
  readonly type: string;
  readonly created_at: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event with an id and a time of its own. */
export function makeEvent(
  type: string,
  data: TestEvent["data"] = {},
  rest: Partial<TestEvent> = {},
): TestEvent {
  const id = `evt_${randomUUID().replaceAll("-", "")}`;
  return { id, type, created_at: new Date().toISOString(), data, ...rest };
}

/** `payload` is sent as it stands when it is text or bytes. */
export async function postWebhook(
  relay: Pick<TestRelay, "url" | "secrets">,
  payload: TestEvent | string | Buffer,
  options: PostOptions = {},
): Promise<PostAnswer> {
  const body = bytesOf(payload);
  const response = await fetch(`${relay.url}${options.path ?? "/api/sharmo-webhooks"}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...signatures(body, options.secret ?? relay.secrets.webhook, options),
      ...options.headers,
    },
    body: new Uint8Array(body),
    signal: AbortSignal.timeout(10_000),
  });
  const answer: unknown = await response.json();
  if (typeof answer !== "object" || answer === null)
    throw new Error("the relay did not answer with an object");
  return { status: response.status, body: { ...answer }, headers: response.headers };
}

/** Posts and insists on "accepted"; answers the event. */
export async function send(
  relay: Pick<TestRelay, "url" | "secrets">,
  type: string,
  data: TestEvent["data"],
  rest: Partial<TestEvent> = {},
): Promise<TestEvent> {
  const made = makeEvent(type, data, rest);
  const { status, body } = await postWebhook(relay, made);
  if (status !== 200 || body.status !== "accepted") {
    throw new Error(`${type} was answered ${status} ${JSON.stringify(body)}`);
  }
  return made;
}

/** Posts to a relay that has the secret of `node.ts`, signed with the body scheme unless told otherwise. */
export function postTo(
  url: string,
  payload: TestEvent | Buffer,
  secret: string = webhookSecret,
): Promise<PostAnswer> {
  return postWebhook({ url, secrets: { webhook: secret, jwt: "" } }, payload);
}

/** Posts events one after the other; fails unless each is answered 200. */
export async function post(url: string, ...events: readonly TestEvent[]): Promise<PostAnswer[]> {
  const answers: PostAnswer[] = [];
  for (const event of events) {
    const answer = await postTo(url, event);
    if (answer.status !== 200)
      throw new Error(`${event.id} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    answers.push(answer);
  }
  return answers;
}

/** The headers of a webhook with this body, for those who write the request themselves. */
export function signed(body: Buffer, secret: string = webhookSecret): Record<string, string> {
  return { "content-type": "application/json", ...signatures(body, secret) };
}

function bytesOf(payload: TestEvent | string | Buffer): Buffer {
  if (Buffer.isBuffer(payload)) return payload;
  return Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload), "utf8");
}

function signatures(body: Buffer, secret: string, options: PostOptions = {}): Record<string, string> {
  const { scheme = "body", at = Math.floor(Date.now() / 1000) } = options;
  const headers: Record<string, string> = {};
  if (scheme === "body" || scheme === "both") {
    headers["x-sharmo-signature"] = createHmac("sha256", secret).update(body).digest("hex");
  }
  if (scheme === "timestamped" || scheme === "both") {
    const digest = createHmac("sha256", secret).update(`${at}.`).update(body).digest("hex");
    headers["sharmo-signature"] = `t=${at},v1=${digest}`;
  }
  return headers;
}
