/** Who may open a WebSocket, and when it is its turn: all before Engine.IO hears of it. */
import { type Server as HttpServer, type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "@sharmo-relay/protocol";
import type { Config } from "../config.ts";
import { Admission } from "./admission.ts";
import { originAllowed } from "./origin.ts";

export interface DoorDeps {
  readonly settings: Pick<Config["realtime"], "allowedOrigins">;
  /** False while the node may not answer for what clients are allowed to see. */
  inStep(): boolean;
  /** True from the moment that the node is to stop. */
  draining(): boolean;
  /** A handshake was refused since too many wait. */
  overloaded(): void;
}

interface RefusedRequest {
  readonly status: number;
  readonly code: ErrorCode;
}

/** Refused before the connection exists: a stock client tries again. */
export function refuseRequest(request: IncomingMessage, deps: DoorDeps): RefusedRequest | undefined {
  if (!originAllowed(request, deps.settings.allowedOrigins)) return { status: 403, code: "origin_refused" };
  if (deps.draining()) return { status: 503, code: "draining" };
  return deps.inStep() ? undefined : { status: 503, code: "unavailable" };
}

export const refusalHeaders = { "Retry-After": "2", Connection: "close" } as const;

/** Opens the WebSocket of a request that was let in. */
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** The handshakes that are under way, by the request that began them. */
export interface Places {
  /** This one is done, its place is free; without effect if it has none. */
  leave(request: IncomingMessage | undefined): void;
}

/**
 * Engine.IO would answer a refused upgrade 400; so the refusal comes before it, and so does the wait for a turn.
 * Without `upgrade` what listened before opens the WebSocket.
 */
export function guardUpgrades(http: HttpServer, deps: DoorDeps, upgrade: Upgrade | undefined): Places {
  const listeners = http.listeners("upgrade");
  const accept: Upgrade =
    upgrade ??
    ((request, socket, head) => {
      for (const listener of listeners) listener.call(http, request, socket, head);
    });
  const admission = new Admission();
  const places = new WeakMap<IncomingMessage, () => void>();
  http.removeAllListeners("upgrade");
  http.once("close", () => admission.close());
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // whoever hangs up before its turn is of no interest
    socket.on("error", ignore);
    const refusal = refuseRequest(request, deps);
    if (refusal !== undefined) return refuseUpgrade(socket, refusal);
    let giveUp: () => void = ignore;
    const hungUp = (): void => giveUp();
    socket.once("close", hungUp);
    giveUp = admission.enter({
      admitted(leave) {
        socket.off("close", hungUp);
        // it may have waited for long
        const late = refuseRequest(request, deps);
        if (late !== undefined) {
          leave();
          return refuseUpgrade(socket, late);
        }
        socket.off("error", ignore);
        socket.once("close", leave);
        places.set(request, () => {
          socket.off("close", leave);
          leave();
        });
        accept(request, socket, head);
      },
      refused() {
        deps.overloaded();
        refuseUpgrade(socket, { status: 503, code: "overloaded" });
      },
    });
  });
  return {
    leave(request) {
      if (request === undefined) return;
      places.get(request)?.();
      places.delete(request);
    },
  };
}

function ignore(): void {
  // nothing is owed to it
}

function refuseUpgrade(socket: Duplex, { status, code }: RefusedRequest): void {
  const headers = { ...refusalHeaders, "Content-Length": String(code.length) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${code}`);
}
