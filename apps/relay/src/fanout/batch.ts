/**
 * Frames that wait for sockets, in order. Sockets that wait for the same frames hold the same batch, so what goes over
 * the wire is put together once for all of them.
 *
 *     e1 goes to a, b, c     a, b, c hold [e1]
 *     e2 goes to a, b        a, b hold [e1 e2], c holds [e1]
 */
export interface Framed {
  readonly websocket: Buffer;
}

export class Batch<F extends Framed> {
  readonly #last: F;
  readonly #before: Batch<F> | undefined;
  readonly length: number;
  /** On a WebSocket. */
  readonly bytes: number;
  /** The batch with one frame more that was asked for last: a frame is given to all its sockets before the next comes. */
  #longer: Batch<F> | undefined;
  #websocket: Buffer | undefined;

  constructor(last: F, before: Batch<F> | undefined) {
    this.#last = last;
    this.#before = before;
    this.length = (before?.length ?? 0) + 1;
    this.bytes = (before?.bytes ?? 0) + last.websocket.length;
  }

  /** This batch with the frame behind it. */
  with(frame: F): Batch<F> {
    if (this.#longer === undefined || this.#longer.#last !== frame) this.#longer = new Batch(frame, this);
    return this.#longer;
  }

  frames(): F[] {
    const frames: F[] = [];
    for (let batch: Batch<F> | undefined = this; batch !== undefined; batch = batch.#before) {
      frames.push(batch.#last);
    }
    return frames.reverse();
  }

  /** Its WebSocket frames, one behind the other. */
  get websocket(): Buffer {
    this.#websocket ??=
      this.#before === undefined
        ? this.#last.websocket
        : Buffer.concat(this.frames().map((frame) => frame.websocket));
    return this.#websocket;
  }
}
