/** Writes to one Server-Sent Events response (WHATWG HTML, 9.2). */
import type { ServerResponse } from "node:http";
import type { RelayNotices } from "@sharmo-relay/protocol";
import { type Frame, streamText } from "../fanout/frames.ts";
import { onceDrained, type Progress, progressOf, type Sink } from "../fanout/sink.ts";

export class SseWriter implements Sink {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  buffered(): number {
    return this.#response.writableLength;
  }

  whenDrained(call: () => void): void {
    onceDrained(this.#response, call);
  }

  live(frame: Frame): void {
    this.#response.write(frame.stream);
  }

  /** Snapshots have no cursor and so no `id`: a client that comes back goes on from the last event it has. */
  page(frames: readonly Frame[]): void {
    this.#response.write(frames.map(({ stream }) => stream).join(""));
  }

  together(work: () => void): void {
    this.#response.cork();
    try {
      work();
    } finally {
      this.#response.uncork();
    }
  }

  notice<N extends keyof RelayNotices>(name: N, notice: RelayNotices[N]): void {
    this.#response.write(streamText(name, JSON.stringify(notice)));
  }

  progress(): Progress {
    const { socket } = this.#response;
    return socket === null ? { taken: 0, left: 0 } : progressOf(socket);
  }

  end(): void {
    this.#response.end();
  }

  cut(): void {
    this.#response.destroy();
  }

  /** The last word before the stream ends. */
  error(error: { code: string; message: string }): void {
    this.#response.end(streamText("relay.error", JSON.stringify(error)));
  }
}
