import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type EnvelopeResult, readDocument, readEnvelope } from "./envelope.ts";

function read(text: string | Buffer): EnvelopeResult | string {
  const body = Buffer.from(text);
  const document = readDocument(body);
  return document.ok ? readEnvelope(document.document, body) : document.reason;
}

function envelope(parts: Readonly<Record<string, unknown>> = {}): EnvelopeResult | string {
  return read(
    JSON.stringify({
      id: "evt_1",
      type: "token.created",
      created_at: "2026-01-15T10:30:00Z",
      data: {},
      ...parts,
    }),
  );
}

function withData(data: string, type = "token.created"): EnvelopeResult | string {
  return read(`{"id":"evt_1","type":"${type}","created_at":"2026-01-15T10:30:00Z","data":${data}}`);
}

const wrong = (field?: string) => ({ ok: false, field });

describe("a body", () => {
  it("must be UTF-8 without overlong forms, surrogates and a byte order mark", () => {
    const bad = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0x80]];
    for (const bytes of bad) {
      expect(read(Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]))).toBe(
        "invalid_json",
      );
    }
    expect(read(`\ufeff${JSON.stringify({})}`)).toBe("invalid_json");
    expect(read(Buffer.from('{"a":1}', "utf16le"))).toBe("invalid_json");
    expect(envelope({ data: { name: "é\u{10ffff}湖\ufeff" } })).toMatchObject({ ok: true });
  });

  it("must be JSON, the whole of it", () => {
    for (const text of [
      "",
      " ",
      "{",
      "{}{}",
      "{'a':1}",
      '{"a":1,}',
      "NaN",
      "[1,]",
      "undefined",
      '{"a":01}',
      "\v{}",
    ]) {
      expect([text, read(text)]).toEqual([text, "invalid_json"]);
    }
  });

  it("must be an object", () => {
    for (const text of ["[]", "null", "1", '"x"', "true"]) expect(read(text)).toMatchObject(wrong());
  });

  it("may be 64 levels deep and no more, and is refused for it before it is parsed", () => {
    const nested = (depth: number) => withData(`{"a":${"[".repeat(depth - 2)}${"]".repeat(depth - 2)}}`);
    expect(nested(64)).toMatchObject({ ok: true });
    expect(nested(65)).toBe("invalid_event");
    expect(read("[".repeat(200_000))).toBe("invalid_event");
  });
});

describe("the envelope", () => {
  it("gives the event with its time in microseconds and with the same bytes", () => {
    const body = Buffer.from(
      '{"created_at":"2026-01-15T10:30:00.000001Z","extra":[1],"id":"evt_1","data":{"a":1},"type":"user.registered"}',
    );
    const document = readDocument(body);
    const result = document.ok && readEnvelope(document.document, body);
    expect(result).toEqual({
      ok: true,
      data: { a: 1 },
      event: {
        id: "evt_1",
        type: "user.registered",
        createdAt: Date.UTC(2026, 0, 15, 10, 30) * 1000 + 1,
        filters: [],
        body,
      },
    });
    if (result && "event" in result) expect(result.event.body).toBe(body);
  });

  it("names the field that is wrong or missing", () => {
    for (const field of ["id", "type", "created_at", "data"]) {
      for (const value of [undefined, null, 5, [], true, ""]) {
        expect([field, value, envelope({ [field]: value })]).toMatchObject([field, value, wrong(field)]);
      }
    }
    expect(envelope({ id: {} })).toMatchObject(wrong("id"));
    expect(envelope({ data: "{}" })).toMatchObject(wrong("data"));
  });

  it("may have no key twice, however the key is written", () => {
    const rest = '"type":"token.created","created_at":"2026-01-15T10:30:00Z","data":{}}';
    expect(read(`{"id":"a","id":"b",${rest}`)).toMatchObject(wrong("id"));
    expect(read(`{"id":"a","\\u0069d":"a",${rest}`)).toMatchObject(wrong("id"));
    expect(read(`{"id":"a","data":{"x":1},${rest}`)).toMatchObject(wrong("data"));
    expect(read(`{"id":"a","x":1,"x":1,${rest}`)).toMatchObject(wrong());
    expect(withData('{"a":1,"a":2}')).toMatchObject({ ok: true });
  });

  it("takes the types that can be routed, known or not, and none of a reserved group", () => {
    for (const type of ["token.created", "a.b", "new_group.some.deep_type", `a.${"b".repeat(62)}`]) {
      expect([type, envelope({ type })]).toMatchObject([type, { ok: true, event: { type } }]);
    }
    const others = [
      "token",
      "Token.created",
      "token.",
      ".created",
      "token..x",
      "token.é",
      "a b.c",
      `a.${"b".repeat(63)}`,
    ];
    for (const type of [
      ...others,
      "token.created\n",
      "*",
      "token.*",
      "relay.gap",
      "relay.x.y",
      "webhook.verification",
    ]) {
      expect([type, envelope({ type })]).toMatchObject([type, wrong("type")]);
    }
    expect(envelope({ type: "relay.cursor" })).toMatchObject({
      message: expect.stringContaining("group relay"),
    });
  });

  it("is not moved by keys that mean something to a prototype", () => {
    const complete = '"id":"a","type":"token.created","created_at":"2026-01-15T10:30:00Z"';
    expect(read(`{"__proto__":{"data":{}},${complete}}`)).toMatchObject(wrong("data"));
    expect(
      withData('{"__proto__":{"token_id":"x"},"constructor":{"prototype":{"token_id":"y"}}}'),
    ).toMatchObject({
      ok: true,
      event: { filters: [] },
    });
    expect(withData('{"id":"__proto__"}')).toMatchObject({ event: { entity: "__proto__" } });
    expect(envelope({ id: "constructor" })).toMatchObject({ ok: true });
    expect(({} as Record<string, unknown>)["token_id"]).toBeUndefined();
  });

  it("is what the sender wrote, even where something else has spoilt the prototype of all objects", () => {
    try {
      Object.defineProperty(Object.prototype, "data", { value: {}, configurable: true });
      Object.defineProperty(Object.prototype, "token_id", { value: "x", configurable: true });
      expect(envelope({ data: undefined })).toMatchObject(wrong("data"));
      expect(envelope()).toMatchObject({ ok: true, event: { filters: [] } });
    } finally {
      for (const key of ["data", "token_id"]) Reflect.deleteProperty(Object.prototype, key);
    }
  });
});

describe("an id", () => {
  it("has 1 to 128 characters", () => {
    expect(envelope({ id: "x".repeat(128) })).toMatchObject({ ok: true });
    expect(envelope({ id: "x".repeat(129) })).toMatchObject(wrong("id"));
    expect(envelope({ id: "🏡".repeat(128) })).toMatchObject({ ok: true });
    expect(envelope({ id: "🏡".repeat(129) })).toMatchObject(wrong("id"));
  });

  it("is of printable characters", () => {
    for (const id of ["evt_7Hq2", "a b", "é", "e\u0301", "湖畔", "🏡", "№5", "~!", "١٢٣", "€"]) {
      expect([id, envelope({ id })]).toMatchObject([id, { ok: true, event: { id } }]);
    }
  });

  it("has nothing in it that cannot be seen or that changes what is seen", () => {
    const unseen = [
      "\u0000",
      "\t",
      "\n",
      "\r",
      "\u001f",
      "\u007f",
      "\u0080",
      "\u0085",
      "\u009f", // control
      "\u00a0",
      "\u1680",
      "\u2003",
      "\u2028",
      "\u2029",
      "\u202f",
      "\u3000", // white space but for U+0020
      "\u00ad",
      "\u061c",
      "\u200b",
      "\u200c",
      "\u200d",
      "\u2060",
      "\ufeff",
      "\u{e0041}", // format
      "\u200e",
      "\u200f",
      "\u202a",
      "\u202b",
      "\u202c",
      "\u202d",
      "\u202e",
      "\u2066",
      "\u2067",
      "\u2068",
      "\u2069", // bidi
      "\u034f",
      "\u115f",
      "\u3164",
      "\uffa0",
      "\ufe0f",
      "\u180b",
      "\u{e0100}", // drawn as nothing
      "\ud800",
      "\udfff",
      "\udc00\ud800", // lone surrogates
      "\ue000",
      "\u{f0000}",
      "\ufdd0",
      "\uffff",
      "\u{10ffff}", // private, no characters
    ];
    for (const character of unseen) {
      expect([character, envelope({ id: `a${character}b` })]).toMatchObject([character, wrong("id")]);
    }
  });

  it("has of all white space the space alone", () => {
    const spaces = Array.from({ length: 0x1_0000 }, (_, i) => String.fromCharCode(i)).filter((c) =>
      /\p{Z}/u.test(c),
    );
    expect(spaces.length).toBeGreaterThan(15);
    const taken = spaces.filter((space) =>
      JSON.stringify(envelope({ id: `a${space}b` })).startsWith('{"ok":true'),
    );
    expect(taken).toEqual([" "]);
  });

  it("is taken exactly if each of its characters is, wherever it stands", () => {
    const character = fc.integer({ min: 0, max: 0x10ffff }).map((code) => String.fromCodePoint(code));
    fc.assert(
      fc.property(fc.array(character, { minLength: 1, maxLength: 6 }), (characters) => {
        const ok = (id: string) => {
          const result = envelope({ id });
          return typeof result === "object" && result.ok;
        };
        expect(ok(characters.join(""))).toBe(characters.every((one) => ok(one)));
      }),
    );
  });
});

describe("the routing of an event", () => {
  it("keeps the digits of numbers as they were written", () => {
    expect(withData('{"token_id":12345678901234567890}')).toMatchObject({
      event: {
        filters: [{ key: "token_id", value: "12345678901234567890" }],
        entity: "12345678901234567890",
      },
    });
    expect(withData('{"token_id":10.50,"property_id":1E2,"user_id":-0}')).toMatchObject({
      event: {
        filters: [
          { key: "token_id", value: "10.50" },
          { key: "property_id", value: "1E2" },
          { key: "user_id", value: "-0" },
        ],
      },
    });
    expect(withData('{"id":007}')).toBe("invalid_json");
    expect(withData('{"id":7}')).toMatchObject({ event: { entity: "7" } });
    expect(withData('{"token_id":1,"token_id":"two"}')).toMatchObject({ event: { entity: "two" } });
    expect(withData('{"token_id":"one","token_id":2}')).toMatchObject({ event: { entity: "2" } });
  });

  it("has an entity for tokens and properties, and none for all else", () => {
    const data = '{"token_id":"t","property_id":"p","transaction_id":"x","user_id":"u"}';
    expect(withData(data, "token.created")).toMatchObject({ event: { entity: "t" } });
    expect(withData(data, "property.sold")).toMatchObject({ event: { entity: "p" } });
    for (const type of ["transaction.created", "user.registered", "platform.x"]) {
      const result = withData(data, type);
      expect(typeof result === "object" && result.ok && "entity" in result.event).toBe(false);
    }
    const none = withData("{}", "token.created");
    expect(typeof none === "object" && none.ok && "entity" in none.event).toBe(false);
  });

  it("has no filter for values that cannot be asked for", () => {
    for (const value of [
      '""',
      "null",
      "true",
      "{}",
      "[]",
      '"\\ud800"',
      `"${"x".repeat(129)}"`,
      "1".repeat(129),
    ]) {
      expect([value, withData(`{"token_id":${value}}`)]).toMatchObject([
        value,
        { ok: true, event: { filters: [] } },
      ]);
    }
  });

  it("knows the addresses in lower case", () => {
    expect(
      withData('{"from_address":"0xAbC","to_address":"0xabc","buyer_address":"0xDEF"}', "token.transferred"),
    ).toMatchObject({
      event: {
        filters: [
          { key: "address", value: "0xabc" },
          { key: "address", value: "0xdef" },
        ],
      },
    });
  });
});
