import { expect, it } from "vitest";
import { barsAt, count, emptyMeter, keptSeconds, rateAt } from "./rate.ts";

const noon = Date.UTC(2026, 10, 24, 12);

it("takes the rate over the last ten whole seconds", () => {
  let meter = emptyMeter;
  for (let second = 0; second < 30; second++) meter = count(meter, 5, noon + second * 1000);
  expect(meter.total).toBe(150);
  expect(rateAt(meter, noon + 30_000)).toBe(5);
});

it("falls to nothing when nothing comes", () => {
  const meter = count(emptyMeter, 20, noon);
  expect(rateAt(meter, noon + 1_000)).toBe(2);
  expect(rateAt(meter, noon + 10_000)).toBe(2);
  expect(rateAt(meter, noon + 11_000)).toBe(0);
  expect(rateAt(meter, noon + 3_600_000)).toBe(0);
  expect(meter.total).toBe(20);
});

it("leaves out the second that is still running", () => {
  const meter = count(emptyMeter, 20, noon + 400);
  expect(rateAt(meter, noon + 900)).toBe(0);
});

it("has one bar a second, whatever time passes", () => {
  const meter = count(count(emptyMeter, 1, noon), 2, noon + 3_000);
  expect(barsAt(meter, noon + 4_000).slice(-4)).toEqual([1, 0, 0, 2]);
  expect(barsAt(meter, noon + 4_000)).toHaveLength(keptSeconds - 1);
  expect(barsAt(meter, noon + 86_400_000)).toHaveLength(keptSeconds - 1);
});

it("survives a clock that is set back", () => {
  const meter = count(count(emptyMeter, 1, noon), 2, noon - 60_000);
  expect(meter.total).toBe(3);
  expect(rateAt(meter, noon + 1_000)).toBe(0.3);
});
