/** What the primary process and its workers say to each other. */
import type { Call, Said } from "../log/shared-log-messages.ts";
import type { Figures } from "../observe/metrics.ts";

export type FromWorker =
  | { readonly kind: "started"; readonly port: number }
  /** It cannot start, and says why to a person. */
  | { readonly kind: "refused"; readonly message: string }
  /** Somebody sent it a signal. */
  | { readonly kind: "leaving" }
  /** Its figures: asked for, or the last before it ends. */
  | { readonly kind: "figures"; readonly figures: Figures; readonly scrape?: number }
  /** Somebody asked it for the figures of all. */
  | { readonly kind: "scrape"; readonly id: number }
  | { readonly kind: "calls"; readonly calls: readonly Call[] };

export type ToWorker =
  | { readonly kind: "drain" }
  | { readonly kind: "count"; readonly scrape: number }
  | { readonly kind: "counted"; readonly id: number; readonly contentType: string; readonly body: string }
  | { readonly kind: "said"; readonly said: readonly Said[] };

/** Of the environment: which place the worker has. Set by the primary alone. */
export const placeVariable = "WORKER_OF_RELAY";
