import fc from "fast-check";
import { expect, test } from "vitest";
import { connectBackoff, delayAfter, slowBackoff } from "./backoff.ts";

test("delays double up to the cap, and any part of them can be the one", () => {
  const bounds = [0, 1, 2, 5, 6, 100].map((failures) => delayAfter(failures, connectBackoff, 1));
  expect(bounds).toEqual([500, 1_000, 2_000, 16_000, 20_000, 20_000]);
  expect(delayAfter(100, slowBackoff, 1)).toBe(30_000);
  fc.assert(
    fc.property(fc.nat({ max: 2_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const delay = delayAfter(failures, connectBackoff, random);
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThanOrEqual(20_000);
      expect(delay).toBeCloseTo(random * delayAfter(failures, connectBackoff, 1), 6);
    }),
  );
});
