/** What every Node peer does with a webhook: reads it whole, checks its HMAC over the bytes, parses it. */
import { createHmac, timingSafeEqual } from "node:crypto";

const secret = process.env["WEBHOOK_SECRET"] ?? "";
const largest = 256 * 1024;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The body of a request, whole. */
export async function bodyOf(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > largest) throw new Refused(413, "too large");
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

/** Throws Refused unless the body is signed as `x-sharmo-signature` says. */
export function check(body, headers) {
  const wanted = createHmac("sha256", secret).update(body).digest();
  const given = Buffer.from(String(headers["x-sharmo-signature"] ?? ""), "hex");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new Refused(401, "signature");
}

/** The event in a body, once its signature is checked. */
export function eventOf(body, headers) {
  check(body, headers);
  return JSON.parse(body.toString("utf8"));
}
