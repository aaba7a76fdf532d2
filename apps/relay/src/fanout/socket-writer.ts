/**
 * Writes to one Socket.IO socket. The only file that knows the insides of Engine.IO and ws: how much of what was
 * written is still waiting, and that a WebSocket frame can be made once for all sockets.
 *
 * Everything goes through the engine's own buffer, acks and pings included, so that order is kept.
 */
import { Socket as TcpSocket } from "node:net";
import type { EventMeta, RelayNotices } from "@sharmo-relay/protocol";
import type { Socket } from "socket.io";
import type { EventEntry } from "../log/event-log.ts";
import { eventPacket, type LiveFrame } from "./frames.ts";
import { onceDrained, type Progress, progressOf, type Sink } from "./sink.ts";

type WriteOptions = Parameters<Socket["conn"]["write"]>[1];

const frames = new WeakMap<LiveFrame, Buffer[]>();

/** The WebSocket frame of `4<packet>`, the Engine.IO message; the same for every socket. */
function sharedFrame(frame: LiveFrame): Buffer[] {
  const made = frames.get(frame);
  if (made !== undefined) return made;
  const payload = Buffer.from(`4${frame.packet}`);
  const parts = [frameHeader(payload.length), payload];
  frames.set(frame, parts);
  return parts;
}

/** Header of a final, unmasked text frame (RFC 6455, 5.2). */
function frameHeader(length: number): Buffer {
  if (length < 126) return Buffer.from([0x81, length]);
  if (length < 65_536) {
    const header = Buffer.from([0x81, 126, 0, 0]);
    header.writeUInt16BE(length, 2);
    return header;
  }
  const header = Buffer.alloc(10);
  header.writeUInt16BE(0x817f, 0);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

export class SocketWriter implements Sink {
  readonly #socket: Socket;
  /** Characters handed to the engine since it last passed its buffer on: no other figure has them. */
  #queued = 0;
  /** How often the engine has passed it on. */
  #flushes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    // answers and pings too, which are not written here
    socket.conn.on("packetCreate", ({ data }: { readonly data?: unknown }) => {
      if (typeof data === "string") this.#queued += data.length;
    });
    socket.conn.on("flush", () => {
      this.#queued = 0;
      this.#flushes++;
    });
  }

  buffered(): number {
    return this.#queued + transportBytes(this.#socket);
  }

  whenDrained(call: () => void): void {
    // the transport's own "drain" comes when the last write was taken; the engine's comes when it was handed over
    onceDrained(this.#socket.conn.transport, call);
  }

  live(frame: LiveFrame): void {
    this.#write(frame.packet, sharedFrame(frame));
  }

  event(entry: EventEntry, meta: EventMeta): void {
    this.#write(eventPacket(entry, meta));
  }

  notice<N extends keyof RelayNotices>(name: N, notice: RelayNotices[N]): void {
    this.#write(`2${JSON.stringify([name, notice])}`);
  }

  /** With polling the engine passes its buffer on when the client asks for it, and so only then. */
  progress(): Progress {
    const tcp = tcpSocket(this.#socket);
    return tcp === undefined ? { taken: this.#flushes, left: 0 } : progressOf(tcp);
  }

  /** Without a DISCONNECT packet: after one a stock client would stay away. */
  end(): void {
    this.#socket.conn.close();
  }

  cut(): void {
    const tcp = tcpSocket(this.#socket);
    if (tcp === undefined) this.#socket.conn.close(true);
    else tcp.destroy();
  }

  #write(packet: string, wsPreEncodedFrame?: Buffer[]): void {
    const options = wsPreEncodedFrame === undefined ? {} : { wsPreEncodedFrame };
    // the engine's options type does not name this one, though its websocket transport reads it
    this.#socket.conn.write(packet, options as WriteOptions);
  }
}

/** What Node and ws hold of a WebSocket; polling has nothing but the engine's buffer. */
function transportBytes(socket: Socket): number {
  const ws = webSocket(socket);
  if (ws === undefined || !("bufferedAmount" in ws)) return 0;
  return typeof ws.bufferedAmount === "number" ? ws.bufferedAmount : 0;
}

function tcpSocket(socket: Socket): TcpSocket | undefined {
  const ws = webSocket(socket);
  return ws !== undefined && "_socket" in ws && ws._socket instanceof TcpSocket ? ws._socket : undefined;
}

function webSocket(socket: Socket): object | undefined {
  const transport: object = socket.conn.transport;
  const ws = "socket" in transport ? transport.socket : undefined;
  return typeof ws === "object" && ws !== null ? ws : undefined;
}
