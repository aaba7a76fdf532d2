/** The vendor's two signature schemes, over the bytes as they are sent. The key is the whole secret, prefix included. */
import { createHmac } from "node:crypto";

/** Which signature headers a request carries. */
export type Scheme = "body" | "timestamped" | "both";

export const schemes: readonly Scheme[] = ["body", "timestamped", "both"];

/** The value of `X-Sharmo-Signature`: HMAC-SHA256 of the body in lower-case hex. */
export function signBody(body: Uint8Array, secret: string): string {
  return createHmac("sha256", secret).update(body).digest("hex");
}

/** The value of `Sharmo-Signature`: `t=<seconds>,v1=<hex>` over `<seconds>.<body>`. */
export function signTimestamped(body: Uint8Array, secret: string, unixSeconds: number): string {
  const mac = createHmac("sha256", secret).update(`${unixSeconds}.`).update(body).digest("hex");
  return `t=${unixSeconds},v1=${mac}`;
}

export function signatureHeaders(
  scheme: Scheme,
  body: Uint8Array,
  secret: string,
  unixSeconds: number,
): Record<string, string> {
  const headers: Record<string, string> = {};
  if (scheme !== "timestamped") headers["x-sharmo-signature"] = signBody(body, secret);
  if (scheme !== "body") headers["sharmo-signature"] = signTimestamped(body, secret, unixSeconds);
  return headers;
}
