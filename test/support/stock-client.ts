/** A stock `socket.io-client` and everything it got, in the order it came. */
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import { endWithTest } from "./cleanup.ts";
import { until } from "./until.ts";

interface Got {
  readonly name: string;
  readonly event: { readonly id: string; readonly type: string; readonly data: Record<string, unknown> };
  readonly meta: {
    readonly cursor?: string;
    readonly at?: number;
    readonly late?: true;
    readonly subscription?: string;
    readonly delivery?: string;
  };
}

export interface StockClient {
  readonly socket: Socket;
  readonly got: Got[];
  readonly notices: { readonly name: string; readonly notice: Record<string, unknown> }[];
  readonly ids: () => string[];
  request(name: string, payload: unknown): Promise<Record<string, unknown>>;
}

export async function connect(url: string, token: string): Promise<StockClient> {
  const client = open(url, { token });
  await until(() => client.socket.connected, { what: "the client to connect" });
  return client;
}

/** It does not reconnect by itself unless told to. */
export function open(
  url: string,
  auth: Record<string, unknown>,
  options: Partial<ManagerOptions & SocketOptions> = {},
): StockClient {
  const socket = io(url, {
    auth,
    transports: ["websocket"],
    forceNew: true,
    reconnection: false,
    ...options,
  });
  endWithTest(() => socket.disconnect());
  const got: Got[] = [];
  const notices: StockClient["notices"] = [];
  socket.onAny((name: string, event: Got["event"], meta: Got["meta"]) => {
    if (name.startsWith("relay."))
      notices.push({ name, notice: event as unknown as Record<string, unknown> });
    else got.push({ name, event, meta });
  });
  return {
    socket,
    got,
    notices,
    ids: () => got.map(({ event }) => event.id),
    request: async (name, payload) =>
      (await socket.timeout(5_000).emitWithAck(name, payload)) as Record<string, unknown>,
  };
}

interface Pausable {
  pause(): void;
  resume(): void;
}

/** From here on the client takes nothing from its socket; the answer lets it go on. */
export function pauseReading(client: StockClient): () => void {
  // in Node it is a WebSocket of the `ws` package, which neither package says
  const { ws } = client.socket.io.engine.transport as unknown as { readonly ws: Pausable };
  ws.pause();
  return () => ws.resume();
}
