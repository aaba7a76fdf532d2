import { describe, expect, test, vi } from "vitest";
import { LogError, type LogRange, type Retention } from "../log/event-log.ts";
import { type ApiUnderTest, startApi, token } from "./api.test-server.ts";
import type { ApiDeps } from "./deps.ts";

const bearer = await token("relay:read events:*");

/** Reads page after page from a cursor (or the start) to the head, as a backup job would. */
async function readOn(api: ApiUnderTest, query: string, since?: string) {
  const ids: string[] = [];
  const gaps: object[] = [];
  let next = since;
  let pages = 0;
  for (;;) {
    const page = await api.get(`/v1/events?${query}${next === undefined ? "" : `&since=${next}`}`, bearer);
    expect(page.status).toBe(200);
    ids.push(...page.json.events.map((one: { event: { id: string } }) => one.event.id));
    if (page.json.gap !== undefined) gaps.push(page.json.gap);
    if (page.json.next === next || ++pages > 100) return { ids, gaps, next, pages };
    next = page.json.next;
  }
}

async function fill(api: ApiUnderTest, count: number, type = "transaction.created"): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await api.accept(type, { n: i })).id);
  return ids;
}

describe("GET /v1/events", () => {
  test("passes the event's bytes on as they came", async () => {
    const api = await startApi();
    const data =
      '{ "amount":10.50, "id":12345678901234567890,"name":"Zo\\u00eb Ω", "nested":{"a":[1.0,-0,1E400]} }';
    const entry = await api.accept("property.updated", data, { id: "evt_bytes" });
    for (const path of ["/v1/events", "/v1/events/evt_bytes", "/v1/latest?topic=property.*"]) {
      const answer = await api.get(path, bearer);
      expect(answer.text, path).toContain(entry.body.toString("utf8"));
      expect(answer.headers.get("Content-Type")).toBe("application/json; charset=utf-8");
      expect(answer.headers.get("Cache-Control")).toBe("no-store");
    }
  });

  test("says when and as what an event was received", async () => {
    const api = await startApi();
    await api.accept("token.price_changed", { token_id: "tök 1" }, { createdAt: 2_000_000_000_000_000 });
    const late = await api.accept(
      "token.price_changed",
      { token_id: "tök 1" },
      { createdAt: 1_000_000_000_000_000 },
    );
    const page = await api.get("/v1/events", bearer);
    expect(page.json.events[1]).toMatchObject({
      cursor: api.cursor(2),
      received_at: new Date(late.at).toISOString(),
      receipt: { late: true, filters: ["token_id=t%C3%B6k%201"] },
    });
    expect(page.json.next).toBe(api.cursor(2));
  });

  test("is empty on an empty log, and its next cursor works", async () => {
    const api = await startApi();
    const empty = await api.get("/v1/events", bearer);
    expect(empty.json).toEqual({ events: [], next: api.cursor(0) });
    const [id] = await fill(api, 1);
    expect((await readOn(api, "", empty.json.next)).ids).toEqual([id]);
  });

  test("pages through everything once and in order, whatever the limit", async () => {
    const api = await startApi();
    const ids = await fill(api, 300);
    for (const limit of [7, 100, 256, 1_000]) {
      const read = await readOn(api, `limit=${limit}`);
      expect(read.ids).toEqual(ids);
      expect(read.gaps).toEqual([]);
      expect(read.next).toBe(api.cursor(300));
    }
  });

  test("finds what is rare in long stretches of other events", async () => {
    const api = await startApi();
    await fill(api, 290);
    const rare = await api.accept("platform.feature_launched", {});
    await fill(api, 20);
    const query = "limit=1&topic=platform.*";
    expect((await readOn(api, query)).ids).toEqual([rare.id]);
    expect((await api.get(`/v1/events?${query}`, bearer)).json.events).toHaveLength(1);
  });

  test("takes types and topics, together or alone", async () => {
    const api = await startApi();
    const a = await api.accept("token.created", { token_id: "tok_1" });
    const b = await api.accept("token.price_changed", { token_id: "tok_1" });
    const c = await api.accept("token.price_changed", { token_id: "tok_2" });
    const d = await api.accept("property.created", { property_id: "p" });
    const found = async (query: string) => (await readOn(api, query)).ids;
    expect(await found("type=token.created&type=property.created")).toEqual([a.id, d.id]);
    expect(await found("topic=token.*%3Ftoken_id=tok_1")).toEqual([a.id, b.id]);
    expect(await found("topic=token.*%3Ftoken_id%3Dtok_1&type=token.price_changed")).toEqual([b.id]);
    expect(await found("topic=token.price_changed&topic=property.*")).toEqual([b.id, c.id, d.id]);
    expect(await found("type=no.such")).toEqual([]);
  });

  test("ends an answer when it is large enough, though never before the first event", async () => {
    const api = await startApi();
    const wide = { text: "x".repeat(1_500_000) };
    for (let i = 0; i < 5; i++) await api.accept("transaction.created", wide, { id: `wide${i}` });
    const first = await api.get("/v1/events", bearer);
    expect(first.json.events).toHaveLength(2);
    expect(first.json.next).toBe(api.cursor(2));
    expect((await readOn(api, "")).ids).toEqual(["wide0", "wide1", "wide2", "wide3", "wide4"]);
  });

  test.each<[string, RegExp]>([
    ["limit=0", /limit is "0"; expected a whole number from 1 to 1000/],
    ["limit=1001", /limit/],
    ["limit=1e2", /limit/],
    ["limit=5&limit=6", /limit stands more than once/],
    ["since=abc", /since is "abc"; expected a cursor <epoch>-<sequence>, for example/],
    ["since=", /since/],
    ["since=k3v9x2m7qa1z-01", /since/],
    ["type=token.*", /type is "token\.\*"; expected an event name/],
    ["type=relay.cursor", /type/],
    ["topic=token", /topic "token": expected an event name such as/],
    ["topic=token.*%3Fcolour%3Dred", /one of the keys/],
    ["topics=token.*", /unknown parameter "topics"; expected type, topic, since, limit/],
    [Array.from({ length: 101 }, () => "type=token.created").join("&"), /at most 100/],
  ])("refuses %s and says what it expects", async (query, message) => {
    const api = await startApi();
    const answer = await api.get(`/v1/events?${query}`, bearer);
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "validation_error", message: expect.stringMatching(message), details: {} },
    });
  });
});

describe("a cursor", () => {
  test("beyond the head of the running epoch is refused", async () => {
    const api = await startApi();
    await fill(api, 3);
    expect((await api.get(`/v1/events?since=${api.cursor(3)}`, bearer)).json).toEqual({
      events: [],
      next: api.cursor(3),
    });
    const answer = await api.get(`/v1/events?since=${api.cursor(4)}`, bearer);
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "validation_error", message: expect.stringContaining("beyond the newest event") },
    });
  });

  test("stays valid over a new epoch, without a gap", async () => {
    const before = await startApi();
    const old = await fill(before, 5);
    const { next } = (await before.get("/v1/events?limit=3", bearer)).json;
    const atHead = before.cursor(5);
    const after = await before.restart();
    expect(after.cursor(5)).not.toBe(atHead);
    const fresh = await fill(after, 2);
    expect(await readOn(after, "", next)).toMatchObject({ ids: [...old.slice(3), ...fresh], gaps: [] });
    expect(await readOn(after, "", atHead)).toMatchObject({ ids: fresh, gaps: [] });
    // each event keeps the cursor of the epoch that received it
    const cursors = (await after.get("/v1/events", bearer)).json.events.map(
      (one: { cursor: string }) => one.cursor,
    );
    expect(cursors).toEqual(
      [1, 2, 3, 4, 5].map((n) => before.cursor(n)).concat([6, 7].map((n) => after.cursor(n))),
    );
  });

  test("beyond where its epoch ended is cut down to there", async () => {
    const before = await startApi();
    await fill(before, 3);
    const after = await before.restart();
    const fresh = await fill(after, 2);
    expect(await readOn(after, "", before.cursor(900))).toMatchObject({ ids: fresh, gaps: [] });
  });

  test("of an unknown epoch is told so, and everything stored follows", async () => {
    const api = await startApi();
    const ids = await fill(api, 3);
    const since = "zzzzzzzzzzzz-77";
    const page = await api.get(`/v1/events?topic=transaction.*&since=${since}`, bearer);
    expect(page.json.gap).toEqual({
      topics: ["transaction.*"],
      reason: "unknown_cursor",
      certain: false,
      from: since,
      to: api.cursor(0),
    });
    expect(page.json.events.map((one: { event: { id: string } }) => one.event.id)).toEqual(ids);
  });
});

describe("what was trimmed", () => {
  const hour = 3_600_000;
  const retention: Retention = {
    default: { maxAgeMs: 24 * hour },
    types: new Map([["token.price_changed", { maxAgeMs: hour }]]),
  };

  /** 1 to 4, of which 1 and 3 are prices and gone; then 5, a price that is there. */
  async function trimmed(): Promise<ApiUnderTest> {
    const api = await startApi({ settings: { retention } });
    await api.accept("token.price_changed", { token_id: "tok_1" }, { id: "p1" });
    await api.accept("transaction.created", {}, { id: "t2" });
    await api.accept("token.price_changed", { token_id: "tok_2" }, { id: "p3" });
    await api.accept("transaction.created", {}, { id: "t4" });
    api.advance(2 * hour);
    await api.log.trim(1_000);
    await api.accept("token.price_changed", { token_id: "tok_1" }, { id: "p5" });
    return api;
  }

  test("is told as a gap that moves no cursor", async () => {
    const api = await trimmed();
    const page = await api.get(`/v1/events?since=${api.cursor(0)}`, bearer);
    expect(page.json.gap).toEqual({
      topics: ["*"],
      reason: "retention",
      certain: true,
      from: api.cursor(0),
      to: api.cursor(3),
    });
    expect(page.json.events.map((one: { event: { id: string } }) => one.event.id)).toEqual([
      "t2",
      "t4",
      "p5",
    ]);
  });

  test.each<[query: string, since: number, gap: object | undefined]>([
    ["topic=token.*", 0, { topics: ["token.*"], certain: true, to: 3 }],
    ["topic=token.*", 2, { topics: ["token.*"], certain: true, to: 3 }],
    ["topic=token.*", 3, undefined],
    ["topic=transaction.*", 0, undefined],
    [
      "topic=transaction.*&topic=token.price_changed",
      1,
      { topics: ["token.price_changed"], certain: true, to: 3 },
    ],
    ["topic=token.*%3Ftoken_id%3Dtok_9", 0, { topics: ["token.*?token_id=tok_9"], certain: false, to: 3 }],
    ["type=token.price_changed", 0, { topics: ["token.price_changed"], certain: true, to: 3 }],
    ["type=transaction.created", 0, undefined],
    ["topic=*&type=transaction.created", 0, undefined],
  ])("with %s after %i it is %j", async (query, since, gap) => {
    const api = await trimmed();
    const page = await api.get(`/v1/events?${query}&since=${api.cursor(since)}`, bearer);
    const expected = gap && { reason: "retention", from: api.cursor(since), ...gap, to: api.cursor(3) };
    expect(page.json.gap).toEqual(expected);
  });

  test("is no gap for one who was promised nothing", async () => {
    const api = await trimmed();
    const page = await api.get("/v1/events", bearer);
    expect(page.json).not.toHaveProperty("gap");
    expect(page.json.events).toHaveLength(3);
  });

  test("stands in the gap of an unknown cursor", async () => {
    const api = await trimmed();
    const page = await api.get("/v1/events?since=zzzzzzzzzzzz-1", bearer);
    expect(page.json.gap).toMatchObject({ reason: "unknown_cursor", to: api.cursor(3) });
  });

  test("is not found by its id", async () => {
    const api = await trimmed();
    expect((await api.get("/v1/events/p1", bearer)).status).toBe(404);
    expect((await api.get("/v1/events/p5", bearer)).status).toBe(200);
  });
});

describe("GET /v1/events/:id", () => {
  test("takes ids that need encoding, and refuses what is no id", async () => {
    const api = await startApi();
    for (const id of ["a/b", "ü ?&#", "%41"]) {
      await api.accept("transaction.created", {}, { id });
      expect((await api.get(`/v1/events/${encodeURIComponent(id)}`, bearer)).json, id).toMatchObject({
        event: { id },
      });
    }
    expect((await api.get(`/v1/events/${"x".repeat(129)}`, bearer)).status).toBe(400);
    expect((await api.get("/v1/events/a%0Ab", bearer)).status).toBe(400);
    expect((await api.get("/v1/events/unknown", bearer)).json).toEqual({
      code: "not_found",
      message: "no event with this id is stored",
      details: {},
    });
  });

  test("has the cursor that the list has", async () => {
    const before = await startApi();
    await fill(before, 2);
    const after = await before.restart();
    await fill(after, 2);
    const page = await after.get("/v1/events", bearer);
    for (const one of page.json.events) {
      expect((await after.get(`/v1/events/${one.event.id}`, bearer)).json).toEqual(one);
    }
  });
});

describe("a log that fails", () => {
  type Log = ApiDeps["log"];
  async function startWith(change: (api: ApiUnderTest) => Partial<Log>): Promise<ApiUnderTest> {
    let under: ApiUnderTest | undefined;
    const running = (): ApiUnderTest => {
      if (under === undefined) throw new Error("not started");
      return under;
    };
    const log: Log = {
      readRange: (...args) =>
        (change(running()).readRange ?? running().log.readRange.bind(running().log))(...args),
      readEvent: (...args) =>
        (change(running()).readEvent ?? running().log.readEvent.bind(running().log))(...args),
      get quarantine() {
        return running().log.quarantine;
      },
    };
    under = await startApi({ deps: { log } });
    return under;
  }

  test.each([["unavailable"], ["not_writable"], ["unusable"], ["closed"]] as const)(
    "with %s is answered 503, and later all is well",
    async (code) => {
      let broken = true;
      const fail = async () => {
        throw new LogError(code, "internal words");
      };
      const api = await startWith(() => (broken ? { readRange: fail, readEvent: fail } : {}));
      await fill(api, 1);
      for (const path of ["/v1/events", "/v1/events/x"]) {
        const answer = await api.get(path, bearer);
        expect(answer).toMatchObject({ status: 503, json: { code: "unavailable" } });
        expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0);
        expect(answer.text).not.toContain("internal words");
      }
      expect(api.logged.join()).toContain(code);
      broken = false;
      expect((await api.get("/v1/events", bearer)).status).toBe(200);
    },
  );

  test("by a fault of ours is answered 500 without details", async () => {
    const api = await startWith(() => ({
      readEvent: async () => {
        throw new TypeError("internal words");
      },
    }));
    expect(await api.get("/v1/events/x", bearer)).toMatchObject({
      status: 500,
      json: { code: "server_error", details: {} },
    });
    expect(api.logged.join()).toContain("internal words");
  });

  const otherEpoch = (range: LogRange): LogRange => ({
    ...range,
    epoch: "zzzzzzzzzzzz" as LogRange["epoch"],
  });
  const fallenBack = (range: LogRange): LogRange => ({ ...range, head: range.through - 1 });
  test.each<[string, (range: LogRange) => LogRange]>([
    ["began another epoch", otherEpoch],
    ["lies behind what it was", fallenBack],
  ])("because it %s gives no page of the branch that may be dead", async (_name, change) => {
    const api = await startWith((under) => ({
      readRange: async (...args) => change(await under.log.readRange(...args)),
    }));
    const [id] = await fill(api, 2);
    expect(await api.get("/v1/events", bearer)).toMatchObject({ status: 503, json: { code: "unavailable" } });
    if (change === otherEpoch) expect((await api.get(`/v1/events/${id}`, bearer)).status).toBe(503);
  });

  test("to go on does not make the relay read for ever", async () => {
    let reads = 0;
    const api = await startWith(() => ({
      readRange: async (after, through) => {
        reads++;
        return {
          epoch: api.follower.tail?.history.at(-1)?.epoch ?? "",
          head: 1e9,
          trimmedThrough: new Map(),
          after,
          through,
          entries: [],
        } as LogRange;
      },
    }));
    Object.defineProperty(api.follower.tail, "position", { value: 10_000_000, configurable: true });
    const page = await api.get("/v1/events", bearer);
    expect(page).toMatchObject({ status: 200, json: { events: [] } });
    expect(reads).toBeLessThanOrEqual(256);
    expect(Number(page.json.next.split("-")[1])).toBeGreaterThan(256);
    delete (api.follower.tail as { position?: number } | undefined)?.position;
  });

  test("to answer in time does not pile up reads", async () => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const api = await startWith((under) => ({
      readRange: async (...args) => {
        await released;
        return under.log.readRange(...args);
      },
    }));
    await fill(api, 1);
    let refused = 0;
    const answers = Array.from({ length: 12 }, async () => {
      const answer = await api.get("/v1/events", bearer);
      if (answer.status === 429) refused++;
      return answer;
    });
    await vi.waitFor(() => expect(refused).toBe(4), { timeout: 15_000 });
    release();
    const statuses = (await Promise.all(answers)).map((answer) => answer.status).sort();
    expect(statuses).toEqual([...Array(8).fill(200), ...Array(4).fill(429)]);
    expect((await api.get("/v1/events", bearer)).status).toBe(200);
  });
});
