import { expect, test } from "vitest";
import { createOnce, rememberedIds } from "./subscription.ts";

test("an id is new once, as long as it is remembered", () => {
  const isNew = createOnce();
  for (let i = 0; i < rememberedIds; i++) expect(isNew(`e${i}`)).toBe(true);
  for (let i = 0; i < rememberedIds; i++) expect(isNew(`e${i}`)).toBe(false);
  expect(isNew("one more")).toBe(true);
  expect(isNew("e1")).toBe(false);
  expect(isNew("e0")).toBe(true);
});

test("what lies at or before the beginning is not new, in its epoch", () => {
  const isNew = createOnce("epoch00000a-99");
  expect(isNew("a", "epoch00000a-99")).toBe(false);
  expect(isNew("b", "epoch00000a-9")).toBe(false);
  expect(isNew("c", "epoch00000b-5")).toBe(true);
  expect(isNew("d", "epoch00000a-100")).toBe(true);
  expect(isNew("e", undefined)).toBe(true);
});

test("a beginning that is no cursor hides nothing", () => {
  for (const since of ["", "nonsense"]) expect(createOnce(since)("a", "epoch00000a-1")).toBe(true);
});
