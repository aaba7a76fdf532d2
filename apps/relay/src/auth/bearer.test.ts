import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { type Bearer, readBearer } from "./bearer.ts";
import { createDevTokens } from "./dev-token.ts";
import { createTokenVerifier } from "./tokens.ts";

/** What the relay reads of a request that really went over HTTP. */
async function over(path: string, headers: Record<string, string | string[]>): Promise<Bearer> {
  let read: Bearer | undefined;
  const server = createServer((incoming, response) => {
    read = readBearer(incoming);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve, reject) => {
    request({ port, host: "127.0.0.1", path, headers }, (response) => response.resume().on("end", resolve))
      .on("error", reject)
      .end();
  });
  await new Promise((resolve) => server.close(resolve));
  if (read === undefined) throw new Error("nothing was read");
  return read;
}

describe("the bearer token", () => {
  test.each([["Bearer a.b-c_d"], ["bearer a.b-c_d"], ["BEARER  a.b-c_d"]])(
    "is read from %s",
    async (header) => {
      expect(await over("/", { Authorization: header })).toEqual({ ok: true, token: "a.b-c_d" });
    },
  );

  test.each([
    ["Bearer"],
    ["Bearer "],
    ["Basic dXNlcjpwYXNz"],
    ["a.b.c"],
    ["Bearer a.b.c d"],
    ["Bearer a,b"],
    ["Bearer=abc"],
    ['Bearer "abc"'],
    ["Token Bearer abc"],
  ])("is not read from %s", async (header) => {
    expect(await over("/", { Authorization: header })).toMatchObject({
      ok: false,
      message: expect.stringContaining("Authorization: Bearer <token>"),
    });
  });

  test("is not read from the URL", async () => {
    for (const path of ["/?token=abc", "/?access_token=abc", "/?authorization=Bearer%20abc"]) {
      expect(await over(path, {})).toMatchObject({ ok: false });
    }
  });

  test("is not guessed from two", async () => {
    expect(await over("/", { Authorization: ["Bearer abc", "Bearer def"] })).toMatchObject({ ok: false });
  });
});

test("a development token is one that the relay accepts, whatever issuer and audience are set", async () => {
  const auth = {
    secrets: ["s".repeat(40)],
    jwksUrl: undefined,
    issuer: "https://login.example",
    audience: "relay",
    defaultTopics: [],
  };
  const { token, expires_at } = await createDevTokens("s".repeat(40), auth)();
  const verified = await createTokenVerifier(auth).verify(token);
  if (!verified.ok) throw new Error(verified.message);
  expect(verified.principal).toMatchObject({ subject: "demo", grants: { read: false, admin: false } });
  expect(verified.principal.grants.events.map((topic) => topic.name)).toContain("*");
  expect(new Date(expires_at).getTime()).toBe(verified.principal.expiresAtMs);
  expect(verified.principal.expiresAtMs - Date.now()).toBeGreaterThan(3_590_000);
});
