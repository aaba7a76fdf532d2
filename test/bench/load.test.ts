/** The load clients find what they are there to find: servers that lose, repeat and disorder. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { endWithTest } from "../support/cleanup.ts";
import { tempDir } from "../support/node.ts";
import { postWebhook } from "../support/webhook.ts";
import { benchLacks, publish, subscribe, untilDelivered } from "./load.ts";

const lacks = benchLacks(["wsload", "wsload-zlib", "wspost"]);
const lanes = 4;

/** The event that is place `place` in a lane. */
function event(lane: number, place: number): string {
  return `{"data":{"n":${lane * 1_000_000_000 + place},"t":1}}`;
}

/** A server that sends these to each client that says anything, and what one such client saw. */
async function seen(messages: readonly string[], deflate = false): Promise<unknown> {
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    perMessageDeflate: deflate && { threshold: 0 },
  });
  await once(server, "listening");
  endWithTest(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  server.on("connection", (client: WebSocket) => {
    client.once("message", () => {
      client.send("ok");
      client.once("message", () => {
        for (const message of messages) client.send(message);
      });
    });
  });
  const subscribers = await subscribe({
    port: (server.address() as AddressInfo).port,
    connections: 2,
    lanes,
    laneEvents: 10,
    script: ["--send", "subscribe", "--wait", "ok", "--send", "begin", ...(deflate ? ["--deflate"] : [])],
    progressFile: join(await tempDir(), "progress"),
    readyWithinMs: 10_000,
    zlib: deflate,
  });
  endWithTest(() => subscribers.stop());
  await untilDelivered(subscribers, 2 * messages.length, 5_000);
  const { unique, missing, duplicate, disordered } = await subscribers.finish();
  return { unique, missing, duplicate, disordered };
}

describe.skipIf(lacks !== undefined)(`the subscribers ${lacks ?? ""}`, () => {
  const lane0 = [event(0, 0), event(0, 1), event(0, 2)];
  const lane3 = [event(3, 0), event(3, 1)];

  it("find nothing wrong with lanes that are each in order, however they are mixed", async () => {
    const mixed = [event(3, 0), event(0, 0), event(0, 1), event(3, 1), event(0, 2)];
    expect(await seen(mixed)).toEqual({ unique: 10, missing: 0, duplicate: 0, disordered: 0 });
  });

  it("find what was lost", async () => {
    const holed = [...lane3, event(0, 0), event(0, 2)];
    expect(await seen(holed)).toEqual({ unique: 8, missing: 2, duplicate: 0, disordered: 0 });
  });

  it("find what was repeated", async () => {
    expect(await seen([...lane0, ...lane3, event(3, 0)])).toMatchObject({
      unique: 10,
      missing: 0,
      duplicate: 2,
    });
  });

  it("find what was disordered", async () => {
    const swapped = [event(0, 0), event(0, 2), event(0, 1), ...lane3];
    expect(await seen(swapped)).toEqual({ unique: 10, missing: 0, duplicate: 0, disordered: 2 });
  });

  it("read what is compressed", async () => {
    expect(await seen([...lane0, ...lane3], true)).toMatchObject({ unique: 10, missing: 0, disordered: 0 });
    expect(await seen([event(0, 0), event(0, 2)], true)).toMatchObject({ unique: 4, missing: 2 });
  });
});

describe.skipIf(lacks !== undefined)(`the publisher ${lacks ?? ""}`, () => {
  it("signs what it posts, one lane in order, and counts what is refused", async () => {
    const bodies: { readonly n: number; readonly signature: string; readonly body: string }[] = [];
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        const { data } = JSON.parse(body) as { readonly data: { readonly n: number } };
        bodies.push({ n: data.n, signature: String(request.headers["x-sharmo-signature"]), body });
        // answers take their time: what a connection posts next may not overtake them
        setTimeout(() => response.writeHead(data.n === 2 ? 503 : 200).end("{}"), data.n % 3);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    endWithTest(() => server.close());
    const { port } = server.address() as AddressInfo;
    const options = { port, connections: 2, lanes, events: 40, rate: 2_000, script: ["--secret", "whsec_x"] };
    const published = await publish(options);
    expect(published).toMatchObject({ sent: 40, refused: 1 });
    for (let lane = 0; lane < lanes; lane++) {
      const places = bodies
        .map(({ n }) => n - lane * 1_000_000_000)
        .filter((n) => n >= 0 && n < 1_000_000_000);
      expect(places).toEqual(Array.from({ length: 10 }, (_, place) => place));
    }
    // the helper that the other tests post with signs the same bytes the same way
    const [first] = bodies;
    await postWebhook(
      { url: `http://127.0.0.1:${port}`, secrets: { webhook: "whsec_x", jwt: "" } },
      first?.body ?? "",
    );
    expect(bodies.at(-1)?.signature).toBe(first?.signature);
  });
});
