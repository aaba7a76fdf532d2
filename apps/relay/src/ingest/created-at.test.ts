import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCreatedAt } from "./created-at.ts";

const pad = (value: number, length = 2) => String(value).padStart(length, "0");
const lastMs = 9_007_199_254_740;

describe("created_at", () => {
  it("is read to the microsecond, in the spellings that serialisers make", () => {
    const base = Date.UTC(2026, 0, 31, 9, 30) * 1000;
    const times: [string, number][] = [
      ["2026-01-31T09:30:00Z", base],
      ["2026-01-31t09:30:00z", base],
      ["2026-01-31T09:30Z", base],
      ["2026-01-31T09:30:00.123Z", base + 123_000],
      ["2026-01-31T09:30:00,5Z", base + 500_000],
      ["2026-01-31T09:30:07.1234567Z", base + 7_123_456],
      ["2026-01-31T09:30:07.123456999Z", base + 7_123_456],
      ["2026-01-31T09:30:00.000000001+00:00", base],
      ["2026-01-31T11:30:00+02:00", base],
      ["2026-01-31T11:30:00+0200", base],
      ["2026-01-31T11:30:00+02", base],
      ["2026-01-30T23:45:00-09:45", base],
      ["2026-02-01T09:29:00+23:59", base],
      ["2026-01-31T09:30:00-00:00", base],
      ["1970-01-01T00:00:00Z", 0],
      ["1969-12-31T23:00:00-01:00", 0],
      ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29) * 1000],
      ["2255-06-05T23:47:34.740991Z", Number.MAX_SAFE_INTEGER],
    ];
    for (const [text, expected] of times) expect([text, parseCreatedAt(text)]).toEqual([text, expected]);
  });

  it("that is a leap second counts as the last microsecond before it", () => {
    const last = Date.UTC(2016, 11, 31, 23, 59, 59) * 1000 + 999_999;
    expect(parseCreatedAt("2016-12-31T23:59:60Z")).toBe(last);
    expect(parseCreatedAt("2016-12-31T23:59:60.75Z")).toBe(last);
    expect(parseCreatedAt("2017-01-01T08:59:60+09:00")).toBe(last);
    expect(parseCreatedAt("2016-12-31T23:58:60Z")).toBeUndefined();
    expect(parseCreatedAt("2016-12-31T23:59:60+01:00")).toBeUndefined();
    expect(parseCreatedAt("2016-12-31T23:59:61Z")).toBeUndefined();
  });

  it("is refused without zone, with dates that there are not, and in other forms", () => {
    const wrong = [
      "",
      "2026-01-31",
      "2026-01-31T09:30:00",
      "2026-01-31 09:30:00Z",
      "2026-02-29T00:00:00Z",
      "2100-02-29T00:00:00Z",
      "2026-04-31T00:00:00Z",
      "2026-00-10T00:00:00Z",
      "2026-13-10T00:00:00Z",
      "2026-01-00T00:00:00Z",
      "2026-01-32T00:00:00Z",
      "2026-01-31T24:00:00Z",
      "2026-01-31T09:60:00Z",
      "2026-01-31T09:30:00+24:00",
      "2026-01-31T09:30:00+02:60",
      "2026-01-31T09:30:00+2",
      "2026-01-31T09:30:00.Z",
      "2026-01-31T09:30:00.1234567890Z",
      "2026-01-31T09:30.5Z",
      "2026-01-31T09Z",
      "20260131T093000Z",
      "2026-W05-6T09:30:00Z",
      "2026-031T09:30:00Z",
      "+002026-01-31T09:30:00Z",
      "26-01-31T09:30:00Z",
      "0070-01-01T00:00:00Z",
      "0001-01-01T00:00:00Z",
      "1969-12-31T23:59:59.999999Z",
      "1970-01-01T00:00:00+00:01",
      "2255-06-05T23:47:34.740992Z",
      "9999-12-31T23:59:59Z",
      " 2026-01-31T09:30:00Z",
      "2026-01-31T09:30:00Z\n",
      "２026-01-31T09:30:00Z",
      "Sat, 31 Jan 2026 09:30:00 GMT",
      "1769851800",
    ];
    for (const text of wrong) expect([text, parseCreatedAt(text)]).toEqual([text, undefined]);
  });

  it("is what was printed, for every time, offset and fraction", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 86_400_000, max: lastMs - 86_400_000 }),
        fc.stringMatching(/^[0-9]{0,9}$/),
        fc.integer({ min: -1439, max: 1439 }),
        fc.constantFrom(":", ""),
        (ms, fraction, offset, colon) => {
          const wholeSeconds = Math.floor(ms / 1000) * 1000;
          const local = new Date(wholeSeconds + offset * 60_000).toISOString().slice(0, 19);
          const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
          const zone = `${offset < 0 ? "-" : "+"}${pad(hours)}${colon}${pad(minutes)}`;
          const text = `${local}${fraction === "" ? "" : `.${fraction}`}${zone}`;
          const microseconds = Number(fraction.slice(0, 6).padEnd(6, "0"));
          expect([text, parseCreatedAt(text)]).toEqual([text, wholeSeconds * 1000 + microseconds]);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("has a day of the calendar or is refused: the same days as Date knows", () => {
    const [y, m, d] = [fc.integer({ min: 1971, max: 2254 }), fc.nat({ max: 14 }), fc.nat({ max: 33 })];
    fc.assert(
      fc.property(y, m, d, (year, month, day) => {
        const text = `${year}-${pad(month)}-${pad(day)}T12:00:00Z`;
        const date = new Date(Date.UTC(year, month - 1, day, 12));
        const real = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && month > 0;
        expect([text, parseCreatedAt(text)]).toEqual([text, real ? date.getTime() * 1000 : undefined]);
      }),
      { numRuns: 1_000 },
    );
  });

  it("in any other text is a whole number of microseconds or nothing", () => {
    const near = fc.stringMatching(
      /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{1,10}[Z+-][0-9:]{0,5}$/,
    );
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (text) => {
        const time = parseCreatedAt(text);
        if (time !== undefined) expect(Number.isSafeInteger(time) && time >= 0).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
