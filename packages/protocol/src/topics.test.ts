import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventTypes, filterKeys } from "./catalogue.ts";
import { anyText, event, filter, pattern, topic, witness } from "./topics.test-arbitraries.ts";
import {
  covers,
  isFilterValue,
  isRoutableType,
  makeTopic,
  matches,
  maxTypeLength,
  maxValueLength,
  parseTopic,
  roomsOf,
  routingOf,
  type Topic,
} from "./topics.ts";

/** A topic that must parse. */
function read(text: string): Topic {
  const parsed = parseTopic(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`);
  return parsed.topic;
}

/** The text with some of its characters percent-encoded that need not be, in either case of the digits. */
function respell(value: string, choices: readonly boolean[]): string {
  return [...value]
    .map((character, i) => {
      const encoded = encodeURIComponent(character);
      if (encoded !== character) return choices[i] === true ? encoded.toLowerCase() : encoded;
      return choices[i] === true ? `%${character.charCodeAt(0).toString(16).padStart(2, "0")}` : character;
    })
    .join("");
}

describe("a topic", () => {
  it("is read back as it was printed, with its pattern and its filter", () => {
    fc.assert(
      fc.property(topic, (t) => {
        expect(parseTopic(t.name)).toEqual({ ok: true, topic: t });
      }),
    );
  });

  it("is the same however its value is encoded, and prints in one form only", () => {
    fc.assert(
      fc.property(
        pattern,
        filter,
        fc.array(fc.boolean(), { minLength: 128, maxLength: 128 }),
        (of, by, choices) => {
          const canonical = makeTopic(of, by);
          const text = `${makeTopic(of).name}?${by.key}=${respell(by.value, choices)}`;
          expect(parseTopic(text)).toEqual({ ok: true, topic: canonical });
        },
      ),
    );
  });

  it("prints as something that is accepted again and stays as it is, whatever was accepted", () => {
    const piece = fc.constantFrom(
      ..."token created . * .* ? = token_id address user_id relay webhook a A 1 _ - \n".split(" "),
      ..."%41 %c3%9c %C4%B0 %CE%A3 %E2%84%AA % %ED%A0%80 %20".split(" "),
    );
    const tail = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
    const repeated = fc
      .tuple(tail, fc.integer({ min: 1, max: 130 }))
      .map(([text, times]) => text.repeat(times));
    const text = fc.oneof(
      tail,
      fc.tuple(pattern, fc.constantFrom(...filterKeys), repeated).map(([p, key, value]) => {
        return `${makeTopic(p).name}?${key}=${value}`;
      }),
    );
    let accepted = 0;
    fc.assert(
      fc.property(text, (asked) => {
        const parsed = parseTopic(asked);
        if (!parsed.ok) return;
        accepted++;
        expect(parseTopic(parsed.topic.name)).toEqual(parsed);
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  it("is refused with a message and without an exception, whatever text or thing is given", () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.anything()), (asked) => {
        const parsed = parseTopic(asked);
        if (parsed.ok) expect(typeof asked).toBe("string");
        else expect(parsed.message).not.toBe("");
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["*", "*"],
    ["token.*", "token.*"],
    ["token.price_changed", "token.price_changed"],
    ["vendor.new_thing.v2", "vendor.new_thing.v2"],
    ["0.1", "0.1"],
    ["token.*?token_id=tok_1", "token.*?token_id=tok_1"],
    ["*?address=0xABCdef", "*?address=0xabcdef"],
    ["token.created?token_id=Tok_1", "token.created?token_id=Tok_1"],
    ["token.created?token_id=%74ok_1", "token.created?token_id=tok_1"],
    ["user.*?user_id=a%20b%26c%3D%3f", "user.*?user_id=a%20b%26c%3D%3F"],
    ["user.*?user_id=%c3%bc", "user.*?user_id=%C3%BC"],
    ["user.*?user_id=%00", "user.*?user_id=%00"],
    ["user.*?user_id=!~*'()-_.", "user.*?user_id=!~*'()-_."],
  ])("written %s is %s", (asked, name) => {
    expect(read(asked).name).toBe(name);
  });

  it.each<[unknown, string]>([
    ["", "nothing"],
    ["token", "a group without .*"],
    ["token.", "an empty name"],
    [".created", "an empty group"],
    ["token..created", "an empty part"],
    ["Token.created", "a capital letter"],
    ["token.price-changed", "a hyphen"],
    [" token.created", "white space before"],
    ["token.created ", "white space after"],
    ["token.created\n", "a line break after"],
    ["*\n", "a line break after *"],
    ["token.*\n", "a line break after a group"],
    ["token.created,token.issued", "two topics"],
    ["**", "two stars"],
    ["*.*", "a star for a group"],
    ["token.*.x", "a star in the middle"],
    ["token.price_*", "a star in a name"],
    ["a.b.*", "a group of two parts"],
    ["tokén.created", "a letter that is not ASCII"],
    ["relay.cursor", "the relay's own group"],
    ["relay.*", "the relay's own group"],
    ["webhook.verification", "the vendor's own group"],
    ["webhook.*", "the vendor's own group"],
    ["?token_id=1", "no pattern"],
    ["token.created?", "no filter"],
    ["token.created?token_id", "no value"],
    ["token.created?token_id=", "an empty value"],
    ["token.created?=tok_1", "no key"],
    ["token.created?symbol=ABC", "a key that is none"],
    ["token.created?Token_id=1", "a key in capitals"],
    ["token.created?token%5Fid=1", "an encoded key"],
    ["token.created?constructor=1", "a key of every object"],
    ["token.created?__proto__=1", "a key of every object"],
    ["token.created?token_id=1&property_id=2", "two keys"],
    ["token.created?token_id=1?token_id=1", "two filters"],
    ["token.created?token_id=a b", "a space that is not encoded"],
    ["token.created?token_id=ü", "a letter that is not encoded"],
    ["token.created?token_id=a+b=c", "a sign that is not encoded"],
    ["token.created?token_id=%", "half an escape"],
    ["token.created?token_id=%4", "half an escape"],
    ["token.created?token_id=%zz", "an escape that is none"],
    ["token.created?token_id=%ff", "bytes that are no UTF-8"],
    ["token.created?token_id=%C0%80", "UTF-8 in a longer form"],
    ["token.created?token_id=%ED%A0%80", "an encoded lone surrogate"],
    ["token.created?token_id=\ud800", "a lone surrogate"],
    [`a.${"b".repeat(maxTypeLength - 1)}`, "a name of 65 characters"],
    [`${"a".repeat(maxTypeLength + 1)}.*`, "a group of 65 characters"],
    [`token.created?token_id=${"x".repeat(maxValueLength + 1)}`, "a value of 129 characters"],
    [`token.created?token_id=${"%41".repeat(maxValueLength + 1)}`, "a value of 129 encoded characters"],
    [`token.created?token_id=${"x".repeat(1_000_000)}`, "a megabyte"],
    [undefined, "nothing at all"],
    [null, "null"],
    [7, "a number"],
    [["token.created"], "a list"],
    [{ pattern: "token.created" }, "an object"],
    [Object("token.created"), "a String object"],
  ])("is not %j: %s", (asked) => {
    expect(parseTopic(asked)).toMatchObject({ ok: false, message: expect.stringMatching(/./) });
  });

  it.each([
    ["token.created?symbol=ABC", "token_id, property_id, transaction_id, user_id, address"],
    ["Token.created", "token.price_changed"],
    ["relay.*", "relay is reserved"],
    [`token.created?token_id=${"x".repeat(maxValueLength + 1)}`, "128"],
  ])("that is refused, %s, is told %s", (asked, expected) => {
    expect(parseTopic(asked)).toMatchObject({ ok: false, message: expect.stringContaining(expected) });
  });

  it("may be as long as its parts allow, however they are encoded", () => {
    const type = `a.${"b".repeat(maxTypeLength - 2)}`;
    for (const character of ["x", "%", "€", "𝕏"]) {
      const value = character.repeat(maxValueLength / character.length);
      const text = `${type}?transaction_id=${[...value].map((c) => encodeURIComponent(c)).join("")}`;
      expect(read(text).filter?.value).toBe(value);
    }
  });

  it("keeps an address at its longest within the limit: lower case makes no letter longer, nor two of them one", () => {
    const dotted = read(`*?address=${encodeURIComponent("İ".repeat(maxValueLength))}`);
    expect(parseTopic(dotted.name)).toEqual({ ok: true, topic: dotted });
    // the Kelvin sign and a K are two addresses
    expect(read("*?address=%E2%84%AA").name).not.toBe(read("*?address=K").name);
  });
});

describe("the name of an event", () => {
  it.each([
    "token.created",
    "a.b",
    "_._",
    "0.0.0",
    "vendor.new_thing.v2",
    `a.${"b".repeat(maxTypeLength - 2)}`,
  ])("may be %s", (type) => expect(isRoutableType(type)).toBe(true));

  it.each([
    ...["", ".", "token", "tokens", "token.", ".created", "a..b", "A.b", "a.b-c", "a b.c", "a.*", "*"],
    ...["a.b\n", "relay.cursor", "webhook.verification", "relay.a.b", "__proto__"],
    `a.${"b".repeat(maxTypeLength - 1)}`,
  ])("may not be %j", (type) => expect(isRoutableType(type)).toBe(false));

  it("can be one that the catalogue does not know", () => {
    expect(eventTypes.every(isRoutableType)).toBe(true);
    expect(isRoutableType("__proto__.constructor")).toBe(true);
  });
});

describe("a topic covers", () => {
  const few = ["*", "token.*", "user.*", "token.created", "token.issued", "user.registered"].flatMap((of) =>
    ["", "?token_id=1", "?token_id=2", "?user_id=1", "?address=0xab"].map((by) => read(of + by)),
  );

  it("itself", () => {
    for (const t of few) expect(covers(t, t), t.name).toBe(true);
    fc.assert(
      fc.property(topic, (t) => {
        expect(covers(t, t)).toBe(true);
      }),
    );
  });

  it("what is covered by a topic that it covers", () => {
    for (const a of few) {
      for (const b of few.filter((t) => covers(a, t))) {
        for (const c of few.filter((t) => covers(b, t))) {
          expect(covers(a, c), `${a.name}, ${b.name}, ${c.name}`).toBe(true);
        }
      }
    }
  });

  it("no topic that covers it, but one of the same name", () => {
    for (const a of few) for (const b of few) expect(covers(a, b) && covers(b, a)).toBe(a === b);
    fc.assert(
      fc.property(topic, topic, (a, b) => {
        expect(covers(a, b) && covers(b, a)).toBe(a.name === b.name);
      }),
      { numRuns: 5_000 },
    );
  });

  it("a topic exactly if it matches whatever that topic matches", () => {
    let covered = 0;
    fc.assert(
      fc.property(topic, topic, event, (wide, narrow, some) => {
        expect(matches(narrow, witness(narrow))).toBe(true);
        expect(covers(wide, narrow)).toBe(matches(wide, witness(narrow)));
        if (!covers(wide, narrow)) return;
        covered++;
        // an event of the narrow topic, with whatever else it has to be routed by
        const { type, filters } = witness(narrow);
        expect(matches(wide, { type, filters: [...some.filters, ...filters] })).toBe(true);
        if (matches(narrow, some)) expect(matches(wide, some)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
    expect(covered).toBeGreaterThan(50);
  });

  it.each([
    ["*", "token.*", true],
    ["*", "token.created?token_id=1", true],
    ["token.*", "token.price_changed", true],
    ["token.*", "token.*?token_id=1", true],
    ["token.*", "token.price_changed?address=0x1", true],
    ["token.*?token_id=1", "token.created?token_id=1", true],
    ["token.*?address=0xAB", "token.transferred?address=0xab", true],
    ["token.created", "token.created?token_id=1", true],
    ["token.*", "*", false],
    ["token.created", "token.*", false],
    ["token.*", "tokens.created", false],
    ["token.*", "token_x.created", false],
    ["token.created", "token.created.v2", false],
    ["token.*?token_id=1", "token.*", false],
    ["token.*?token_id=1", "token.*?token_id=2", false],
    ["token.*?token_id=1", "token.*?property_id=1", false],
    ["token.*?token_id=t", "token.*?token_id=T", false],
    ["*?token_id=1", "token.created", false],
    ["user.*?user_id=1", "*?user_id=1", false],
  ])("%s, %s: %s", (wide, narrow, covered) => {
    expect(covers(read(wide), read(narrow))).toBe(covered);
  });
});

describe("an event", () => {
  it("is in the room of a topic exactly if the topic matches it", () => {
    let matched = 0;
    fc.assert(
      fc.property(topic, event, (t, e) => {
        expect(matches(t, e)).toBe(roomsOf(e).includes(t.name));
        if (matches(t, e)) matched++;
      }),
      { numRuns: 5_000 },
    );
    expect(matched).toBeGreaterThan(100);
  });

  it("goes to rooms that are each named once, by a topic that parses and matches it", () => {
    fc.assert(
      fc.property(event, (e) => {
        const rooms = roomsOf(e);
        expect(new Set(rooms).size).toBe(rooms.length);
        for (const name of rooms) {
          const named = read(name);
          expect(named.name).toBe(name);
          expect(matches(named, e)).toBe(true);
        }
      }),
    );
  });

  it("is routed only by what a topic can name: each filter once, valid, addresses in lower case", () => {
    fc.assert(
      fc.property(event, ({ type, filters }) => {
        const names = filters.map((f) => makeTopic({ kind: "type", type }, f).name);
        expect(new Set(names).size).toBe(names.length);
        for (const f of filters) {
          expect(isFilterValue(f.value)).toBe(true);
          if (f.key === "address") expect(f.value).not.toMatch(/[A-Z]/);
        }
      }),
    );
  });

  it.each([
    ["token.created", { token_id: "tok_1" }, ["token_id=tok_1"]],
    ["token.created", { id: "tok_1" }, ["token_id=tok_1"]],
    ["token.created", { token_id: "tok_1", id: "other" }, ["token_id=tok_1"]],
    ["token.created", { token_id: null, id: "tok_1" }, ["token_id=tok_1"]],
    ["token.created", { token_id: "tok_1", property_id: "p" }, ["token_id=tok_1", "property_id=p"]],
    ["property.created", { id: "p", token_id: "tok_1" }, ["token_id=tok_1", "property_id=p"]],
    ["transaction.created", { id: "t" }, ["transaction_id=t"]],
    ["user.registered", { id: "u" }, ["user_id=u"]],
    ["platform.feature_launched", { id: "x" }, []],
    ["vendor.thing", { id: "x", user_id: "u" }, ["user_id=u"]],
    ["tokens.created", { id: "x" }, []],
    ["token.created", { token_id: 42 }, ["token_id=42"]],
    ["token.created", { token_id: -0.5 }, ["token_id=-0.5"]],
    ["token.created", { token_id: "Tok_1" }, ["token_id=Tok_1"]],
    ["token.created", { token_id: "" }, []],
    ["token.created", { token_id: true }, []],
    ["token.created", { token_id: ["tok_1"] }, []],
    ["token.created", { token_id: { id: "tok_1" } }, []],
    ["token.created", { token_id: "x".repeat(maxValueLength + 1) }, []],
    ["token.created", { token_id: "\ud800" }, []],
    ["token.transferred", { from_address: "0xAB", to_address: "0xCD" }, ["address=0xab", "address=0xcd"]],
    ["token.transferred", { from_address: "0xAB", to_address: "0xab" }, ["address=0xab"]],
    [
      "transaction.completed",
      { buyer_address: "0xB", seller_address: "0xA" },
      ["address=0xb", "address=0xa"],
    ],
    ["property.created", { address: "1 Main Street" }, []],
    ["token.created", { wallet_address: "0xAB" }, []],
  ])("%s with %j is routed by %j", (type, data, filters) => {
    expect(routingOf(type, data).filters.map((f) => `${f.key}=${f.value}`)).toEqual(filters);
  });

  it("is routed by its own fields alone", () => {
    expect(routingOf("token.created", Object.create({ token_id: "tok_1" })).filters).toEqual([]);
    expect(routingOf("token.created", JSON.parse('{"__proto__":{"token_id":"tok_1"}}')).filters).toEqual([]);
  });

  it("is routed by a number as it was written, where that is known", () => {
    const digits = new Map([["token_id", "12345678901234567890"]]);
    const routing = routingOf("token.created", { token_id: 1, property_id: 2 }, (field) => digits.get(field));
    expect(routing.filters).toEqual([{ key: "token_id", value: "12345678901234567890" }]);
  });
});
