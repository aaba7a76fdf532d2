/** An operator's second try for what lies in quarantine. */
import type { Accepted, NewEvent, Quarantine, QuarantineItem } from "../log/event-log.ts";
import { readDocument, readEnvelope } from "./envelope.ts";

export interface RetryDeps {
  accept(event: NewEvent): Promise<Accepted>;
  readonly quarantine: Pick<Quarantine, "remove">;
}

export type RetryResult =
  | { readonly status: "accepted"; readonly accepted: Extract<Accepted, { status: "accepted" }> }
  /** The id is in the log. With other content than this item's, the item stays, for there is no other copy of it. */
  | { readonly status: "duplicate"; readonly id: string; readonly sameContent: boolean }
  /** It is still no event that the log takes; the item stays. */
  | { readonly status: "invalid"; readonly message: string };

/**
 * Reads the item's bytes anew, as this build reads them, and gives them to the log. No signature is asked for: only
 * what was authentic is in quarantine. Documented fields that are missing do not stop it: the operator has decided.
 * An item whose event is in the log is removed. Rejects with the error of `accept`; then nothing was removed.
 */
export async function retryQuarantined(
  item: Pick<QuarantineItem, "id" | "body">,
  deps: RetryDeps,
): Promise<RetryResult> {
  const read = readDocument(item.body);
  if (!read.ok) return { status: "invalid", message: read.message };
  const envelope = readEnvelope(read.document, item.body);
  if (!envelope.ok) return { status: "invalid", message: envelope.message };

  const accepted = await deps.accept(envelope.event);
  switch (accepted.status) {
    case "accepted":
      await removeStored(item.id, deps.quarantine);
      return { status: "accepted", accepted };
    case "duplicate": {
      const { sameContent } = accepted;
      if (sameContent) await removeStored(item.id, deps.quarantine);
      return { status: "duplicate", id: envelope.event.id, sameContent };
    }
    case "refused":
      return { status: "invalid", message: "The log holds as many event types as it can." };
  }
}

/** The event is stored, whatever happens to its copy: one that stays is a duplicate at the next try. */
async function removeStored(id: string, quarantine: RetryDeps["quarantine"]): Promise<void> {
  await quarantine.remove(id).catch(() => false);
}
