import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { bodySigned, eventText, startWebhook, type Webhook } from "./webhook.test-harness.ts";

const event = eventText();

/** Writes bytes by hand and reads until the relay closes. */
function raw(webhook: Webhook): Socket {
  const socket = connect(webhook.port, "127.0.0.1");
  socket.on("error", () => {});
  return socket;
}

async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  // `once` would reject for the error of a socket that was cut off while it wrote.
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

function head(headers: readonly string[]): string {
  return ["POST / HTTP/1.1", "Host: relay", "Content-Type: application/json", ...headers, "", ""].join(
    "\r\n",
  );
}

describe("a body over the limit", () => {
  it("is refused by its announced length before a byte of it came", async () => {
    const webhook = await startWebhook({ settings: { maxBytes: 1024 } });
    const socket = raw(webhook);
    socket.write(head(["Content-Length: 1025"]));
    let isHandled = false;
    const [answer] = (await once(socket, "data")) as [Buffer];
    void Promise.all(webhook.handled).then(() => {
      isHandled = true;
    });
    await Promise.resolve();
    // The connection stays for a moment, the answer does not wait for that.
    expect(isHandled).toBe(false);
    expect(String(answer)).toMatch(/^HTTP\/1\.1 413 /);
    expect(String(answer)).toMatch(/\r\nconnection: close\r\n/i);
    expect(String(answer)).toContain('"max_bytes":1024');
    await once(socket, "close");
  });

  it("is refused while it streams, as soon as it is over, without waiting for the end", async () => {
    const webhook = await startWebhook({ settings: { maxBytes: 1024 } });
    const socket = raw(webhook);
    socket.write(head(["Transfer-Encoding: chunked"]));
    socket.write(`400\r\n${"x".repeat(1024)}\r\n`);
    socket.write("1\r\nx\r\n");
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 413 /);
    expect(webhook.heard).toEqual(["payload_too_large"]);
  });

  it("is read at the limit exactly", async () => {
    const body = event.padEnd(1024, " ");
    const webhook = await startWebhook({ settings: { maxBytes: 1024 } });
    expect((await webhook.post(body)).status).toBe(200);
    expect((await webhook.post(`${body} `)).status).toBe(413);
  });

  it("gets its answer to a sender that writes on, and is cut off if the sender never stops", async () => {
    const webhook = await startWebhook({ settings: { maxBytes: 1024 } });
    // A reset that overtakes the answer would make this reject.
    for (let i = 0; i < 5; i++) expect((await webhook.post("x".repeat(600_000))).status).toBe(413);

    let read = 0;
    webhook.server.once("connection", (connection: Socket) => {
      connection.once("close", () => {
        read = connection.bytesRead;
      });
    });
    const socket = raw(webhook);
    socket.write(head(["Transfer-Encoding: chunked"]));
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const pump = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on("drain", pump);
    pump();
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 413 /);
    await Promise.all(webhook.handled);
    expect(read).toBeGreaterThan(1024 * 1024);
    expect(read).toBeLessThan(8 * 1024 * 1024);
  });
});

describe("a body that is slow", () => {
  it("is refused when its time is up, and the connection is closed", async () => {
    const webhook = await startWebhook({ deps: { timeouts: { bodyMs: 100 } } });
    const socket = raw(webhook);
    socket.write(head(["Content-Length: 1000", "X-Sharmo-Signature: 00"]));
    const drip = setInterval(() => socket.write("x"), 20);
    const answer = await readAll(socket);
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  });

  it("may come in many pieces otherwise", async () => {
    const webhook = await startWebhook();
    const body = Buffer.from(eventText({ data: { name: "Zürich".repeat(50) } }));
    const socket = raw(webhook);
    const digest = bodySigned(body)["x-sharmo-signature"];
    socket.write(
      head([`X-Sharmo-Signature: ${digest}`, `Content-Length: ${body.length}`, "Connection: close"]),
    );
    for (let i = 0; i < body.length; i += 37) {
      socket.write(body.subarray(i, i + 37));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 /);
    const [stored] = webhook.accepted;
    expect(stored?.body.equals(body)).toBe(true);
    expect(stored?.body.buffer.byteLength).toBe(body.length);
  });
});

describe("a connection", () => {
  it("goes on after every answer to a body that was read, and after a refusal without body", async () => {
    const webhook = await startWebhook();
    const socket = raw(webhook);
    socket.write(`GET / HTTP/1.1\r\nHost: relay\r\n\r\n`);
    socket.write(`${head(["Content-Length: 2"])}{}`);
    const { "x-sharmo-signature": digest } = bodySigned(event);
    socket.write(`${head([`X-Sharmo-Signature: ${digest}`, `Content-Length: ${event.length}`])}${event}`);
    socket.write(`${head(["Content-Length: 2", "Connection: close"])}{}`);
    const statuses = [...(await readAll(socket)).matchAll(/HTTP\/1\.1 ([0-9]{3})/g)].map((match) => match[1]);
    expect(statuses).toEqual(["405", "401", "200", "401"]);
  });

  it("is closed after every refusal of a body that was not read", async () => {
    const webhook = await startWebhook({ settings: { maxBytes: 1024 } });
    const closed = async (method: string, headers: Record<string, string>, body = event) => {
      const answer = await webhook.send(method, body, headers);
      return [answer.status, answer.headers["connection"]];
    };
    const json = { "content-type": "application/json" };
    expect(await closed("PUT", json)).toEqual([405, "close"]);
    expect(await closed("POST", { "content-type": "text/plain" })).toEqual([415, "close"]);
    expect(await closed("POST", json, "x".repeat(2000))).toEqual([413, "close"]);
    const strict = await startWebhook({ settings: { allowedIps: ["203.0.113.9"] } });
    expect((await strict.post(event)).headers["connection"]).toBe("close");
  });

  it("that breaks off in the middle of a body ends its request without answer and without event", async () => {
    const webhook = await startWebhook();
    const socket = raw(webhook);
    socket.write(`${head(["Content-Length: 1000"])}{"id"`);
    await once(webhook.server, "request");
    socket.destroy();
    await Promise.all(webhook.handled);
    expect([webhook.heard, webhook.accepted, webhook.kept]).toEqual([[], [], []]);
  });

  it("that breaks off while the log works changes nothing about the event", async () => {
    const webhook = await startWebhook();
    const accept = webhook.accept;
    const socket = raw(webhook);
    webhook.accept = async (e) => {
      socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 20));
      return accept(e);
    };
    const { "x-sharmo-signature": digest } = bodySigned(event);
    socket.write(`${head([`X-Sharmo-Signature: ${digest}`, `Content-Length: ${event.length}`])}${event}`);
    await once(webhook.server, "request");
    await Promise.all(webhook.handled);
    expect(webhook.accepted).toHaveLength(1);
  });
});

describe("the head of a request", () => {
  it("is refused with any other content type", async () => {
    const webhook = await startWebhook();
    const others = [
      "",
      "text/json",
      "application/x-www-form-urlencoded",
      "application/jsonp",
      "application/json5",
      "application/+json",
      "application/json, text/plain",
      "application/json; charset=latin1",
      "application/json; charset=utf-16",
      "application/json; charset=utf-8; boundary=x",
      "multipart/form-data; boundary=x",
      "image/svg+xml",
    ];
    for (const type of others) {
      const answer = await webhook.post(event, { ...bodySigned(event), "content-type": type });
      expect([type, answer.status, answer.json["code"]]).toEqual([type, 415, "unsupported_media_type"]);
    }
    const none = await webhook.send("POST", event, bodySigned(event));
    expect(none.status).toBe(415);
    expect(webhook.accepted).toEqual([]);
  });

  it("is refused with any content encoding but identity", async () => {
    const webhook = await startWebhook();
    for (const encoding of ["gzip", "br", "deflate", "zstd", "identity, gzip", ""]) {
      const answer = await webhook.post(event, { ...bodySigned(event), "content-encoding": encoding });
      expect([encoding, answer.status]).toEqual([encoding, 415]);
    }
    expect((await webhook.post(event, { ...bodySigned(event), "content-encoding": "Identity" })).status).toBe(
      200,
    );
  });

  it("is taken from the allowed addresses only, seen through trusted proxies", async () => {
    const settings = { allowedIps: ["203.0.113.0/24", "2001:db8::/32"] };
    const behind = await startWebhook({ settings, trustProxy: ["127.0.0.0/8"] });
    const from = async (forwarded: string) =>
      (await behind.post(event, { ...bodySigned(event), "x-forwarded-for": forwarded })).status;
    expect(await from("203.0.113.9")).toBe(200);
    expect(await from("2001:DB8::5")).toBe(200);
    expect(await from("10.1.1.1, 203.0.113.9")).toBe(200);
    expect(await from("203.0.113.9, 10.1.1.1")).toBe(403);
    const direct = await startWebhook({ settings });
    expect(
      (await direct.post(event, { ...bodySigned(event), "x-forwarded-for": "203.0.113.9" })).status,
    ).toBe(403);
    const local = await startWebhook({ settings: { allowedIps: ["127.0.0.1"] } });
    expect((await local.post(event)).status).toBe(200);
  });
});

describe("memory", () => {
  it("of an event is its bytes and no more", async () => {
    const webhook = await startWebhook();
    const large = eventText({ id: "large", data: { text: "x".repeat(200_000) } });
    await webhook.post(event);
    await webhook.post(large);
    for (const { body } of webhook.accepted) expect(body.buffer.byteLength).toBe(body.length);
  });
});
