import { expect, it } from "vitest";
import { sparklinePath } from "./sparkline.ts";

it("spans the whole width, high values on top", () => {
  expect(sparklinePath([1, 3, 2], 100, 24)).toBe("M0 22L50 2L100 12");
});

it("is a level line when nothing changes, and nothing for less than two values", () => {
  expect(sparklinePath([5, 5], 100, 24)).toBe("M0 12L100 12");
  expect(sparklinePath([5], 100, 24)).toBe("");
  expect(sparklinePath([], 100, 24)).toBe("");
});
