/**
 * The sender's two signature schemes, both HMAC-SHA256 over the bytes as received:
 *
 *     X-Sharmo-Signature: <hex>               over <body>
 *     Sharmo-Signature: t=<seconds>,v1=<hex>  over <t>.<body>
 *
 * Headers are read strictly: `<hex>` is 64 hex digits in either case, `<seconds>` 1 to 12 decimal digits; `t` and
 * `v1` stand in either order, each once, without spaces and with nothing else. A header that is sent twice is
 * refused: two readers could take two different ones.
 *
 * One key signs under both schemes, so bytes signed under one could be passed off under the other: `<t>.<body>`,
 * posted as a body with the same digest, is rightly signed under the first. What the second scheme signs always
 * begins with a digit and an event never does, so the first scheme takes no body that begins with one. The other
 * way round needs a body of the sender's that begins with `<digits>.`, which no JSON object does.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";

type SignatureCheck =
  | { readonly status: "ok" }
  | { readonly status: "missing" }
  | { readonly status: "invalid"; readonly problem: SignatureProblem }
  /** The digest is right and its time outside the window: how far it lies before the relay's clock, or (negative) after it. */
  | { readonly status: "stale"; readonly behindMs: number };

export type SignatureProblem =
  | { readonly kind: "mismatch" }
  | { readonly kind: "repeated"; readonly header: string }
  | { readonly kind: "malformed"; readonly header: string; readonly form: string };

export interface TimestampedSignature {
  /** As written, since these digits are what was signed. */
  readonly seconds: string;
  readonly digest: Buffer;
}

const schemes = {
  body: { header: "X-Sharmo-Signature", form: "64 hex digits" },
  timestamped: { header: "Sharmo-Signature", form: "t=<unix seconds>,v1=<64 hex digits>" },
} as const;

const digestShape = /^[0-9a-fA-F]{64}$/;
const timestampedShape = /^(?:t=([0-9]{1,12}),v1=([0-9a-fA-F]{64})|v1=([0-9a-fA-F]{64}),t=([0-9]{1,12}))$/;

export function parseBodySignature(text: string): Buffer | undefined {
  return digestShape.test(text) ? Buffer.from(text, "hex") : undefined;
}

export function parseTimestampedSignature(text: string): TimestampedSignature | undefined {
  const match = timestampedShape.exec(text);
  const seconds = match?.[1] ?? match?.[4];
  const hex = match?.[2] ?? match?.[3];
  return seconds === undefined || hex === undefined
    ? undefined
    : { seconds, digest: Buffer.from(hex, "hex") };
}

/** `rawHeaders` as Node has them, names and values in turn: only there a header sent twice can be seen. */
export type CheckSignature = (rawHeaders: readonly string[], body: Buffer, nowMs: number) => SignatureCheck;

export function createSignatureCheck(secrets: readonly string[], maxAgeMs: number): CheckSignature {
  const keys = secrets.map((secret) => createSecretKey(secret, "utf8"));
  return (rawHeaders, body, nowMs) => {
    const headers = readHeaders(rawHeaders);
    if ("kind" in headers) return { status: "invalid", problem: headers };
    const { plain, timestamped } = headers;
    if (plain === undefined && timestamped === undefined) return { status: "missing" };

    // Every digest that was sent is compared, whatever the others came to.
    let right = true;
    if (plain !== undefined && !isSigned(keys, plain, "", body)) right = false;
    if (plain !== undefined && beginsWithDigit(body)) right = false;
    if (timestamped !== undefined && !isSigned(keys, timestamped.digest, `${timestamped.seconds}.`, body)) {
      right = false;
    }
    if (!right) return { status: "invalid", problem: { kind: "mismatch" } };
    if (timestamped === undefined) return { status: "ok" };
    const behindMs = nowMs - Number(timestamped.seconds) * 1000;
    return Math.abs(behindMs) > maxAgeMs ? { status: "stale", behindMs } : { status: "ok" };
  };
}

interface SignatureHeaders {
  readonly plain: Buffer | undefined;
  readonly timestamped: TimestampedSignature | undefined;
}

function readHeaders(rawHeaders: readonly string[]): SignatureHeaders | SignatureProblem {
  let plainText: string | undefined;
  let timestampedText: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const written = rawHeaders[i] ?? "";
    if (
      written.length !== schemes.body.header.length &&
      written.length !== schemes.timestamped.header.length
    ) {
      continue;
    }
    const name = written.toLowerCase();
    if (name === "x-sharmo-signature") {
      if (plainText !== undefined) return { kind: "repeated", header: schemes.body.header };
      plainText = rawHeaders[i + 1];
    } else if (name === "sharmo-signature") {
      if (timestampedText !== undefined) return { kind: "repeated", header: schemes.timestamped.header };
      timestampedText = rawHeaders[i + 1];
    }
  }
  const plain = plainText === undefined ? undefined : parseBodySignature(plainText);
  if (plain === undefined && plainText !== undefined) return { kind: "malformed", ...schemes.body };
  const timestamped = timestampedText === undefined ? undefined : parseTimestampedSignature(timestampedText);
  if (timestamped === undefined && timestampedText !== undefined) {
    return { kind: "malformed", ...schemes.timestamped };
  }
  return { plain, timestamped };
}

/** Goes through all keys, so that the time does not tell which one fits. */
function isSigned(keys: readonly KeyObject[], digest: Buffer, prefix: string, body: Buffer): boolean {
  let fits = false;
  for (const key of keys) {
    const own = createHmac("sha256", key).update(prefix).update(body).digest();
    const same = timingSafeEqual(own, digest);
    fits = same || fits;
  }
  return fits;
}

function beginsWithDigit(body: Buffer): boolean {
  const first = body[0];
  return first !== undefined && first >= 0x30 && first <= 0x39;
}
