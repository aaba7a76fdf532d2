import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { scanJson } from "./json-scan.ts";

const everything: ReadonlySet<string> = { has: () => true } as unknown as ReadonlySet<string>;
const scan = (text: string, maxDepth = 1_000) => scanJson(text, maxDepth, everything);

/** A JSON text before it is one: keys may stand twice, numbers and strings are as written. */
type Tree =
  | { readonly kind: "leaf"; readonly text: string }
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "array"; readonly items: readonly Tree[] }
  | { readonly kind: "object"; readonly members: readonly (readonly [string, Tree])[] };

const unit = fc
  .oneof(
    fc.integer({ min: 0, max: 0x7f }),
    fc.integer({ min: 0, max: 0xffff }),
    fc.constantFrom(0x22, 0x5c, 0x1f3e1, 0x10ffff),
  )
  .map((code) => String.fromCodePoint(code));
const numberText = fc.oneof(
  fc.stringMatching(/^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?$/),
  fc.constantFrom("0", "-0", "10.50", "12345678901234567890", "1E400", "1e-7"),
);
/** Keys that meet often, so that some stand twice. */
const keyName = fc.oneof(
  fc.constantFrom("data", "id", "a", "token_id", "__proto__", "constructor", "", "é", '"', "\\", "😀"),
  fc.string({ unit, maxLength: 4 }),
);
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      fc
        .constantFrom("true", "false", "null", '""', '"{[,:]}"', '"\\"}"', '"\\\\"', '"1"')
        .map((text): Tree => ({ kind: "leaf", text })),
      fc.string({ unit }).map((text): Tree => ({ kind: "leaf", text: JSON.stringify(text) })),
      numberText.map((text): Tree => ({ kind: "number", text })),
    ),
    fc.array(tie("tree"), { maxLength: 4 }).map((items): Tree => ({ kind: "array", items })),
    fc
      .array(fc.tuple(keyName, tie("tree")), { maxLength: 6 })
      .map((members): Tree => ({ kind: "object", members })),
  ),
}));
/** Bodies that are like events: an object with `data` somewhere in it. */
const body = fc.oneof(
  tree,
  fc
    .tuple(
      fc.array(fc.tuple(keyName, tree), { maxLength: 3 }),
      fc.array(fc.tuple(keyName, tree), { maxLength: 6 }),
    )
    .map(
      ([outer, inner]): Tree => ({
        kind: "object",
        members: [...outer, ["data", { kind: "object", members: inner }]],
      }),
    ),
);

/** Prints with white space and with escapes in keys, both drawn from `noise`. */
function print(node: Tree, noise: () => number): string {
  const space = () => ["", "", " ", "\n", "\t\r "][noise() % 5] ?? "";
  const key = (name: string) => {
    if (noise() % 3 > 0) return JSON.stringify(name);
    const units = Array.from({ length: name.length }, (_, i) =>
      name.charCodeAt(i).toString(16).padStart(4, "0"),
    );
    return `"${units.map((unit) => `\\u${unit}`).join("")}"`;
  };
  switch (node.kind) {
    case "array":
      return `[${space()}${node.items.map((item) => print(item, noise)).join(`${space()},${space()}`)}${space()}]`;
    case "object": {
      const members = node.members.map(
        ([name, value]) => `${key(name)}${space()}:${space()}${print(value, noise)}`,
      );
      return `{${space()}${members.join(`${space()},${space()}`)}${space()}}`;
    }
    case "leaf":
    case "number":
      return node.text;
  }
}

function depthOf(node: Tree): number {
  if (node.kind === "array") return 1 + Math.max(0, ...node.items.map(depthOf));
  if (node.kind === "object") return 1 + Math.max(0, ...node.members.map(([, value]) => depthOf(value)));
  return 0;
}

function repeated(names: readonly string[]): string | undefined {
  return names.find((name, at) => names.indexOf(name) < at);
}

const noises = fc.infiniteStream(fc.nat({ max: 1000 })).map((stream) => () => stream.next().value ?? 0);
const printed = fc.tuple(body, noises).map(([node, noise]) => ({ node, text: print(node, noise) }));

describe("the scan of a JSON text", () => {
  it("finds the depth that it has", () => {
    fc.assert(
      fc.property(printed, ({ node, text }) => {
        JSON.parse(text);
        const depth = depthOf(node);
        expect(scan(text, depth).tooDeep).toBe(false);
        if (depth > 0) expect(scan(text, depth - 1).tooDeep).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("finds keys that stand twice in the outermost object and in data, and only there", () => {
    fc.assert(
      fc.property(printed, ({ node, text }) => {
        const members = node.kind === "object" ? node.members : [];
        const expected = repeated(members.map(([name]) => name));
        expect(scan(text).repeatedKey).toBe(expected);
        const parsed: unknown = JSON.parse(text);
        if (node.kind === "object") {
          expect(Object.keys(parsed as object).length < members.length).toBe(expected !== undefined);
        }
        const data = members.filter(([name]) => name === "data").map(([, value]) => value);
        if (data.length !== 1) return;
        const names = data
          .flatMap((value) => (value.kind === "object" ? value.members : []))
          .map(([name]) => name);
        expect(scan(text).repeatedDataKey).toBe(repeated(names) !== undefined);
      }),
      { numRuns: 300 },
    );
  });

  it("gives the numbers of data as they were written, the last one where a key stands twice", () => {
    fc.assert(
      fc.property(printed, ({ node, text }) => {
        const members = node.kind === "object" ? node.members : [];
        const data = members.filter(([name]) => name === "data").map(([, value]) => value);
        if (data.length > 1) return;
        const expected = new Map<string, string>();
        for (const [name, value] of data.flatMap((one) => (one.kind === "object" ? one.members : []))) {
          if (value.kind === "number") expected.set(name, value.text);
        }
        const { numbers } = scan(text);
        expect(numbers).toEqual(expected);
        // A key whose last value is a number has the text that JSON.parse made it from.
        const parsed = (JSON.parse(text) as { data?: Record<string, unknown> } | null)?.data ?? {};
        if (Array.isArray(parsed)) return;
        for (const [name, value] of Object.entries(parsed)) {
          if (typeof value === "number") expect(Number(numbers.get(name))).toBe(value);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("agrees with JSON.parse on the depth of whatever JSON.stringify writes", () => {
    const depth = (value: unknown): number =>
      typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depth)) : 0;
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        const expected = depth(JSON.parse(text));
        expect([scan(text, expected).tooDeep, scan(text, expected - 1).tooDeep]).toEqual([
          false,
          expected > 0,
        ]);
        expect(scan(text).repeatedKey).toBeUndefined();
      }),
    );
  });

  it("gives only the numbers that are wanted", () => {
    const text = '{"data":{"id":1,"token_id":10.50,"amount":3},"id":7}';
    expect(scanJson(text, 64, new Set(["id", "token_id"])).numbers).toEqual(
      new Map([
        ["id", "1"],
        ["token_id", "10.50"],
      ]),
    );
  });

  it("knows only the outermost data", () => {
    const numbers = (text: string) => [...scan(text).numbers];
    expect(numbers('{"x":{"data":{"id":1}},"data":{"x":{"id":2},"y":[{"id":3},4],"id":5}}')).toEqual([
      ["id", "5"],
    ]);
    expect(numbers('[{"data":{"id":1}}]')).toEqual([]);
    expect(numbers('["x","data",{"id":1}]')).toEqual([]);
    expect(scan('["x","a","a"]').repeatedKey).toBeUndefined();
    expect(numbers('{"data":[1,{"id":2}]}')).toEqual([]);
    expect(numbers('{"d\\u0061ta":{"\\u0069d":1}}')).toEqual([["id", "1"]]);
    expect(numbers('{"x":"data","y":{"id":1}}')).toEqual([]);
  });

  it("stops at the depth asked for, before the rest is looked at", () => {
    const deep = "[".repeat(65);
    expect(scan(deep, 64).tooDeep).toBe(true);
    expect(scan("[".repeat(64), 64).tooDeep).toBe(false);
    expect(scan(`"${deep}"`, 64).tooDeep).toBe(false);
    expect(scan(`["\\"${deep}"]`, 64).tooDeep).toBe(false);
    const flat = `[${"[],".repeat(1000)}{}]`;
    expect([scan(flat, 2).tooDeep, scan(flat, 1).tooDeep]).toEqual([false, true]);
  });
});

describe("the scan of what is not JSON", () => {
  it("ends, whatever comes", () => {
    const junk = fc
      .array(fc.constantFrom(...'{}[]:,"\\-+0123456789eE. \nunaxd'.split(""), '"data"', "\\u00", '{"data":{'))
      .map((all) => all.join(""));
    fc.assert(
      fc.property(fc.oneof(junk, fc.string({ unit })), (text) => {
        expect(scan(text)).toMatchObject({ tooDeep: false });
      }),
      { numRuns: 1_000 },
    );
  });

  it("takes time in proportion to the length", () => {
    const time = (text: string) => {
      const begun = performance.now();
      scanJson(text, Number.POSITIVE_INFINITY, everything);
      return performance.now() - begun;
    };
    for (const piece of ['"', '"\\', "[", "{", '{"data":{', "1,", "-", '{"a":', '\\"', '"k":1,']) {
      const text = piece.repeat(Math.ceil(1_000_000 / piece.length));
      // A pass takes some milliseconds; a square of this length would take minutes.
      expect([piece, time(text) < 2_000]).toEqual([piece, true]);
    }
  });
});
