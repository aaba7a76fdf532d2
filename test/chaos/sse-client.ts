/** A client that reads `GET /v1/stream`, and comes back with the last cursor it got. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, type ClientOptions, Notes, Seat, tokenOf } from "./client.ts";
import { hashOf, type SeenEvent } from "./sender.ts";

const silenceMs = 12_000;

export class SseClient implements Client {
  readonly name: string;
  readonly seat: Seat;
  readonly followers: readonly Notes[];
  readonly #options: ClientOptions;
  readonly #notes: Notes;
  #cursor: string | undefined;
  #began = false;
  #life: AbortController | undefined;
  readonly #seen = new Set<string>();

  private constructor(options: ClientOptions, seat: Seat) {
    this.name = options.name;
    this.seat = seat;
    this.#options = options;
    this.#notes = new Notes(
      options,
      options.subscriptions.map(({ topic }) => topic),
      "wire",
    );
    this.followers = [this.#notes];
  }

  static async take(options: ClientOptions): Promise<SseClient> {
    return new SseClient(options, await Seat.take(options));
  }

  start(): void {
    const life = new AbortController();
    this.#life = life;
    void this.#live(life.signal);
  }

  restart(node: number): void {
    this.close();
    this.seat.node = node;
    this.#seen.clear();
    this.#notes.add({ kind: "restarted", at: Date.now(), cursor: this.#cursor });
    this.start();
  }

  close(): void {
    this.#life?.abort();
  }

  async #live(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#connect(signal);
      } catch (error) {
        if (signal.aborted) return;
        const why = error instanceof Error ? error.message : String(error);
        this.#notes.add({ kind: "lost", at: Date.now(), why });
      }
      await sleep(100 + Math.random() * 900);
    }
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const query = new URLSearchParams(this.#notes.topics.map((topic) => ["topic", topic]));
    const quiet = new AbortController();
    const end = (): void => quiet.abort();
    signal.addEventListener("abort", end);
    let timer = setTimeout(end, silenceMs);
    try {
      const response = await fetch(`${this.seat.wire.url}/v1/stream?${query}`, {
        headers: {
          authorization: `Bearer ${await tokenOf(this.#options.claims)}`,
          ...(this.#cursor === undefined ? {} : { "last-event-id": this.#cursor }),
        },
        signal: quiet.signal,
      });
      if (response.status !== 200 || response.body === null) {
        const { code = "", message = "" } = (await response.json()) as { code?: string; message?: string };
        if (response.status < 500) this.#notes.add({ kind: "ended", at: Date.now(), code, message });
        throw new Error(`${response.status} ${code}`);
      }
      this.#notes.add({ kind: "connected", at: Date.now(), node: this.seat.node });
      const decoder = new TextDecoder();
      let rest = "";
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        if (signal.aborted) return;
        clearTimeout(timer);
        timer = setTimeout(end, silenceMs);
        const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) this.#block(block);
      }
      this.#notes.add({ kind: "lost", at: Date.now(), why: "the stream ended" });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    }
  }

  #block(block: string): void {
    let name = "";
    let cursor: string | undefined;
    const data: string[] = [];
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      const value = line.slice(colon + 1).replace(/^ /, "");
      if (line.startsWith("event:")) name = value;
      else if (line.startsWith("id:")) cursor = value;
      else if (line.startsWith("data:")) data.push(value);
    }
    if (name === "") return;
    const payload: unknown = JSON.parse(data.join("\n"));
    if (name.startsWith("relay.")) this.#notice(name, payload as Record<string, never>);
    else this.#event(payload as SeenEvent, cursor);
  }

  #event(event: SeenEvent, cursor: string | undefined): void {
    const handled = !this.#seen.has(event.id);
    this.#seen.add(event.id);
    if (cursor !== undefined) this.#cursor = cursor;
    // a stream does not say how an event came; without a cursor it would be a snapshot, which nobody asked for
    const eventHash = hashOf(event);
    this.#notes.add({ kind: "event", at: Date.now(), id: event.id, cursor, as: "live", eventHash, handled });
  }

  #notice(name: string, notice: Readonly<Record<string, never>>): void {
    const at = Date.now();
    const { cursor, reason, certain, topics, from, to, code, message } = notice;
    if (name === "relay.gap" && reason !== undefined) {
      this.#notes.add({
        kind: "gap",
        at,
        reason,
        certain: certain ?? false,
        topics: topics ?? [],
        from: from ?? "",
        to: to ?? "",
      });
    } else if (name === "relay.error" && code !== "token_expired") {
      this.#notes.add({ kind: "ended", at, code: code ?? "", message: message ?? "" });
    }
    if (cursor === undefined || name === "relay.gap") return;
    if (!this.#began) this.#notes.add({ kind: "began", at, cursor });
    this.#began = true;
    this.#cursor = cursor;
  }
}
