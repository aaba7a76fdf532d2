import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSignatureCheck, parseBodySignature, parseTimestampedSignature } from "./signature.ts";

const secrets = ["whsec_first_0123456789", "whsec_second_012345678"];
const [first = "", second = ""] = secrets;
const body = Buffer.from('{"id":"evt_1"}');
const seconds = 1_768_473_067;
const nowMs = seconds * 1000;
const check = createSignatureCheck(secrets, 300_000);

function hmac(key: string, ...parts: (string | Buffer)[]): string {
  const digest = createHmac("sha256", key);
  for (const part of parts) digest.update(part);
  return digest.digest("hex");
}

function plain(key = first, bytes: Buffer = body): string[] {
  return ["X-Sharmo-Signature", hmac(key, bytes)];
}

function timed(key = first, t: number | string = seconds, bytes: Buffer = body): string[] {
  return ["Sharmo-Signature", `t=${t},v1=${hmac(key, `${t}.`, bytes)}`];
}

const malformed = { status: "invalid", problem: { kind: "malformed" } };
const mismatch = { status: "invalid", problem: { kind: "mismatch" } };

describe("a signature", () => {
  it("is right under either scheme with any of the secrets, whatever the case of the header's name", () => {
    for (const key of secrets) {
      expect(check(plain(key), body, nowMs)).toEqual({ status: "ok" });
      expect(check(timed(key), body, nowMs)).toEqual({ status: "ok" });
      expect(check([...plain(key), ...timed(key)], body, nowMs)).toEqual({ status: "ok" });
    }
    expect(check([...plain(first), ...timed(second)], body, nowMs)).toEqual({ status: "ok" });
    expect(check(["x-SHARMO-signature", hmac(first, body)], body, nowMs)).toEqual({ status: "ok" });
  });

  it("may have hex digits in either case", () => {
    const [name = "", digest = ""] = plain();
    expect(check([name, digest.toUpperCase()], body, nowMs)).toEqual({ status: "ok" });
    const upper = `v1=${hmac(first, `${seconds}.`, body).toUpperCase()},t=${seconds}`;
    expect(check(["Sharmo-Signature", upper], body, nowMs)).toEqual({ status: "ok" });
  });

  it("is missing only if neither header is there", () => {
    expect(check(["Content-Type", "application/json"], body, nowMs)).toEqual({ status: "missing" });
    expect(check(["X-Sharmo-Signature", ""], body, nowMs)).toMatchObject(malformed);
    expect(check(["Sharmo-Signature", ""], body, nowMs)).toMatchObject(malformed);
  });

  it("is wrong with a secret that is not configured, and without any secret", () => {
    expect(check(plain("whsec_stranger_0123456"), body, nowMs)).toEqual(mismatch);
    expect(check(timed("whsec_stranger_0123456"), body, nowMs)).toEqual(mismatch);
    expect(createSignatureCheck([], 1000)(plain(""), body, nowMs)).toEqual(mismatch);
  });

  it("must be right in both headers if both are there, whichever is wrong", () => {
    const wrong = "whsec_stranger_0123456";
    expect(check([...plain(wrong), ...timed()], body, nowMs)).toEqual(mismatch);
    expect(check([...plain(), ...timed(wrong)], body, nowMs)).toEqual(mismatch);
    expect(check([...plain(), "Sharmo-Signature", "t=1"], body, nowMs)).toMatchObject(malformed);
    expect(check(["X-Sharmo-Signature", "00", ...timed()], body, nowMs)).toMatchObject(malformed);
  });

  it("is refused if its header is there twice, in any case of the name, even with the same value", () => {
    const twice = (header: string) => ({ status: "invalid", problem: { kind: "repeated", header } });
    expect(check([...plain(), ...plain()], body, nowMs)).toEqual(twice("X-Sharmo-Signature"));
    const [, value = ""] = timed();
    expect(check([...timed(), "SHARMO-SIGNATURE", value], body, nowMs)).toEqual(twice("Sharmo-Signature"));
    expect(check([...timed(), ...plain(), ...plain()], body, nowMs)).toEqual(twice("X-Sharmo-Signature"));
  });
});

describe("the time of a signature", () => {
  it("may be off by the whole window in either direction and no more", () => {
    expect(check(timed(), body, nowMs + 300_000)).toEqual({ status: "ok" });
    expect(check(timed(), body, nowMs - 300_000)).toEqual({ status: "ok" });
    const stale = (behindMs: number) => ({ status: "stale", behindMs });
    expect(check(timed(), body, nowMs + 300_001)).toEqual(stale(300_001));
    expect(check(timed(), body, nowMs - 300_001)).toEqual(stale(-300_001));
    expect(check(timed(first, 0), body, nowMs)).toEqual(stale(nowMs));
    expect(check(timed(first, "999999999999"), body, nowMs)).toEqual(stale(nowMs - 999_999_999_999_000));
  });

  it("is judged only if the signature is right: a stranger's stale one is just wrong", () => {
    expect(check(timed("whsec_stranger_0123456", 1), body, nowMs)).toEqual(mismatch);
    expect(check([...timed(first, 1), ...plain("whsec_stranger_0123456")], body, nowMs)).toEqual(mismatch);
    expect(check([...timed(first, 1), ...plain()], body, nowMs)).toMatchObject({ status: "stale" });
  });

  it("is signed as it was written: other digits of the same number are other bytes", () => {
    const [name = "", value = ""] = timed();
    expect(check([name, value.replace("t=", "t=0")], body, nowMs)).toEqual(mismatch);
    expect(check(timed(first, `0${seconds}`), body, nowMs)).toEqual({ status: "ok" });
  });
});

describe("what was signed under one scheme", () => {
  const json = fc.json().map((text) => Buffer.from(`{"a":${text}}`));
  const times = fc.nat({ max: 999_999_999_999 });

  it("is never right under the other: a timestamped event posted as a plain body", () => {
    fc.assert(
      fc.property(json, times, (bytes, t) => {
        const posted = Buffer.concat([Buffer.from(`${t}.`), bytes]);
        expect(check(plain(first, posted), posted, nowMs)).toEqual(mismatch);
      }),
    );
  });

  it("is never right under the other: a plain body posted as an event with a time, cut wherever there is a point", () => {
    fc.assert(
      fc.property(json, times, (bytes, t) => {
        const digest = hmac(first, bytes);
        expect(check(["Sharmo-Signature", `t=${t},v1=${digest}`], bytes, nowMs)).toEqual(mismatch);
        for (let at = bytes.indexOf("."); at >= 0; at = bytes.indexOf(".", at + 1)) {
          const value = `t=${bytes.toString("latin1", 0, at)},v1=${digest}`;
          expect(check(["Sharmo-Signature", value], bytes.subarray(at + 1), nowMs).status).toBe("invalid");
        }
      }),
    );
  });

  it("is not right under both because one digest stands in both headers", () => {
    const digest = hmac(first, `${seconds}.`, body);
    const both = ["X-Sharmo-Signature", digest, "Sharmo-Signature", `t=${seconds},v1=${digest}`];
    expect(check(both, body, nowMs)).toEqual(mismatch);
  });
});

describe("HMAC-SHA256 as RFC 4231 has it, of the test cases whose key is text", () => {
  const vectors: [string, string, Buffer, string][] = [
    [
      "1",
      "\x0b".repeat(20),
      Buffer.from("Hi There"),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ],
    [
      "2",
      "Jefe",
      Buffer.from("what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
    [
      "4",
      Buffer.from(Array.from({ length: 25 }, (_, i) => i + 1)).toString(),
      Buffer.alloc(50, 0xcd),
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ],
  ];
  for (const [name, key, data, digest] of vectors) {
    it(`test case ${name}`, () => {
      const verify = createSignatureCheck([key], 1000);
      expect(verify(["X-Sharmo-Signature", digest], data, 0)).toEqual({ status: "ok" });
      expect(verify(["X-Sharmo-Signature", digest], data.subarray(1), 0)).toEqual(mismatch);
    });
  }
});

describe("the headers' grammar", () => {
  const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
  const upper = fc.boolean();
  const digits = fc.stringMatching(/^[0-9]{1,12}$/);

  const digestText = fc.tuple(hex, upper).map(([digest, up]) => ({
    digest,
    text: up ? digest.toString("hex").toUpperCase() : digest.toString("hex"),
  }));
  const timedText = fc.tuple(digits, digestText, fc.boolean()).map(([t, { digest, text }, swapped]) => ({
    seconds: t,
    digest,
    text: swapped ? `v1=${text},t=${t}` : `t=${t},v1=${text}`,
  }));

  it("reads what was printed", () => {
    fc.assert(
      fc.property(digestText, ({ digest, text }) => {
        expect(parseBodySignature(text)).toEqual(digest);
      }),
    );
    fc.assert(
      fc.property(timedText, ({ seconds: t, digest, text }) => {
        expect(parseTimestampedSignature(text)).toEqual({ seconds: t, digest });
      }),
    );
  });

  /** The grammar once more, by hand. */
  const isHex = (text: string) =>
    text.length === 64 && [...text].every((c) => "0123456789abcdefABCDEF".includes(c));
  const isTime = (text: string) =>
    text.length >= 1 && text.length <= 12 && [...text].every((c) => "0123456789".includes(c));
  const isTimed = (text: string) => {
    const parts = text.split(",").sort();
    const [t = "", v1 = ""] = parts;
    return (
      parts.length === 2 &&
      t.startsWith("t=") &&
      isTime(t.slice(2)) &&
      v1.startsWith("v1=") &&
      isHex(v1.slice(3))
    );
  };

  const noise = fc.oneof(
    fc.constantFrom(
      "",
      " ",
      "\t",
      ",",
      "=",
      "t=",
      "v1=",
      "v0=",
      "t=1,",
      ",v1=",
      "g",
      "0",
      "-",
      "+",
      ".",
      "\n",
      "\0",
      "٣",
    ),
    fc.string({ maxLength: 3 }),
  );
  const mutate = (text: string, at: number, cut: number, put: string) =>
    text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + cut);
  const change = fc.tuple(fc.nat(), fc.nat({ max: 3 }), noise);

  it("refuses every change that leads out of it", () => {
    fc.assert(
      fc.property(digestText, change, ({ text }, [at, cut, put]) => {
        const changed = mutate(text, at, cut, put);
        expect([changed, parseBodySignature(changed) !== undefined]).toEqual([changed, isHex(changed)]);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(timedText, fc.array(change, { minLength: 1, maxLength: 2 }), ({ text }, changes) => {
        const changed = changes.reduce((before, [at, cut, put]) => mutate(before, at, cut, put), text);
        expect([changed, parseTimestampedSignature(changed) !== undefined]).toEqual([
          changed,
          isTimed(changed),
        ]);
      }),
      { numRuns: 4_000 },
    );
  });

  it("refuses what looks near", () => {
    const h = "a".repeat(64);
    for (const near of [
      "",
      "a".repeat(63),
      "a".repeat(65),
      `sha256=${h}`,
      ` ${h}`,
      `${h}\n`,
      `0x${"a".repeat(62)}`,
    ]) {
      expect([near, parseBodySignature(near)]).toEqual([near, undefined]);
    }
    for (const near of [
      `t=1, v1=${h}`,
      `t=1,v1=${h},`,
      `t=1,v1=${h},v1=${h}`,
      `t=1,t=1,v1=${h}`,
      `t=1,v0=${h}`,
      `t=-1,v1=${h}`,
      `t=1.5,v1=${h}`,
      `t=1e3,v1=${h}`,
      `t=,v1=${h}`,
      `t=1234567890123,v1=${h}`,
      `T=1,V1=${h}`,
      `v1=${h}`,
      "t=1",
    ]) {
      expect([near, parseTimestampedSignature(near)]).toEqual([near, undefined]);
    }
  });
});
