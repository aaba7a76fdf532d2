/** The bytes that three serialisers make of the documented events; see the README beside them. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readDocument, readEnvelope } from "./envelope.ts";
import { createSignatureCheck } from "./signature.ts";

const folder = new URL("../../../../test/fixtures/webhooks/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, folder));
const signed = JSON.parse(read("signatures.json").toString()) as {
  secret: string;
  seconds: string;
  files: Record<string, { body: string; timestamped: string }>;
};
const names = Object.keys(signed.files);
const check = createSignatureCheck([signed.secret], 300_000);
const nowMs = Number(signed.seconds) * 1000;

function headersOf(name: string): [string, string[]][] {
  const { body = "", timestamped = "" } = signed.files[name] ?? {};
  return [
    ["body", ["X-Sharmo-Signature", body]],
    ["timestamped", ["Sharmo-Signature", `t=${signed.seconds},v1=${timestamped}`]],
  ];
}

it("there are nine bodies, each with its signatures", () => {
  expect(names).toHaveLength(9);
  expect(
    readdirSync(folder)
      .filter((name) => name.endsWith(".bin"))
      .sort(),
  ).toEqual(names);
});

describe.each(names)("%s", (name) => {
  const bytes = read(name);

  it("verifies under both schemes", () => {
    for (const [, headers] of headersOf(name)) expect(check(headers, bytes, nowMs)).toEqual({ status: "ok" });
  });

  it("does not with one byte changed, added or removed, wherever it is", () => {
    for (const [scheme, headers] of headersOf(name)) {
      const refused = (changed: Buffer, how: string) => {
        if (check(headers, changed, nowMs).status !== "invalid") expect.fail(`${scheme}: ${how}`);
      };
      for (let at = 0; at <= bytes.length; at++) {
        const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
        refused(Buffer.concat([before, Buffer.from(" "), after]), `a space added at ${at}`);
        if (at === bytes.length) continue;
        refused(Buffer.concat([before, after.subarray(1)]), `the byte at ${at} removed`);
        const changed = Buffer.from(bytes);
        changed[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        refused(changed, `a bit of the byte at ${at} changed`);
      }
    }
  });

  it("does not as another serialiser would write it again", () => {
    const again = Buffer.from(JSON.stringify(JSON.parse(bytes.toString())));
    for (const [, headers] of headersOf(name)) {
      expect(check(headers, again, nowMs).status).toBe(again.equals(bytes) ? "ok" : "invalid");
    }
  });

  it("is the event that the other two serialisers wrote", () => {
    const [type] = name.split(/\.(?:json-stringify|json-dumps|dotnet)\./);
    expect(JSON.parse(bytes.toString())).toEqual(JSON.parse(read(`${type}.json-stringify.bin`).toString()));
    const document = readDocument(bytes);
    const envelope = document.ok ? readEnvelope(document.document, bytes) : undefined;
    expect(envelope).toMatchObject({ ok: true, event: { type, body: bytes } });
  });
});
