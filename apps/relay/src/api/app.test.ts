import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createDevTokens } from "../auth/dev-token.ts";
import { rawRequest, startApi, token } from "./api.test-server.ts";
import type { Readiness } from "./deps.ts";
import { loadStatic, type StaticFiles } from "./static.ts";

const reader = await token("relay:read events:*");
const admin = await token("relay:admin events:*");

describe("an address that is none", () => {
  test.each([
    ["/v1"],
    ["/v1/"],
    ["/v1/nothing"],
    ["/v1/events/a/b"],
    ["/v2/events"],
    ["/nothing"],
    ["/"],
    ["/dev/token"],
    ["/openapi.json"],
  ])("%s is 404 in JSON", async (path) => {
    const api = await startApi();
    expect(await api.get(path)).toMatchObject({
      status: 404,
      json: { code: "not_found", message: expect.any(String), details: {} },
    });
  });

  test.each([
    ["POST", "/v1/events"],
    ["DELETE", "/v1/quarantine"],
    ["PUT", "/v1/latest"],
    ["POST", "/healthz"],
  ])("%s %s is 405 with what is allowed", async (method, path) => {
    const api = await startApi();
    const answer = await api.send(method, path, admin);
    expect(answer).toMatchObject({
      status: 405,
      json: { code: "validation_error", details: { allowed: ["HEAD", "GET"] } },
    });
    expect(answer.headers.get("Allow")).toBe("HEAD, GET");
  });

  test("a method nobody knows is 405 too", async () => {
    const api = await startApi();
    expect((await api.send("PROPFIND", "/v1/events", admin)).json).toMatchObject({
      code: "validation_error",
    });
  });

  test("a path with broken encoding is no accident", async () => {
    const api = await startApi();
    for (const path of ["/v1/events/%", "/%c0%ae", "/v1/quarantine/%zz/retry"]) {
      const answer = await rawRequest(api.url, path, { Authorization: `Bearer ${reader}` });
      expect([400, 404, 405], path).toContain(answer.status);
      expect(JSON.parse(answer.text)).toMatchObject({ code: expect.any(String) });
    }
  });
});

describe("health", () => {
  test("/healthz is always 200", async () => {
    const api = await startApi({
      deps: { readiness: () => ({ reasons: [{ code: "x", message: "y" }], warnings: [] }) },
    });
    expect(await api.get("/healthz")).toMatchObject({ status: 200, json: { status: "ok" } });
    expect((await api.send("HEAD", "/healthz")).status).toBe(200);
  });

  test("/readyz says why not, and warns when it is", async () => {
    let readiness: Readiness = {
      reasons: [{ code: "behind", message: "this node is 300 events behind" }],
      warnings: [],
    };
    const api = await startApi({ deps: { readiness: () => readiness } });
    expect(await api.get("/readyz")).toMatchObject({
      status: 503,
      json: { status: "not_ready", reasons: readiness.reasons },
    });
    readiness = { reasons: [], warnings: [{ code: "no_identity", message: "no replid" }] };
    expect(await api.get("/readyz")).toMatchObject({
      status: 200,
      json: { status: "ready", warnings: readiness.warnings },
    });
  });

  test("/metrics speaks Prometheus", async () => {
    const api = await startApi();
    const answer = await api.get("/metrics");
    expect(answer.headers.get("Content-Type")).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(answer.text).toMatch(/^sharmo_relay_webhooks_total\{outcome="accepted"\} 0$/m);
  });
});

describe("GET /v1/latest", () => {
  test("has the newest by created_at of each entity, in the order they came", async () => {
    const api = await startApi();
    const a = await api.accept(
      "token.price_changed",
      { token_id: "a", current_price: 2 },
      { createdAt: 2e15 },
    );
    const b = await api.accept("token.price_changed", { token_id: "b", current_price: 3 });
    await api.accept("token.price_changed", { token_id: "a", current_price: 1 }, { createdAt: 1e15 });
    await api.accept("property.updated", { property_id: "p" });
    await api.accept("property.deleted", { property_id: "p" });
    const answer = await api.get("/v1/latest?topic=*", await token("events:*"));
    expect(answer.json.values.map((one: { event: { id: string } }) => one.event.id)).toEqual([a.id, b.id]);
    expect(answer.json).not.toHaveProperty("next");
    const one = await api.get("/v1/latest?topic=token.*%3Ftoken_id%3Db", await token("events:*"));
    expect(one.json.values).toMatchObject([{ cursor: api.cursor(2), event: { data: { current_price: 3 } } }]);
  });

  test("comes in pages that miss nothing", async () => {
    const api = await startApi();
    for (let i = 0; i < 25; i++) await api.accept("token.price_changed", { token_id: `t${i}` });
    const seen: string[] = [];
    let next = "";
    do {
      const page = await api.get(`/v1/latest?topic=token.price_changed&limit=10${next}`, reader);
      seen.push(
        ...page.json.values.map((one: { event: { data: { token_id: string } } }) => one.event.data.token_id),
      );
      next = page.json.next === undefined ? "" : `&since=${page.json.next}`;
    } while (next !== "");
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `t${i}`));
  });

  test("needs a topic", async () => {
    const api = await startApi();
    expect(await api.get("/v1/latest", reader)).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining("topic=token.price_changed") },
    });
  });

  test("is 503 while the values are read anew", async () => {
    const api = await startApi();
    api.follower.latestNow = () => undefined;
    const answer = await api.get("/v1/latest?topic=*", reader);
    expect(answer.status).toBe(503);
    expect(answer.headers.get("Retry-After")).toBe("1");
  });
});

describe("quarantine", () => {
  const item = (id: string, body: Buffer | string) =>
    ({ id, reason: "invalid_event", message: "created_at is missing", body: Buffer.from(body) }) as const;

  test("is listed, newest first, with the body only for who may see every event", async () => {
    const api = await startApi();
    await api.log.quarantine.put(item("q1", '{"id":"x"}'));
    api.advance(1_000);
    await api.log.quarantine.put(item("q2", Buffer.from([0xff, 0xfe])));
    const all = await api.get("/v1/quarantine", reader);
    expect(all.json.items).toMatchObject([
      { id: "q2", body: "//4=", encoding: "base64", bytes: 2 },
      {
        id: "q1",
        body: '{"id":"x"}',
        encoding: "utf8",
        reason: "invalid_event",
        message: "created_at is missing",
        count: 1,
      },
    ]);
    expect(all.json.items[0].first_at).toMatch(/^\d{4}-.*Z$/);
    expect((await api.get("/v1/quarantine?limit=1", reader)).json.items).toHaveLength(1);
    for (const scope of ["relay:read", "relay:read events:token.*", "relay:admin"]) {
      const some = await api.get("/v1/quarantine", await token(scope));
      expect(some.json.items).toHaveLength(2);
      for (const one of some.json.items) expect(one).not.toHaveProperty("body");
    }
  });

  test.each([
    [{ status: "accepted", id: "evt_1", cursor: "k3v9x2m7qa1z-1" } as const, 200],
    [{ status: "duplicate", id: "evt_1" } as const, 200],
    [{ status: "refused", reason: "invalid_event", message: "created_at is missing" } as const, 422],
    [{ status: "not_found" } as const, 404],
  ])("a retry that is %j is answered %i", async (outcome, status) => {
    const tried: string[] = [];
    const api = await startApi({
      deps: {
        retryQuarantined: async (id) => {
          tried.push(id);
          return outcome;
        },
      },
    });
    const answer = await api.send("POST", "/v1/quarantine/q%2F1/retry", admin);
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.json).toEqual(outcome);
    expect(tried).toEqual(["q/1"]);
    expect(api.logged.join()).toContain('"by":"u1"');
  });

  test("a body that is too large, or no JSON, changes nothing", async () => {
    const tried: string[] = [];
    const api = await startApi({
      deps: {
        retryQuarantined: async (id) => {
          tried.push(id);
          return { status: "not_found" };
        },
      },
    });
    const post = (body: string) =>
      api.send("POST", "/v1/quarantine/q1/retry", admin, {
        body,
        headers: { "Content-Type": "application/json" },
      });
    expect(await post("{")).toMatchObject({ status: 400, json: { code: "validation_error" } });
    expect(await post(JSON.stringify({ pad: "x".repeat(20_000) }))).toMatchObject({
      status: 413,
      json: { code: "validation_error" },
    });
    expect(tried).toEqual([]);
    expect((await post("{}")).status).toBe(404);
    expect(tried).toEqual(["q1"]);
  });
});

describe("the page", () => {
  async function built(): Promise<StaticFiles> {
    const folder = await mkdtemp(join(tmpdir(), "relay-page-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await mkdir(join(folder, "dist/assets"), { recursive: true });
    await writeFile(join(folder, "secret.txt"), "hidden-word");
    await writeFile(join(folder, "dist/.env"), "hidden-word");
    await writeFile(join(folder, "dist/index.html"), "<!doctype html><title>Relay</title>");
    await writeFile(join(folder, "dist/assets/index-BxY3_k-9.js"), "export {};");
    await writeFile(join(folder, "dist/assets/plain.css"), "body{}");
    await writeFile(join(folder, "dist/icon.svg"), "<svg/>");
    await symlink(join(folder, "secret.txt"), join(folder, "dist/link.txt"));
    const files = await loadStatic(join(folder, "dist"));
    if (files === undefined) throw new Error("no page");
    return files;
  }

  test("is at / with a policy that lets in nothing foreign", async () => {
    const api = await startApi({ deps: { page: await built() } });
    for (const path of ["/", "/index.html"]) {
      const answer = await api.get(path);
      expect(answer.status).toBe(200);
      expect(answer.text).toContain("<title>Relay</title>");
      expect(answer.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
      expect(answer.headers.get("Cache-Control")).toBe("no-cache");
      const policy = answer.headers.get("Content-Security-Policy")?.split("; ");
      expect(policy).toEqual(
        expect.arrayContaining([
          "default-src 'none'",
          "script-src 'self'",
          "connect-src 'self' ws: wss:",
          "frame-ancestors 'none'",
        ]),
      );
      expect(policy?.join()).not.toContain("unsafe");
    }
  });

  test("has assets that are cached for good only if their name has a hash", async () => {
    const api = await startApi({ deps: { page: await built() } });
    const script = await api.get("/assets/index-BxY3_k-9.js");
    expect(script.headers.get("Content-Type")).toBe("text/javascript; charset=utf-8");
    expect(script.headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
    expect(script.headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect((await api.get("/assets/plain.css")).headers.get("Cache-Control")).toBe("no-cache");
    expect((await api.get("/icon.svg")).headers.get("Content-Type")).toBe("image/svg+xml");
  });

  test("is not sent again to who has it", async () => {
    const api = await startApi({ deps: { page: await built() } });
    const etag = (await api.get("/")).headers.get("ETag") ?? "";
    expect(etag).toMatch(/^"[\w-]{22}"$/);
    expect(await rawRequest(api.url, "/", { "If-None-Match": etag })).toEqual({ status: 304, text: "" });
    expect((await rawRequest(api.url, "/", { "If-None-Match": '"other"' })).status).toBe(200);
    const head = await api.send("HEAD", "/");
    expect(head.status).toBe(200);
    expect(head.headers.get("Content-Length")).toBe("35");
  });

  test.each([
    ["/../secret.txt"],
    ["/..%2fsecret.txt"],
    ["/%2e%2e/secret.txt"],
    ["/assets/../../secret.txt"],
    ["/assets/..%5c..%5csecret.txt"],
    ["//secret.txt"],
    ["/.env"],
    ["/link.txt"],
    ["/assets"],
    ["/assets/"],
    ["/index.html/"],
    ["/portfolio"],
    ["/constructor"],
    ["/__proto__"],
  ])("%s is not there", async (path) => {
    const api = await startApi({ deps: { page: await built() } });
    const answer = await rawRequest(api.url, path);
    expect(answer.status).toBe(404);
    expect(answer.text).not.toContain("hidden-word");
  });

  test("is read only with GET and HEAD", async () => {
    const api = await startApi({ deps: { page: await built() } });
    expect((await api.send("POST", "/")).status).toBe(404);
  });

  test("that was not built is not there", async () => {
    expect(await loadStatic(join(tmpdir(), "no-such-folder-of-ours"))).toBeUndefined();
  });
});

describe("GET /dev/token", () => {
  const devToken = createDevTokens("a-secret-of-thirty-two-bytes-or-so", {
    issuer: undefined,
    audience: undefined,
  });

  test("lets a page on this machine see events, and no more", async () => {
    const api = await startApi({ deps: { devToken } });
    await api.accept("token.price_changed", { token_id: "t" });
    const answer = await api.get("/dev/token", undefined, { "Sec-Fetch-Site": "same-origin" });
    expect(answer.json).toEqual({ token: expect.any(String), expires_at: expect.stringMatching(/Z$/) });
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    expect(answer.headers.get("Access-Control-Allow-Origin")).toBeNull();
    const given: string = answer.json.token;
    expect((await api.get("/v1/latest?topic=*", given)).json.values).toHaveLength(1);
    expect((await api.get("/v1/events", given)).status).toBe(403);
    expect((await api.send("POST", "/v1/quarantine/x/retry", given)).status).toBe(403);
  });

  test("is 404 if there is no development secret", async () => {
    const api = await startApi();
    expect((await api.get("/dev/token")).status).toBe(404);
  });

  test.each<[Record<string, string>, number]>([
    [{ Host: "localhost:3000" }, 200],
    [{ Host: "127.0.0.1" }, 200],
    [{ Host: "[::1]:3000" }, 200],
    [{ Host: "localhost:3000", "Sec-Fetch-Site": "none" }, 200],
    [{ Host: "evil.example:3000" }, 403],
    [{ Host: "localhost.evil.example" }, 403],
    [{ Host: "127.0.0.1.evil.example" }, 403],
    [{ Host: "192.168.1.5:3000" }, 403],
    [{ Host: "localhost:3000", "Sec-Fetch-Site": "cross-site" }, 403],
    [{ Host: "localhost:3000", "Sec-Fetch-Site": "same-site" }, 403],
    [{ Host: "localhost:3000", "X-Forwarded-For": "203.0.113.7" }, 403],
    [{ Host: "localhost:3000", Forwarded: "for=203.0.113.7" }, 403],
  ])("with %j is %i", async (headers, status) => {
    const api = await startApi({ deps: { devToken } });
    const answer = await rawRequest(api.url, "/dev/token", headers);
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.text).not.toContain("eyJ");
  });
});

test("a peer that goes away in the middle of a request is no error", async () => {
  const api = await startApi();
  const { port } = new URL(api.url);
  const socket = connect(Number(port), "127.0.0.1");
  socket.write(
    `POST /v1/quarantine/x/retry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${admin}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await api.get("/healthz")).status).toBe(200);
  expect(api.logged.join()).not.toContain('"level":50');
});
