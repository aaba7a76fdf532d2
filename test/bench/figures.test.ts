import { describe, expect, it } from "vitest";
import { faultIn } from "./drive.ts";
import { faultOf, ratioOf, type Sample, spreadOf } from "./figures.ts";

function samples(figure: string, ...values: readonly number[]): Sample[] {
  return values.map((value) => ({ figures: { [figure]: value } }));
}

describe("the median of rounds", () => {
  it("is the one in the middle, or lies between the two", () => {
    expect(spreadOf([9, 1, 5])).toEqual({ median: 5, low: 1, high: 9 });
    expect(spreadOf([4, 1, 2, 100])).toEqual({ median: 3, low: 1, high: 100 });
    expect(spreadOf([7])).toEqual({ median: 7, low: 7, high: 7 });
  });

  it("leaves out rounds without the figure", () => {
    expect(spreadOf([Number.NaN, 3, Number.POSITIVE_INFINITY])).toEqual({ median: 3, low: 3, high: 3 });
    expect(spreadOf([])).toBeUndefined();
    expect(spreadOf([Number.NaN])).toBeUndefined();
  });
});

describe("the ratio of two systems", () => {
  it("is that of the medians, its range that of the rounds", () => {
    expect(ratioOf(samples("x", 20, 30, 90), "x", samples("x", 10, 10, 30))).toEqual({
      kind: "ratio",
      median: 3,
      low: 2,
      high: 3,
    });
  });

  it("can be between two figures", () => {
    expect(ratioOf(samples("x", 6), "x", samples("y", 3), "y")).toMatchObject({ kind: "ratio", median: 2 });
  });

  it("is refused if either of them lost, repeated or disordered something in any round", () => {
    const good = samples("x", 1, 2, 3);
    const bad = good.map((sample, round) => (round === 1 ? { ...sample, fault: "lost 1 of 10" } : sample));
    expect(ratioOf(bad, "x", good)).toEqual({ kind: "refused", why: "round 2 lost 1 of 10" });
    expect(ratioOf(good, "x", bad)).toEqual({ kind: "refused", why: "the other's round 2 lost 1 of 10" });
  });

  it("is refused without figures or against nothing", () => {
    const refused = { kind: "refused", why: "nothing to compare" };
    expect(ratioOf([], "x", samples("x", 1))).toEqual(refused);
    expect(ratioOf(samples("x", 1), "x", samples("y", 1))).toEqual(refused);
    expect(ratioOf(samples("x", 1), "x", samples("x", 0))).toEqual(refused);
  });
});

describe("a fault of a round", () => {
  const clean = { unique: 100, duplicate: 0, disordered: 0, closed: 0 };

  const posted = { sent: 10, refused: 0, perEvent: 10 };

  it("is none if each event came once and in order to all, over connections that stayed", () => {
    expect(faultIn(clean, posted)).toBeUndefined();
    expect(faultOf([{ figures: {} }])).toBeUndefined();
  });

  it("names all that was wrong", () => {
    expect(faultIn({ ...clean, unique: 98 }, posted)).toBe("lost 2 of 100 deliveries");
    expect(faultIn({ ...clean, unique: 101 }, posted)).toBe("delivered 1 that nobody posted");
    expect(faultIn({ ...clean, duplicate: 3, disordered: 4 }, posted)).toBe("repeated 3, disordered 4");
    expect(faultIn({ ...clean, closed: 1 }, posted)).toBe("closed 1 connections");
  });

  it("is a webhook that was refused, whether it was taken all the same or not; but then it is not lost", () => {
    const refused = { sent: 12, refused: 2, perEvent: 10 };
    for (const unique of [100, 115, 120]) {
      expect(faultIn({ ...clean, unique }, refused)).toBe("refused 2 of 12 webhooks");
    }
    expect(faultIn({ ...clean, unique: 99 }, refused)).toBe(
      "lost 1 of 100 deliveries, refused 2 of 12 webhooks",
    );
  });
});
