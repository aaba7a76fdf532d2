import { createHash } from "node:crypto";
import type { Quarantine, QuarantineItem } from "../log/event-log.ts";

/** The same bytes kept for the same reason are one item, however often the sender tries. */
export function quarantineItem(
  reason: QuarantineItem["reason"],
  message: string,
  body: Buffer,
): Parameters<Quarantine["put"]>[0] {
  const id = createHash("sha256").update(`${reason}\n`).update(body).digest("hex");
  return { id, reason, message, body };
}
