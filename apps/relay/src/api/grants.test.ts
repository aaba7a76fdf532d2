/** What a token shows and what it does not, on every route that shows events. */
import { describe, expect, test } from "vitest";
import { type Claims, startApi, token, topicOf } from "./api.test-server.ts";

const events: Record<string, [type: string, data: object]> = {
  price1: ["token.price_changed", { token_id: "tok_1", current_price: 1 }],
  price2: ["token.price_changed", { token_id: "tok_2", current_price: 2 }],
  transfer: [
    "token.transferred",
    { token_id: "tok_1", from_address: "0xAA", to_address: "0xBB", amount: 1, transaction_id: "txn_1" },
  ],
  sale: [
    "transaction.completed",
    { transaction_id: "txn_1", buyer_address: "0xBB", seller_address: "0xAA", token_id: "tok_1" },
  ],
  kyc: ["user.kyc_approved", { user_id: "u1" }],
  otherKyc: ["user.kyc_approved", { user_id: "u2" }],
  property: ["property.updated", { property_id: "prop_1", name: "House" }],
  unheardOf: ["staking.started", { token_id: "tok_1" }],
};

const defaultTopics = [topicOf("token.price_changed"), topicOf("property.*")];

/** Grants of a token, and the events that it shows; all others are withheld. */
const rows: [grants: string, claims: Claims, shown: string[]][] = [
  ["", { sub: undefined }, ["price1", "price2", "property"]],
  ["", {}, ["price1", "price2", "property", "kyc"]],
  ["events:*", {}, Object.keys(events)],
  ["events:token.*", { sub: undefined }, ["price1", "price2", "transfer", "property"]],
  ["events:transaction.completed", { sub: undefined }, ["price1", "price2", "property", "sale"]],
  [
    "events:*?token_id=tok_1",
    { sub: undefined },
    ["price1", "price2", "transfer", "sale", "property", "unheardOf"],
  ],
  ["events:token.transferred?token_id=tok_2", { sub: undefined }, ["price1", "price2", "property"]],
  ["", { sub: undefined, wallets: ["0xaa"] }, ["price1", "price2", "property", "transfer", "sale"]],
  ["", { sub: undefined, wallets: ["0xcc"] }, ["price1", "price2", "property"]],
  ["", { sub: "u2" }, ["price1", "price2", "property", "otherKyc"]],
  ["events:user.*?user_id=u2", {}, ["price1", "price2", "property", "kyc", "otherKyc"]],
  ["events:staking.*", { sub: undefined }, ["price1", "price2", "property", "unheardOf"]],
  ["relay:admin", { sub: undefined }, ["price1", "price2", "property"]],
  ["events:nonsense", { sub: undefined }, ["price1", "price2", "property"]],
];

test.each(rows)("GET /v1/events with %j %j shows just %j", async (grants, claims, shown) => {
  const api = await startApi({ defaultTopics });
  for (const [name, [type, data]] of Object.entries(events)) await api.accept(type, data, { id: name });
  const bearer = await token(`relay:read ${grants}`, claims);
  const page = await api.get("/v1/events", bearer);
  expect(page.status).toBe(200);
  expect(page.json.events).toHaveLength(Object.keys(events).length);
  for (const one of page.json.events) {
    const name: string = one.event.id;
    const [type, data] = events[name] ?? [];
    if (shown.includes(name)) {
      expect(one.event, name).toMatchObject({ type, data });
      expect(one.receipt, name).toMatchObject({ late: false });
    } else {
      expect(one, name).toEqual({
        cursor: expect.any(String),
        received_at: expect.any(String),
        receipt: { withheld: true },
        event: { id: name, type },
      });
    }
    const alone = await api.get(`/v1/events/${name}`, bearer);
    expect(alone.status).toBe(200);
    expect(alone.json).toEqual(one);
  }
});

/** A topic asked for, and whether the token has it wholly. */
const topicRows: [grants: string, claims: Claims, topic: string, allowed: boolean][] = [
  ["events:*", {}, "*", true],
  ["events:token.*", {}, "token.*", true],
  ["events:token.*", {}, "token.transferred?address=0xAA", true],
  ["events:token.*", {}, "*", false],
  ["events:token.transferred", {}, "token.*", false],
  ["events:token.*?token_id=tok_1", {}, "token.price_changed?token_id=tok_1", true],
  ["events:token.*?token_id=tok_1", {}, "token.transferred", false],
  ["events:token.*?token_id=tok_1", {}, "token.transferred?token_id=tok_2", false],
  ["", {}, "token.price_changed", true],
  ["", {}, "property.*?property_id=prop_1", true],
  ["", {}, "transaction.*", false],
  ["", {}, "user.*?user_id=u1", true],
  ["", {}, "user.*", false],
  ["", {}, "user.*?user_id=u2", false],
  ["", { wallets: ["0xAA"] }, "transaction.*?address=0xaa", true],
  ["", { wallets: ["0xAA"] }, "transaction.completed?address=0xAA", true],
  ["", { wallets: ["0xAA"] }, "transaction.*?address=0xab", false],
  ["", { wallets: ["0xAA"] }, "user.*?address=0xaa", false],
  ["relay:admin", {}, "transaction.*", false],
];

describe.each(topicRows)("with %j %j the topic %s", (grants, claims, topic, allowed) => {
  test.each([
    ["/v1/events", "relay:read "],
    ["/v1/latest", ""],
  ])(`is ${allowed ? "read" : "refused by name"} on %s`, async (route, scope) => {
    const api = await startApi({ defaultTopics });
    for (const [name, [type, data]] of Object.entries(events)) await api.accept(type, data, { id: name });
    const bearer = await token(scope + grants, claims);
    const answer = await api.get(`${route}?topic=${encodeURIComponent(topic)}`, bearer);
    if (allowed) {
      expect(answer.status).toBe(200);
    } else {
      const { name } = topicOf(topic);
      expect(answer.status).toBe(403);
      expect(answer.json).toEqual({
        code: "unauthorized",
        message: `the token does not grant ${name}`,
        details: { topics: [name] },
      });
    }
    // one refused topic refuses the call
    const both = await api.get(
      `${route}?topic=token.price_changed&topic=${encodeURIComponent(topic)}`,
      bearer,
    );
    expect(both.status).toBe(allowed ? 200 : 403);
  });
});

test("a refused request shows nothing of any event, nor does any error", async () => {
  const api = await startApi();
  await api.accept("user.kyc_approved", { user_id: "u2", secret_thing: "hidden-word" }, { id: "k" });
  const bearer = await token("relay:read");
  const paths = [
    "/v1/events?topic=user.*",
    "/v1/latest?topic=user.*",
    "/v1/events?topic=%",
    "/v1/events?type=user.*",
    "/v1/events/k",
    "/v1/events",
    "/metrics",
  ];
  for (const path of paths) expect((await api.get(path, bearer)).text).not.toContain("hidden-word");
  expect(api.logged.join()).not.toContain("hidden-word");
});

describe("routes and scopes", () => {
  const reading = ["/v1/events", "/v1/events/x", "/v1/quarantine"];

  test.each(reading)("%s needs relay:read", async (path) => {
    const api = await startApi();
    expect((await api.get(path)).status).toBe(401);
    const answer = await api.get(path, await token("events:*"));
    expect(answer).toMatchObject({
      status: 403,
      json: { code: "unauthorized", details: { scope: "relay:read" } },
    });
    for (const scope of ["relay:read", "relay:admin"]) {
      expect([200, 404]).toContain((await api.get(path, await token(scope))).status);
    }
  });

  test("a retry needs relay:admin", async () => {
    const api = await startApi();
    const path = "/v1/quarantine/q1/retry";
    expect((await api.send("POST", path)).status).toBe(401);
    expect(await api.send("POST", path, await token("relay:read events:*"))).toMatchObject({
      status: 403,
      json: { details: { scope: "relay:admin" } },
    });
    expect((await api.send("POST", path, await token("relay:admin"))).status).toBe(404);
  });

  test("a token in the URL is not taken", async () => {
    const api = await startApi();
    const bearer = await token("relay:read");
    for (const name of ["token", "access_token"]) {
      expect((await api.get(`/v1/events?${name}=${bearer}`)).status).toBe(401);
      const answer = await api.get(`/v1/events?${name}=${bearer}`, bearer);
      expect(answer.status).toBe(400);
      expect(answer.text).not.toContain(bearer);
    }
  });

  test("an answer of 401 says what was expected and how to log in", async () => {
    const api = await startApi();
    const without = await api.get("/v1/latest?topic=token.*");
    expect(without.headers.get("WWW-Authenticate")).toBe("Bearer");
    expect(without.json).toMatchObject({
      code: "unauthenticated",
      message: expect.stringContaining("Authorization: Bearer"),
    });
    const expired = await api.get("/v1/latest?topic=token.*", await token("", { exp: 1 }));
    expect(expired).toMatchObject({ status: 401, json: { details: { reason: "token_expired" } } });
    expect(expired.headers.get("WWW-Authenticate")).toBe('Bearer error="invalid_token"');
  });
});
