import type { LogErrorCode } from "../log/event-log.ts";
import type { OutcomeRow } from "./outcome.ts";

export type IngestFailure = LogErrorCode | "timeout" | "unexpected";

/** What ingest tells those who count and log: ids, types and codes, never `data`. */
export interface IngestObserver {
  outcome(row: OutcomeRow): void;
  /** From the start of the request until the event was stored. */
  acceptTook(seconds: number): void;
  /** A documented field is missing or of another kind. Both names are of the catalogue, so their number is bounded. */
  schemaProblem(type: string, field: string): void;
  /** The id came before with other content. */
  idReused(type: string, id: string): void;
  /** Why `storage_unavailable` was answered. The error is for a log that knows what not to print of one. */
  failed(code: IngestFailure, error: unknown): void;
}
