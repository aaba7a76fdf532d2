/** What the management API is given. */
import type { DevToken } from "../auth/dev-token.ts";
import type { TokenVerifier } from "../auth/principal.ts";
import type { EventLog } from "../log/event-log.ts";
import type { Logger } from "../observe/logger.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { ApiNode } from "./node.ts";
import type { StaticFiles } from "./static.ts";

/** What became of a quarantined delivery that was tried again. */
export type RetryOutcome =
  | { readonly status: "accepted"; readonly id: string; readonly cursor: string }
  | { readonly status: "duplicate"; readonly id: string }
  | { readonly status: "refused"; readonly reason: string; readonly message: string }
  | { readonly status: "not_found" };

export interface Condition {
  readonly code: string;
  /** For an operator; holds no data. */
  readonly message: string;
}

export interface Readiness {
  /** Why the node must get no traffic; empty: it is ready. */
  readonly reasons: readonly Condition[];
  /** What a person should look at all the same. */
  readonly warnings: readonly Condition[];
}

export interface ApiDeps {
  readonly log: Pick<EventLog, "readRange" | "readEvent" | "quarantine">;
  readonly node: ApiNode;
  readonly verifier: TokenVerifier;
  readonly retryQuarantined: (id: string) => Promise<RetryOutcome>;
  readonly readiness: () => Readiness;
  readonly metrics: Pick<Metrics, "render" | "log">;
  readonly logger: Logger;
  /** The built dashboard; undefined: none is served. */
  readonly page: StaticFiles | undefined;
  /** Only in development, and only if the secret is the development one. */
  readonly devToken: (() => Promise<DevToken>) | undefined;
}
