/** Webhooks as the vendor posts them. */
import { createHmac } from "node:crypto";
import { webhookSecret } from "./node.ts";

export interface PostedEvent {
  readonly id: string;
  readonly type: string;
  readonly created_at?: string;
  readonly data: object;
}

export interface Posted {
  readonly status: number;
  readonly body: {
    readonly status?: string;
    readonly id?: string;
    readonly cursor?: string;
    readonly code?: string;
  };
}

let count = 0;

/** An event with an id of its own. */
export function makeEvent(type: string, data: object, created?: string): PostedEvent {
  count++;
  return { id: `evt_${process.pid}_${count}`, type, created_at: created ?? new Date().toISOString(), data };
}

export function bodyOf(event: PostedEvent): Buffer {
  const { id, type, created_at = new Date().toISOString(), data } = event;
  return Buffer.from(JSON.stringify({ id, type, created_at, data }));
}

/** Posts bytes, signed with the body scheme. */
export async function postBytes(url: string, body: Buffer, secret: string = webhookSecret): Promise<Posted> {
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const answer = await fetch(`${url}/api/sharmo-webhooks`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-sharmo-signature": signature },
    body: new Uint8Array(body),
  });
  return { status: answer.status, body: (await answer.json()) as Posted["body"] };
}

/** Posts events one after the other; fails unless each is answered 200. */
export async function post(url: string, ...events: PostedEvent[]): Promise<Posted[]> {
  const answers: Posted[] = [];
  for (const event of events) {
    const answer = await postBytes(url, bodyOf(event));
    if (answer.status !== 200)
      throw new Error(`${event.id} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    answers.push(answer);
  }
  return answers;
}
