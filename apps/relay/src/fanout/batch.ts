/**
 * Frames that wait for sockets, in order. Sockets that wait for the same frames hold the same batch, so what goes over
 * the wire is put together once for all of them.
 *
 *     e1 goes to a, b, c     a, b, c hold [e1]
 *     e2 goes to a, b        a, b hold [e1 e2], c holds [e1]
 */
import { deflatedFrame } from "./websocket-frame.ts";

export interface Framed {
  /** The message that the frame carries. */
  readonly message: Buffer;
  readonly websocket: Buffer;
  /** The frame compressed by itself, or as it is where that saves nothing. */
  readonly deflated: Buffer;
}

/**
 * What a socket can read: frames as they are, compressed each by itself, or compressed so that later ones are smaller
 * for what came before them in the same write.
 */
export type Reads = "plain" | "deflated" | "chained";

/** With fewer sockets for the same frames, compressing them anew as a chain costs more than it is worth. */
const chainFrom = 8;
/** How far back a reader remembers, in bytes (RFC 7692, 7.1.2.1). */
const memory = 32 * 1024;

export class Batch<F extends Framed> {
  readonly #last: F;
  readonly #before: Batch<F> | undefined;
  readonly length: number;
  /** On a WebSocket, at most. */
  readonly bytes: number;
  #holders = 0;
  /** The batch with one frame more that was asked for last: a frame is given to all its sockets before the next comes. */
  #longer: Batch<F> | undefined;
  #plain: Buffer | undefined;
  #deflated: Buffer | undefined;
  #chained: Buffer | undefined;

  constructor(last: F, before: Batch<F> | undefined) {
    this.#last = last;
    this.#before = before;
    this.length = (before?.length ?? 0) + 1;
    this.bytes = (before?.bytes ?? 0) + last.websocket.length;
  }

  /** For a socket that holds no batch. */
  hold(): Batch<F> {
    this.#holders++;
    return this;
  }

  /** This batch with the frame behind it, for a socket that held this one. */
  with(frame: F): Batch<F> {
    if (this.#longer === undefined || this.#longer.#last !== frame) this.#longer = new Batch(frame, this);
    this.#holders--;
    return this.#longer.hold();
  }

  frames(): F[] {
    const frames: F[] = [];
    for (let batch: Batch<F> | undefined = this; batch !== undefined; batch = batch.#before) {
      frames.push(batch.#last);
    }
    return frames.reverse();
  }

  /** Its frames, one behind the other. */
  wire(reads: Reads): Buffer {
    if (reads === "plain") {
      this.#plain ??= this.#join(({ websocket }) => websocket);
      return this.#plain;
    }
    if (reads === "chained" && (this.#chained !== undefined || this.#isWorthAChain())) {
      this.#chained ??= chain(this.frames());
      return this.#chained;
    }
    this.#deflated ??= this.#join(({ deflated }) => deflated);
    return this.#deflated;
  }

  #isWorthAChain(): boolean {
    return this.length > 1 && this.#holders >= chainFrom;
  }

  #join(form: (frame: F) => Buffer): Buffer {
    return this.#before === undefined ? form(this.#last) : Buffer.concat(this.frames().map(form));
  }
}

/** What was sent before the batch is not built on: sockets that have had different things share it. */
function chain(frames: readonly Framed[]): Buffer {
  const wire: Buffer[] = [];
  let before: Buffer = Buffer.alloc(0);
  for (const { message, websocket, deflated } of frames) {
    if (before.length === 0) {
      wire.push(deflated);
      // one that went out as it is does not become part of what the reader remembers (RFC 7692, 7.2.3.2)
      if (deflated !== websocket) before = message;
      continue;
    }
    const frame = deflatedFrame(message, before);
    wire.push(frame ?? websocket);
    if (frame !== undefined) before = Buffer.concat([before, message]).subarray(-memory);
  }
  return Buffer.concat(wire);
}
