/**
 * The insides of Engine.IO and ws that fan-out uses, and nobody else: a frame that is the same for all sockets is
 * written to the TCP connection itself, past two layers that would wrap it anew for each. All of it is looked at
 * before it is believed; where something is not as expected, the public way is taken.
 */
import { Socket as TcpSocket } from "node:net";
import type { Socket } from "socket.io";
import type { Reads } from "./batch.ts";

type Conn = Socket["conn"];

/** A WebSocket whose insides are as expected. */
export interface Insides {
  readonly tcp: TcpSocket;
  /** `conn.transport` when they were looked at: it changes when polling is upgraded. */
  readonly transport: object;
  readonly sender: Sender;
  /** As permessage-deflate was negotiated. */
  readonly reads: Reads;
}

/** ws's own, of one socket: `_state` is 0 unless it compresses or reads; `_bufferedBytes` wait behind that. */
interface Sender {
  readonly _state: number;
  readonly _bufferedBytes: number;
}

/** Undefined for polling, and where something is not as expected. */
export function insidesOf(conn: Conn): Insides | undefined {
  const transport: object = conn.transport;
  if (!("name" in transport) || transport.name !== "websocket") return undefined;
  if (queueOf(conn) === undefined || typeof conn.readyState !== "string") return undefined;
  const ws = webSocketOf(conn);
  const tcp = tcpOf(conn);
  const sender = ws !== undefined && "_sender" in ws ? ws._sender : undefined;
  if (ws === undefined || tcp === undefined || !isSender(sender)) return undefined;
  return { tcp, transport, sender, reads: readsOf(ws) };
}

/** ws's own object for permessage-deflate, of one connection that agreed on it. */
export function deflateOf(ws: object): object | undefined {
  const extensions = "_extensions" in ws ? ws._extensions : undefined;
  if (typeof extensions !== "object" || extensions === null) return undefined;
  const deflate: unknown = Object.entries(extensions).find(([name]) => name === "permessage-deflate")?.[1];
  return typeof deflate === "object" && deflate !== null ? deflate : undefined;
}

/** The TCP connection of a WebSocket; polling has none of its own. */
export function tcpOf(conn: Conn): TcpSocket | undefined {
  const ws = webSocketOf(conn);
  return ws !== undefined && "_socket" in ws && ws._socket instanceof TcpSocket ? ws._socket : undefined;
}

/** What Node and ws hold of a WebSocket; polling has nothing but the engine's buffer. */
export function bytesBelow(conn: Conn): number {
  const ws = webSocketOf(conn);
  if (ws === undefined || !("bufferedAmount" in ws)) return 0;
  return typeof ws.bufferedAmount === "number" ? ws.bufferedAmount : 0;
}

function webSocketOf({ transport }: { readonly transport: object }): object | undefined {
  const ws = "socket" in transport ? transport.socket : undefined;
  return typeof ws === "object" && ws !== null ? ws : undefined;
}

/** A client that wants a smaller window than frames are compressed with gets them as they are. */
function readsOf(ws: object): Reads {
  const deflate = deflateOf(ws);
  const params = deflate !== undefined && "params" in deflate ? deflate.params : {};
  if (typeof params !== "object" || params === null || deflate === undefined) return "plain";
  if ("server_max_window_bits" in params && params.server_max_window_bits !== 15) return "plain";
  return "server_no_context_takeover" in params ? "deflated" : "chained";
}

function isSender(value: unknown): value is Sender {
  return (
    typeof value === "object" &&
    value !== null &&
    "_state" in value &&
    typeof value._state === "number" &&
    "_bufferedBytes" in value &&
    typeof value._bufferedBytes === "number"
  );
}

/**
 * True if a frame written to `tcp` now comes behind everything that was written before: the engine holds nothing
 * back, and ws neither. A write of theirs that is under way is in `tcp` already.
 */
export function isInOrder(conn: Conn, { sender }: Insides): boolean {
  return conn.readyState === "open" && sender._state === 0 && queueOf(conn)?.length === 0;
}

/** What the engine holds back; a new list after each time that it was passed on. */
export function queueOf(conn: object): readonly Queued[] | undefined {
  const queue: unknown = "writeBuffer" in conn ? conn.writeBuffer : undefined;
  return Array.isArray(queue) ? queue : undefined;
}

interface Queued {
  readonly data?: unknown;
}
