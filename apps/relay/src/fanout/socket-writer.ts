/**
 * Writes to one Socket.IO socket. Live frames wait here until the node has time for them (`gathering.ts`), and then go
 * to the TCP connection in one write, the same bytes for all sockets that wait for the same. Whatever else is written
 * comes behind what waits. Where the engine holds something back, what follows waits behind it there.
 */
import type { RelayNotices } from "@sharmo-relay/protocol";
import type { Socket } from "socket.io";
import type { Batch } from "./batch.ts";
import { bytesBelow, type Insides, insidesOf, isInOrder, queueOf, tcpOf } from "./engine-insides.ts";
import type { Frame } from "./frames.ts";
import type { Gathered, Gathering } from "./gathering.ts";
import { onceDrained, type Progress, progressOf, type Sink } from "./sink.ts";
import { textFrame } from "./websocket-frame.ts";

type WriteOptions = Parameters<Socket["conn"]["write"]>[1];

/** How the sockets of a node are written to. */
export interface Writing {
  readonly gathering: Gathering;
  /** False: everything takes the engine's way. */
  readonly direct: boolean;
  /** A WebSocket of which something is not as expected; called for each. */
  unexpected(): void;
}

/** More bytes than this of a page, or of each frame of a batch, are written as they are, in one write but no copy. */
const copied = 64 * 1024;

export class SocketWriter implements Sink, Gathered {
  readonly #socket: Socket;
  readonly #writing: Writing;
  #insides: Insides | undefined;
  /** Of the engine's way, if that is all there is. */
  #engine: EngineQueue | undefined;
  #waiting: Batch<Frame> | undefined;
  writtenAt: number = Number.NEGATIVE_INFINITY;

  constructor(socket: Socket, writing: Writing) {
    this.#socket = socket;
    this.#writing = writing;
    this.#look();
  }

  buffered(): number {
    return this.#held() + (this.#waiting?.bytes ?? 0);
  }

  whenDrained(call: () => void): void {
    // the transport's own "drain" comes when the engine's last write was taken; what went past it is TCP's to tell
    onceDrained(this.#insides?.tcp ?? this.#socket.conn.transport, call);
  }

  live(frame: Frame): void {
    const waiting = this.#waiting;
    this.#waiting = waiting === undefined ? frame.alone.hold() : waiting.with(frame);
    if (waiting === undefined) this.#writing.gathering.wait(this);
  }

  page(frames: readonly Frame[]): void {
    this.flush(performance.now());
    const insides = this.#inOrder();
    if (insides === undefined) return this.#passOn(frames);
    const bytes = frames.reduce((sum, { websocket }) => sum + websocket.length, 0);
    if (bytes > copied) this.#oneByOne(frames, insides);
    else insides.tcp.write(Buffer.concat(frames.map((frame) => wireOf(frame, insides))));
  }

  together(work: () => void): void {
    const tcp = this.#insides?.tcp;
    tcp?.cork();
    try {
      work();
    } finally {
      tcp?.uncork();
    }
  }

  notice<N extends keyof RelayNotices>(name: N, notice: RelayNotices[N]): void {
    this.flush(performance.now());
    const packet = `2${JSON.stringify([name, notice])}`;
    const insides = this.#inOrder();
    if (insides === undefined) this.#socket.conn.write(packet);
    else insides.tcp.write(textFrame(Buffer.from(`4${packet}`)));
  }

  flush(now: number): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.writtenAt = now;
    const insides = this.#inOrder();
    if (insides === undefined) this.#passOn(waiting.frames());
    else if (waiting.length > 1 && waiting.bytes > copied * waiting.length)
      this.#oneByOne(waiting.frames(), insides);
    else insides.tcp.write(waiting.wire(insides.reads));
  }

  /** With polling the engine passes its buffer on when the client asks for it, and so only then. */
  progress(): Progress {
    const tcp = this.#insides?.tcp ?? tcpOf(this.#socket.conn);
    return tcp === undefined ? { taken: this.#engine?.passedOn ?? 0, left: 0 } : progressOf(tcp);
  }

  /** Without a DISCONNECT packet: after one a stock client would stay away. */
  end(): void {
    this.flush(performance.now());
    this.#socket.conn.close();
  }

  cut(): void {
    this.#waiting = undefined;
    const tcp = this.#insides?.tcp ?? tcpOf(this.#socket.conn);
    if (tcp === undefined) this.#socket.conn.close(true);
    else tcp.destroy();
  }

  /** With the TCP connection, if what is written to it now comes behind all that was written before. */
  #inOrder(): Insides | undefined {
    const { conn } = this.#socket;
    // it was polling, and has been upgraded
    if (this.#insides?.transport !== conn.transport) this.#look();
    return this.#insides !== undefined && isInOrder(conn, this.#insides) ? this.#insides : undefined;
  }

  #look(): void {
    const { conn } = this.#socket;
    this.#insides = this.#writing.direct ? insidesOf(conn) : undefined;
    if (this.#insides !== undefined) return;
    this.#engine ??= new EngineQueue(conn);
    if (this.#writing.direct && conn.transport.name === "websocket") this.#writing.unexpected();
  }

  #passOn(frames: readonly Frame[]): void {
    for (const frame of frames) {
      // the engine's options type does not name this one, though its websocket transport reads it
      const options = { wsPreEncodedFrame: [frame.websocket] };
      this.#socket.conn.write(frame.packet, options as WriteOptions);
    }
  }

  #oneByOne(frames: readonly Frame[], insides: Insides): void {
    this.together(() => {
      for (const frame of frames) insides.tcp.write(wireOf(frame, insides));
    });
  }

  #held(): number {
    const insides = this.#insides;
    if (insides === undefined) return (this.#engine?.characters ?? 0) + bytesBelow(this.#socket.conn);
    const queue = queueOf(this.#socket.conn);
    const held = insides.tcp.writableLength + insides.sender._bufferedBytes;
    return queue === undefined || queue.length === 0 ? held : held + charactersOf(queue);
  }
}

/** Of one frame that is not written as part of a chain. */
function wireOf(frame: Frame, { reads }: Insides): Buffer {
  return reads === "plain" ? frame.websocket : frame.deflated;
}

/** Lists that were counted before: a client that takes nothing has a long one, looked at with each event. */
const counted = new WeakMap<readonly object[], { length: number; characters: number }>();

function charactersOf(queue: readonly { readonly data?: unknown }[]): number {
  const known = counted.get(queue) ?? { length: 0, characters: 0 };
  for (; known.length < queue.length; known.length++) {
    const data = queue[known.length]?.data;
    if (typeof data === "string") known.characters += data.length;
  }
  counted.set(queue, known);
  return known.characters;
}

/** What the engine holds back, by what it tells. */
class EngineQueue {
  /** Handed to the engine since it last passed its buffer on: answers and pings too. */
  characters = 0;
  /** How often it has passed it on. */
  passedOn = 0;

  constructor(conn: Socket["conn"]) {
    conn.on("packetCreate", ({ data }: { readonly data?: unknown }) => {
      if (typeof data === "string") this.characters += data.length;
    });
    conn.on("flush", () => {
      this.characters = 0;
      this.passedOn++;
    });
  }
}
