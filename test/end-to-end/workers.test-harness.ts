/** A relay of several processes, and clients that follow it through everything that happens to them. */
import { readFile } from "node:fs/promises";
import type { Socket } from "socket.io-client";
import { endWithTest } from "../support/cleanup.ts";
import { jwtSecret, tempDir, webhookSecret } from "../support/node.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { open } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, postTo, type TestEvent } from "../support/webhook.ts";

export const env = {
  SHARMO_WEBHOOK_SECRETS: webhookSecret,
  JWT_SECRET: jwtSecret,
  RELAY_LOG_LEVEL: "warn",
  RELAY_WORKERS: "2",
};

export type Options = Parameters<typeof startRelay>[0];

/** As an operator runs it, with two workers, both up. */
export async function startWorkers(options: Options = {}): Promise<TestRelay> {
  const relay = await startRelay({
    from: "built",
    dataDir: await tempDir(),
    ...options,
    env: { ...env, ...options?.env },
  });
  endWithTest(() => (relay.exit() === undefined ? relay.kill() : undefined));
  return relay;
}

/** The processes that this one started. */
export async function workersOf(relay: Pick<TestRelay, "pid">): Promise<number[]> {
  const children = await readFile(`/proc/${relay.pid}/task/${relay.pid}/children`, "utf8");
  return children.split(" ").filter(Boolean).map(Number);
}

export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A stock client that comes back by itself, with the cursor of the last event it got. */
export class Follower {
  readonly ids: string[] = [];
  readonly gaps: unknown[] = [];
  /** How often it was connected. */
  connects = 0;
  disconnects = 0;
  /** Times it was told that its process is about to end. */
  drains = 0;
  readonly socket: Socket;
  #cursor: string | undefined;
  #following = false;

  constructor(url: string, bearer: string) {
    const { socket } = open(
      url,
      { token: bearer },
      { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 },
    );
    this.socket = socket;
    socket.onAny((name: string, payload: { id: string }, meta?: { cursor: string }) => {
      if (name === "relay.gap") this.gaps.push(payload);
      if (name === "relay.draining") this.drains++;
      if (meta === undefined) return;
      this.ids.push(payload.id);
      this.#cursor = meta.cursor;
    });
    socket.on("disconnect", () => {
      this.disconnects++;
      this.#following = false;
    });
    socket.on("connect", () => {
      this.connects++;
      const since = this.#cursor === undefined ? {} : { since: this.#cursor };
      socket.emit("subscribe", { topics: ["*"], ...since }, (ack: Ack) => {
        if (ack.gap !== undefined) this.gaps.push(ack.gap);
        if (!ack.ok) return void socket.disconnect().connect();
        this.#cursor ??= ack.cursor;
        this.#following = true;
      });
    });
  }

  get following(): boolean {
    return this.#following;
  }
}

interface Ack {
  readonly ok: boolean;
  readonly cursor: string;
  readonly gap?: unknown;
}

/** One behind the other, so that they are dealt out to the workers in turn. */
export async function follow(relay: Pick<TestRelay, "url">, count: number): Promise<Follower[]> {
  const bearer = await token({ scope: "events:*" });
  const followers: Follower[] = [];
  for (let n = 0; n < count; n++) {
    const follower = new Follower(relay.url, bearer);
    await until(() => follower.following, { what: "a client to follow", within: 20_000 });
    followers.push(follower);
  }
  return followers;
}

/** Posts from several senders, each event again until it is answered 200, until `end` is called. */
export class Stream {
  readonly events: TestEvent[] = [];
  /** In no certain order. */
  readonly accepted: string[] = [];
  #going = true;
  readonly #senders: Promise<void>[];

  /** `again`: after a refusal or a broken connection the same is posted again, as Sharmo does. */
  constructor(url: string, { senders = 4, again = true } = {}) {
    this.#senders = Array.from({ length: senders }, () => this.#send(url, again));
  }

  async #send(url: string, again: boolean): Promise<void> {
    while (this.#going) {
      const event = makeEvent("token.price_changed", { token_id: `tok_${this.events.length % 7}` });
      this.events.push(event);
      for (;;) {
        const answer = await postTo(url, event).catch(() => undefined);
        if (answer?.status === 200) {
          this.accepted.push(event.id);
          break;
        }
        if (!again) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** Resolves once this many are accepted in all. */
  reach(count: number): Promise<unknown> {
    return until(() => this.accepted.length >= count, { what: `${count} events`, within: 20_000 });
  }

  async end(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#senders);
  }
}

/** All of them got all of it, each event once, in one order. */
export async function allGot(followers: readonly Follower[], stream: Stream): Promise<string[]> {
  const count = stream.accepted.length;
  await until(() => followers.every(({ ids }) => ids.length >= count), {
    what: "all events at all clients",
    within: 20_000,
  });
  return [...(followers[0]?.ids ?? [])];
}

/** The value of a figure, as whoever answers this request tells it. */
export async function figure(url: string, name: string): Promise<number> {
  // a connection that is being handed to a process that dies in this moment is never answered
  const signal = AbortSignal.timeout(2_000);
  const response = await fetch(`${url}/metrics`, { headers: { connection: "close" }, signal });
  const line = (await response.text()).split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line?.split(" ").at(-1));
}
