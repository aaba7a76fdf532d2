import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Epoch, formatCursor, parseCursor, parseEpoch } from "./cursor.ts";

const letters = [..."abcdefghijklmnopqrstuvwxyz0123456789"];
const epoch = fc.string({
  unit: fc.constantFrom(...letters),
  minLength: 10,
  maxLength: 32,
}) as fc.Arbitrary<Epoch>;
const sequence = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(20),
  fc.nat(20).map((below) => Number.MAX_SAFE_INTEGER - below),
);

describe("a cursor", () => {
  it("is read back as it was printed", () => {
    fc.assert(
      fc.property(epoch, sequence, (e, s) => {
        expect(parseCursor(formatCursor(e, s))).toEqual({ epoch: e, sequence: s });
      }),
    );
  });

  it("has one form: what is read prints as the same text", () => {
    const piece = fc.constantFrom(
      ..."0123456789abzAZ-+.eExX _\n\t\u0000٣９",
      "k3v9x2m7qa1z",
      "-1042",
      "00",
      "-",
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")),
      fc.tuple(epoch, piece, sequence).map(([e, between, s]) => `${e}${between}${s}`),
      fc.tuple(epoch, sequence, piece).map(([e, s, after]) => `${e}-${s}${after}`),
      fc.tuple(epoch, sequence, piece).map(([e, s, before]) => `${e}-${before}${s}`),
      fc.tuple(epoch, fc.bigInt({ min: 0n, max: 10n ** 20n })).map(([e, s]) => `${e}-${s}`),
    );
    let read = 0;
    fc.assert(
      fc.property(text, (asked) => {
        const position = parseCursor(asked);
        if (position === undefined) return;
        read++;
        expect(formatCursor(position.epoch, position.sequence)).toBe(asked);
      }),
      { numRuns: 2_000 },
    );
    expect(read).toBeGreaterThan(50);
  });

  it("is nothing but text, and nothing throws", () => {
    fc.assert(
      fc.property(fc.anything(), (asked) => {
        const position = parseCursor(asked);
        if (position !== undefined) expect(typeof asked).toBe("string");
      }),
    );
  });

  it.each([
    ["k3v9x2m7qa1z-0", 0],
    ["k3v9x2m7qa1z-1042", 1042],
    ["0123456789-1", 1],
    [`${"a".repeat(32)}-1`, 1],
    ["k3v9x2m7qa1z-9007199254740991", Number.MAX_SAFE_INTEGER],
  ])("can be %s", (text, at) => expect(parseCursor(text)).toMatchObject({ sequence: at }));

  it.each<[unknown, string]>([
    ["", "nothing"],
    ["-", "no part"],
    ["k3v9x2m7qa1z", "no sequence"],
    ["k3v9x2m7qa1z-", "an empty sequence"],
    ["-1042", "no epoch"],
    ["1042", "no epoch"],
    ["k3v9x2m7qa1z-01042", "a leading zero"],
    ["k3v9x2m7qa1z-00", "a leading zero"],
    ["k3v9x2m7qa1z--1", "a number below zero"],
    ["k3v9x2m7qa1z-+1", "a sign"],
    ["k3v9x2m7qa1z-1.0", "a fraction"],
    ["k3v9x2m7qa1z-1e3", "an exponent"],
    ["k3v9x2m7qa1z-0x1f", "hex digits"],
    ["k3v9x2m7qa1z-1_000", "a separator"],
    ["k3v9x2m7qa1z-9007199254740992", "a number that is not exact"],
    ["k3v9x2m7qa1z-9999999999999999", "a number that is not exact"],
    ["k3v9x2m7qa1z-10000000000000000", "17 digits"],
    [`k3v9x2m7qa1z-${"9".repeat(400)}`, "a number beyond every number"],
    ["k3v9x2m7qa1z-Infinity", "no number"],
    ["k3v9x2m7qa1z-١٢", "digits that are not ASCII"],
    ["K3V9X2M7QA1Z-1042", "capital letters"],
    ["k3v9x2m7qa1z-1042\n", "a line break after"],
    ["k3v9x2m7qa1z-1042 ", "white space after"],
    [" k3v9x2m7qa1z-1042", "white space before"],
    ["k3v9x2m7qa1z -1042", "white space between"],
    ["k3v9x2m7qa1z-1042\nk3v9x2m7qa1z-1043", "two lines"],
    ["k3v9x2m7q-1042", "an epoch of 9 characters"],
    [`${"a".repeat(33)}-1042`, "an epoch of 33 characters"],
    ["k3v9x2m7-a1z-1042", "a hyphen in the epoch"],
    ["k3v9x2m7_a1z-1042", "a sign in the epoch"],
    ["k3v9x2m7éa1z-1042", "a letter that is not ASCII"],
    ["k3v9x2m7qa1z–1042", "a dash that is no hyphen"],
    [undefined, "nothing at all"],
    [null, "null"],
    [1042, "a number"],
    [["k3v9x2m7qa1z-1042"], "a list"],
    [{ epoch: "k3v9x2m7qa1z", sequence: 1042 }, "an object"],
  ])("is not %j: %s", (asked) => expect(parseCursor(asked)).toBeUndefined());
});

describe("an epoch", () => {
  it.each(["0123456789", "k3v9x2m7qa1z", "a".repeat(32)])("can be %s", (text) => {
    expect(parseEpoch(text)).toBe(text);
  });

  it.each(["", "012345678", "a".repeat(33), "K3V9X2M7QA1Z", "k3v9x2m7qa1z\n", "k3v9x2m7-a1z"])(
    "is not %j",
    (text) => expect(parseEpoch(text)).toBeUndefined(),
  );
});
