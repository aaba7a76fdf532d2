/**
 * ws with permessage-deflate (RFC 7692) but without a compressor or decompressor for each connection. What goes to many
 * is compressed once (`fanout/batch.ts`), everything else goes out as it is. What comes in is compressed by the client
 * message by message, and read by one function for all, up to the largest frame allowed.
 */
import { constants, inflateRawSync } from "node:zlib";
import { WebSocket, WebSocketServer } from "ws";
import { deflateOf } from "../fanout/engine-insides.ts";
import { flushEnd } from "../fanout/websocket-frame.ts";

type Callback = (error: Error | null, message?: Buffer) => void;

/** ws's own object for the extension, of one connection. */
interface Extension {
  decompress(data: Buffer, isLast: boolean, callback: Callback): void;
}

type SendOptions = Parameters<WebSocket["send"]>[1];
type SendCallback = (error?: Error) => void;

/** Never compresses by itself: its window would differ from that of the frames that are compressed once for all. */
class UncompressedWebSocket extends WebSocket {
  override send(
    data: Parameters<WebSocket["send"]>[0],
    options?: SendOptions | SendCallback,
    callback?: SendCallback,
  ): void {
    if (typeof options === "function") super.send(data, uncompressed, options);
    else super.send(data, { ...options, compress: false }, callback);
  }

  /** ws calls it once the extension is agreed on. */
  setSocket(...args: readonly unknown[]): void {
    const extension = deflateOf(this);
    const [, , limits] = args;
    if (isExtension(extension)) extension.decompress = inflater(maxPayloadOf(limits));
    const proto: { setSocket?: unknown } = WebSocket.prototype as object;
    if (typeof proto.setSocket === "function") proto.setSocket.apply(this, args);
  }
}

const uncompressed = { compress: false };

export class DeflateServer extends WebSocketServer {
  constructor(options: ConstructorParameters<typeof WebSocketServer>[0]) {
    super({
      ...options,
      // each message of a client stands for itself: nothing is kept for it between two
      perMessageDeflate: { clientNoContextTakeover: true },
      WebSocket: UncompressedWebSocket,
    });
  }
}

function isExtension(value: object | undefined): value is Extension {
  return value !== undefined && "decompress" in value && typeof value.decompress === "function";
}

const defaultMaxPayload = 64 * 1024;

function maxPayloadOf(limits: unknown): number {
  const most =
    typeof limits === "object" && limits !== null && "maxPayload" in limits ? limits.maxPayload : 0;
  return typeof most === "number" && most > 0 ? most : defaultMaxPayload;
}

/** Reads the messages of one connection; a fragmented one once its end is there. ws bounds what is compressed. */
function inflater(maxBytes: number): Extension["decompress"] {
  let fragments: Buffer[] = [];
  return (data, isLast, callback) => {
    fragments.push(data);
    const all = fragments;
    if (isLast) fragments = [];
    // ws expects the answer after it has returned
    process.nextTick(() => {
      if (!isLast) return callback(null, Buffer.alloc(0));
      try {
        callback(null, inflated(Buffer.concat([...all, flushEnd]), maxBytes));
      } catch (error) {
        callback(refusal(error));
      }
    });
  };
}

function inflated(data: Buffer, maxBytes: number): Buffer {
  return inflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: maxBytes });
}

function refusal(error: unknown): Error {
  const tooLarge = error instanceof RangeError;
  const message = tooLarge ? "the message is too large" : "the message is not compressed as agreed";
  return new Error(message, { cause: error });
}
