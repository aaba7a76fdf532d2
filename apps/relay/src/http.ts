/** The doors of the relay: one port, and which part answers at which path. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Config } from "./config.ts";
import type { Logger } from "./observe/logger.ts";

export type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface Doors {
  /** From here on each answer ends its connection, also to what is being received now. */
  lastAnswers(): void;
  /** Ends every connection that still stands, whatever it has become. */
  cutAll(): void;
}

/** Sends each request to the door it asks for. */
export function route(
  http: Server,
  config: Config,
  logger: Logger,
  to: {
    webhook: Handle;
    stream: Handle;
    rest: (request: IncomingMessage, response: ServerResponse) => unknown;
  },
): Doors {
  const connections = new Set<Socket>();
  const open = new Set<ServerResponse>();
  let keepAlive = true;
  /** Neither rejects as it is written; should one ever, it costs its own request and no more. */
  const run = (handle: Handle, request: IncomingMessage, response: ServerResponse): void => {
    handle(request, response).catch((error: unknown) => {
      logger.error({ err: error }, "a request failed");
      response.destroy();
    });
  };
  // one function for all of them: a connection may stand for days
  function forget(this: Socket): void {
    connections.delete(this);
  }
  http.on("connection", (socket) => {
    connections.add(socket);
    socket.on("close", forget);
  });
  http.on("request", (request, response) => {
    open.add(response);
    response.once("close", () => open.delete(response));
    if (!keepAlive) response.shouldKeepAlive = false;
    const path = pathOf(request);
    if (path === config.webhook.path) run(to.webhook, request, response);
    else if (path === "/v1/stream") run(to.stream, request, response);
    else to.rest(request, response);
  });
  return {
    lastAnswers() {
      keepAlive = false;
      for (const response of open) response.shouldKeepAlive = false;
    },
    cutAll() {
      for (const socket of connections) socket.destroy();
    },
  };
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const mark = url.indexOf("?");
  return mark < 0 ? url : url.slice(0, mark);
}

/**
 * Connections that may wait to be accepted; the system cuts it down to its own limit (`net.core.somaxconn`). One more
 * is not answered at all, and its client tries again only after one, three, seven seconds.
 */
const backlog = 16_384;

export function listen(http: Server, { port, host }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once("error", reject);
    http.listen({ port, backlog, ...(host === undefined ? {} : { host }) }, () => {
      http.off("error", reject);
      resolve();
    });
  });
}

export function portOf(http: Server): number {
  const address = http.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
