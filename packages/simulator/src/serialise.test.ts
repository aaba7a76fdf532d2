import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { serialise, styles } from "./serialise.ts";

const text = (value: unknown, style: (typeof styles)[number]) =>
  Buffer.from(serialise(value, style)).toString();
const event = {
  id: "evt_1",
  data: { name: 'Zürich "Lofts" 東\n', current_price: 10.5, price: 100, amount: 3, list: [1, null, true] },
};

/** Characters that serialisers treat in different ways. */
const stringUnit = fc.constantFrom("a", '"', "\\", "/", "\n", "\u0000", "\u007f", "é", "東", "😀", "\u2028");

describe("serialise", () => {
  it("should write as JavaScript does", () => {
    expect(text(event, "json")).toBe(JSON.stringify(event));
  });

  it("should write as Python's json.dumps does", () => {
    expect(text(event, "python")).toBe(
      '{"id": "evt_1", "data": {"name": "Z\\u00fcrich \\"Lofts\\" \\u6771\\n", "current_price": 10.5, "price": 100.0, "amount": 3, "list": [1, null, true]}}',
    );
  });

  it("should write as a .NET serialiser does", () => {
    expect(text(event, "dotnet")).toBe(
      '{"id":"evt_1","data":{"name":"Zürich \\"Lofts\\" 東\\n","current_price":10.50,"price":100.00,"amount":3,"list":[1,null,true]}}\n',
    );
  });

  it("should never change a value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit }), fc.double({ noNaN: true }), (value, price) => {
        const whole = { value, data: { price } };
        const plain: unknown = JSON.parse(JSON.stringify(whole));
        for (const style of styles) expect(JSON.parse(text(whole, style))).toEqual(plain);
      }),
    );
  });
});
