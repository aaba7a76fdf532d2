import { describe, expect, it } from "vitest";
import {
  formatAmount,
  formatChange,
  formatPrice,
  formatTime,
  isoTime,
  numberOf,
  sentence,
  shortAddress,
  textOf,
} from "./format.ts";

describe("numbers", () => {
  it("shows a price with two digits, and more of them when it is small", () => {
    expect(formatPrice(10.5)).toBe("10.50");
    expect(formatPrice(1234567.891)).toBe("1,234,567.89");
    expect(formatPrice(0)).toBe("0.00");
    expect(formatPrice(0.0521)).toBe("0.0521");
    expect(formatPrice(0.00012345678)).toBe("0.0001235");
  });

  it("shows a dash where there is no number, never NaN", () => {
    for (const value of [undefined, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(formatPrice(value)).toBe("—");
      expect(formatAmount(value)).toBe("—");
      expect(formatChange(value, 1)).toBe("—");
      expect(formatChange(1, value)).toBe("—");
    }
    expect(formatChange(0, 1)).toBe("—");
  });

  it("shows a change with its sign", () => {
    expect(formatChange(100, 101.24)).toBe("+1.24%");
    expect(formatChange(100, 98.5)).toBe("−1.50%");
    expect(formatChange(100, 100)).toBe("0.00%");
    expect(formatChange(300, 299.99)).toBe("−0.003%");
  });

  it("shows an amount with the digits it has", () => {
    expect(formatAmount(10.5)).toBe("10.5");
    expect(formatAmount(2500)).toBe("2,500");
  });
});

describe("fields of which nothing is promised", () => {
  it("reads numbers, also written as text", () => {
    expect(numberOf(10.5)).toBe(10.5);
    expect(numberOf("10.50")).toBe(10.5);
    for (const value of [undefined, null, "", " ", "ten", Number.NaN, {}, [], true]) {
      expect(numberOf(value)).toBeUndefined();
    }
  });

  it("reads text, also ids that are numbers", () => {
    expect(textOf(" DEMO ")).toBe("DEMO");
    expect(textOf(42)).toBe("42");
    for (const value of [undefined, null, "", "  ", {}, Number.NaN]) expect(textOf(value)).toBeUndefined();
  });

  it("makes words of names", () => {
    expect(sentence("kyc_submitted")).toBe("Kyc submitted");
    expect(sentence("")).toBe("");
  });
});

describe("times and addresses", () => {
  const noon = new Date(2026, 10, 24, 12, 0, 5).getTime();

  it("shows today's times without the day and others with it", () => {
    expect(formatTime(noon, noon + 60_000)).toBe("12:00:05");
    expect(formatTime(noon, noon + 24 * 3_600_000)).toBe("24 Nov, 12:00");
  });

  it("shows a dash where there is no time", () => {
    expect(formatTime(undefined, noon)).toBe("—");
    expect(formatTime(Number.NaN, noon)).toBe("—");
    expect(isoTime(Number.NaN)).toBeUndefined();
  });

  it("shortens wallets and leaves what is short", () => {
    expect(shortAddress("0x52908400098527886E0F7030069857D2E4169EE7")).toBe("0x5290…9EE7");
    expect(shortAddress("treasury")).toBe("treasury");
    expect(shortAddress(undefined)).toBe("—");
  });
});
