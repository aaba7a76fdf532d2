/** Text messages as WebSocket frames (RFC 6455, 5.2), put together once for many sockets. */
import { constants, deflateRawSync } from "node:zlib";

/** A final, unmasked text frame whose message is the parts, one behind the other. */
export function textFrame(...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([frameHeader(length, 0x81), ...parts]);
}

/** The message of such a frame, in the same memory. */
export function messageOf(frame: Buffer): Buffer {
  const length = frame[1];
  if (length === 127) return frame.subarray(10);
  return frame.subarray(length === 126 ? 4 : 2);
}

/**
 * The same, compressed (RFC 7692, 7.2.1); undefined if that saves nothing. With `before`, the messages that went
 * before it to the same sockets, it is smaller, and can be read only by who keeps what came before.
 */
export function deflatedFrame(message: Buffer, before?: Buffer): Buffer | undefined {
  const flushed = deflateRawSync(message, {
    finishFlush: constants.Z_SYNC_FLUSH,
    ...(before === undefined ? {} : { dictionary: before }),
  });
  const deflated = flushed.subarray(0, flushed.length - flushEnd.length);
  if (deflated.length >= message.length) return undefined;
  return Buffer.concat([frameHeader(deflated.length, 0xc1), deflated]);
}

/** What ends each flush; the reader of a message puts it back. */
export const flushEnd: Buffer = Buffer.from([0x00, 0x00, 0xff, 0xff]);

function frameHeader(length: number, first: number): Buffer {
  if (length < 126) return Buffer.from([first, length]);
  if (length < 65_536) {
    const header = Buffer.from([first, 126, 0, 0]);
    header.writeUInt16BE(length, 2);
    return header;
  }
  const header = Buffer.alloc(10);
  header[0] = first;
  header[1] = 127;
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}
