/** A real HTTP server that a test scripts, and that remembers what it got. */
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** The envelope's id, if it has one. */
  readonly id: string;
  readonly type: string;
}

export interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly location?: string;
}

/** Answers a request; `undefined` leaves it without an answer. */
export type Script = (request: Received, index: number) => Answer | undefined | Promise<Answer | undefined>;

export interface Receiver {
  readonly url: string;
  readonly requests: readonly Received[];
  /** The most requests that were open at one time. */
  readonly mostAtOnce: () => number;
  readonly connections: () => number;
  close(): Promise<void>;
}

export const accepted: Answer = { status: 200, body: '{"status":"accepted"}' };

export async function startReceiver(script: Script = () => accepted, port = 0): Promise<Receiver> {
  const requests: Received[] = [];
  let open = 0;
  let most = 0;
  let connections = 0;
  const server = createServer((request, response) => {
    open += 1;
    most = Math.max(most, open);
    response.on("close", () => {
      open -= 1;
    });
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts);
      const text = body.toString();
      const { id = "", type = "" } = JSON.parse(text) as { id?: string; type?: string };
      const received = { path: request.url ?? "", headers: request.headers, body, text, id, type };
      const index = requests.push(received) - 1;
      void Promise.resolve(script(received, index)).then((answer) => {
        if (answer === undefined) return;
        const location = answer.location === undefined ? {} : { location: answer.location };
        response.writeHead(answer.status, { "content-type": "application/json", ...location });
        response.end(answer.body ?? "");
      });
    });
  });
  server.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
  onTestFinished(() => close(server));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/sharmo-webhooks`,
    requests,
    mostAtOnce: () => most,
    connections: () => connections,
    close: () => close(server),
  };
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((done) => {
    server.close(() => done());
  });
}

/** An address at which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await close(server);
  return port;
}
