import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createMarket } from "./market.ts";
import { serialise, styles } from "./serialise.ts";
import { schemes, signatureHeaders, signBody, signTimestamped } from "./sign.ts";

const secret = "whsec_T3stT3stT3st";

describe("signatures", () => {
  it("should hold the published HMAC-SHA256 vectors of RFC 4231", () => {
    expect(signBody(Buffer.from("Hi There"), "\x0b".repeat(20))).toBe(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    expect(signBody(Buffer.from("what do ya want for nothing?"), "Jefe")).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
  });

  it("should verify over the bytes of every style, and over no others", () => {
    const market = createMarket();
    for (let i = 0; i < 50; i += 1) {
      const event = market.next();
      for (const style of styles) {
        const body = serialise(event, style);
        const hmac = (bytes: Uint8Array) => createHmac("sha256", secret).update(bytes).digest("hex");
        expect(signBody(body, secret)).toBe(hmac(body));
        const stamped = Buffer.concat([Buffer.from("1767225600."), body]);
        expect(signTimestamped(body, secret, 1_767_225_600)).toBe(`t=1767225600,v1=${hmac(stamped)}`);
        expect(signBody(Buffer.concat([body, Buffer.from(" ")]), secret)).not.toBe(hmac(body));
      }
    }
  });

  it("should carry the headers of the scheme and no others", () => {
    const names = schemes.map((scheme) => [
      scheme,
      Object.keys(signatureHeaders(scheme, Buffer.from("{}"), secret, 1)),
    ]);
    expect(Object.fromEntries(names)).toEqual({
      body: ["x-sharmo-signature"],
      timestamped: ["sharmo-signature"],
      both: ["x-sharmo-signature", "sharmo-signature"],
    });
  });
});
