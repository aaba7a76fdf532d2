/** How the connection stands, in words for programs and for people. */
import type { ConnectionState as Connection } from "./connection-state.ts";

/**
 * - `idle`: nothing is subscribed yet, so nothing was connected.
 * - `connecting`: the first connection is on its way.
 * - `live`: events arrive as they happen.
 * - `catching_up`: connected; what was missed is on its way.
 * - `reconnecting`: the connection was lost or could not be made; tried again at `retryAt`.
 * - `offline`: the same, and the browser says that there is no network.
 * - `signed_out`: the token provider gave null; `relay.reconnect()` asks it again.
 * - `refused`: the relay will not have this client; trying again by itself cannot help. `relay.reconnect()` tries.
 * - `closed`: by `relay.close()`.
 */
export type ConnectionState =
  | "idle"
  | "connecting"
  | "live"
  | "catching_up"
  | "reconnecting"
  | "offline"
  | "signed_out"
  | "refused"
  | "closed";

export interface Status {
  readonly state: ConnectionState;
  /** Connected, but something does not work: events may be late, the token cannot be renewed, or a subscription is not accepted yet. */
  readonly degraded: boolean;
  /** When the next attempt is due, in milliseconds since 1970. */
  readonly retryAt?: number;
  /** Every tab has a connection of its own. */
  readonly role: "solo";
  /** One sentence for a person: `Live`, `Reconnecting, next try in 3 s`. */
  readonly message: string;
}

/** What the status is made of. */
export interface Circumstances {
  readonly connection: Connection;
  /** Some handler waits for what it missed while it was away. */
  readonly catchingUp: boolean;
  /** Some topic was refused for now. */
  readonly resting: boolean;
  readonly offline: boolean;
  readonly now: number;
}

export function statusOf(circumstances: Circumstances): Status {
  const { connection, resting, now } = circumstances;
  const { phase, problem, due } = connection;
  const waiting = phase === "waiting";
  const detail = problem ?? (resting && phase === "open" ? "a topic is refused for now" : "");
  const state = stateOf(circumstances);
  return {
    state,
    degraded: phase === "open" && detail !== "",
    ...(waiting && { retryAt: due }),
    role: "solo",
    message:
      state.charAt(0).toUpperCase() +
      state.slice(1).replace("_", " ") +
      (waiting ? `, next try in ${Math.max(0, Math.ceil((due - now) / 1_000))} s` : "") +
      (detail && `: ${detail}`),
  };
}

function stateOf({ connection, catchingUp, offline }: Circumstances): ConnectionState {
  const { phase, failures } = connection;
  if (phase === "open") return catchingUp ? "catching_up" : "live";
  if (phase === "waiting") return offline ? "offline" : "reconnecting";
  if (phase !== "asking" && phase !== "connecting") return phase;
  return failures > 0 ? "reconnecting" : "connecting";
}
