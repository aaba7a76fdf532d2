/**
 * One connection over time: when to ask for a token, connect, wait, give up. Pure; `connection.ts` does the I/O that
 * a change of phase means.
 *
 *     idle ─▶ asking ─▶ connecting ─▶ open
 *               ▲  │         │          │
 *               │  ▼         ▼          ▼
 *               └─ waiting ◀──────────────      signed_out, refused: until told to try again; closed: for good
 */
import type { ConnectErrorData } from "@sharmo-relay/protocol";
import { type Backoff, connectBackoff, delayAfter, slowBackoff } from "./backoff.ts";
import { finalCodes } from "./errors.ts";
import type { TokenReason } from "./types.ts";

/** All in milliseconds. */
export interface Timing {
  /** The server says something at least every 5 s: a connection silent for so long is dead. */
  readonly silence: number;
  /** How often the clock is looked at. */
  readonly tick: number;
  /** Longest wait for an answer. */
  readonly answer: number;
}

export const defaultTiming: Timing = { silence: 15_000, tick: 1_000, answer: 10_000 };

/** A tick so much later than due means that the machine slept or the page was frozen. */
const driftMs = 5_000;

export interface ConnectionState {
  readonly phase: /** Nothing was asked for yet. */
    | "idle"
    /** The token provider is asked, unless the token at hand will do. */
    | "asking"
    | "connecting"
    | "open"
    | "waiting"
    | "signed_out"
    | "refused"
    | "closed";
  /** While waiting, the next attempt; while open, when the server asked to come back. In ms since 1970. */
  readonly due: number;
  /** Counts what is asked of the token provider; a higher number means: ask now. */
  readonly attempt: number;
  /** Why the next attempt needs a new token; undefined: the one at hand will do. */
  readonly reason: TokenReason | undefined;
  /** Attempts that failed since the connection was last known to be good. */
  readonly failures: number;
  /** The token at hand is new because the one before was refused. */
  readonly fresh: boolean;
  /** What went wrong last, for a person. */
  readonly problem: string | undefined;
  /** For how long nothing was heard, as far as timers ran; in milliseconds. */
  readonly quiet: number;
  readonly ticked: number;
}

export interface Env {
  readonly now: number;
  /** From [0, 1). */
  readonly random: number;
  readonly timing: Timing;
}

export const idleConnection: ConnectionState = {
  phase: "idle",
  due: 0,
  attempt: 0,
  reason: "connect",
  failures: 0,
  fresh: false,
  problem: undefined,
  quiet: 0,
  ticked: 0,
};

export const isUp = ({ phase }: ConnectionState): boolean => phase === "open" || phase === "connecting";

// What can happen, each from a state to the next. Nothing happens any more once it is closed.

/** There is something to connect for. */
export const wanted = (state: ConnectionState): ConnectionState =>
  state.phase === "idle" ? attempt(state) : state;

/** Leave and come back, with a new token of whoever is signed in now. */
export const again = (state: ConnectionState): ConnectionState =>
  attempt({ ...state, reason: "connect", failures: 0 });

/** The token is one of another user: leave, and come back with it. */
export const replaced = (state: ConnectionState): ConnectionState => attempt({ ...state, reason: undefined });

export const online = (state: ConnectionState): ConnectionState =>
  state.phase === "waiting" ? attempt(state) : state;

export const closed = (state: ConnectionState): ConnectionState => ({
  ...state,
  phase: "closed",
  problem: undefined,
});

export const tokenGiven = (state: ConnectionState, { now }: Env): ConnectionState => ({
  ...state,
  phase: "connecting",
  reason: undefined,
  due: Number.POSITIVE_INFINITY,
  quiet: 0,
  ticked: now,
});

/** The token provider gave null. */
export const signedOut = (state: ConnectionState): ConnectionState => ({
  ...state,
  phase: "signed_out",
  reason: "connect",
  problem: undefined,
});

export const tokenFailed = (state: ConnectionState, env: Env, problem: string): ConnectionState =>
  failed(state, problem, env, slowBackoff);

export const connected = (state: ConnectionState): ConnectionState => ({
  ...state,
  phase: "open",
  fresh: false,
  problem: undefined,
  quiet: 0,
});

/** Anything that ends a connection or an attempt, or makes it useless. */
export function lost(state: ConnectionState, env: Env, problem: string): ConnectionState {
  if (!isUp(state)) return state;
  const next = failed(state, problem, env, connectBackoff);
  // a server that drains spreads its clients by the delays it gives
  return state.due < Number.POSITIVE_INFINITY ? { ...next, due: state.due } : next;
}

/** The server ended it: only if its token is no longer good. */
export const expired = (state: ConnectionState, env: Env): ConnectionState => ({
  ...lost(state, env, "the token has expired"),
  reason: "expired",
});

/** `connect_error` with data. */
export function refused(
  state: ConnectionState,
  env: Env,
  { code, message }: ConnectErrorData,
): ConnectionState {
  if (finalCodes.includes(code)) return { ...state, phase: "refused", problem: message, reason: "connect" };
  const isExpired = code === "token_expired";
  if (!isExpired && code !== "unauthenticated") return lost(state, env, message);
  const next: ConnectionState = { ...state, fresh: true, reason: isExpired ? "expired" : "refused" };
  // a new token at once; if that is refused as well, later and later
  return state.fresh ? failed(next, message, env, slowBackoff) : attempt(next);
}

/** Something does not work, and the connection stays: a token was not renewed, events may be late. Or it is over. */
export const troubled = (state: ConnectionState, _env: Env, problem?: string): ConnectionState => ({
  ...state,
  problem,
});

/** `relay.cursor` came: the connection is good. */
export const proven = (state: ConnectionState): ConnectionState => ({ ...state, failures: 0 });

/** `ms`: when the server asks to come back. */
export const draining = (state: ConnectionState, { now }: Env, ms: number): ConnectionState => ({
  ...state,
  due: now + ms,
});

/** `heard`: anything, since the last tick. */
export function tick(state: ConnectionState, env: Env, heard: boolean): ConnectionState {
  const { now, timing } = env;
  const late = now - state.ticked > timing.tick + driftMs;
  // what arrived during sleep has not been read yet: a little longer, but not the whole time again
  const before = late ? Math.max(state.quiet, timing.silence - driftMs) : state.quiet;
  const next = { ...state, ticked: now, quiet: heard ? 0 : before + timing.tick };
  if (now >= state.due) return attempt(next);
  return next.quiet >= timing.silence ? lost(next, env, "no answer from the relay") : next;
}

/** Milliseconds to the next `tick`; undefined: none is needed. */
export function nextTick(state: ConnectionState, { now, timing }: Env): number | undefined {
  if (!isUp(state) && state.phase !== "waiting") return undefined;
  return Math.min(timing.tick, Math.max(0, state.due - now));
}

function attempt(state: ConnectionState): ConnectionState {
  return { ...state, phase: "asking", attempt: state.attempt + 1 };
}

function failed(state: ConnectionState, problem: string, env: Env, backoff: Backoff): ConnectionState {
  const due = env.now + delayAfter(state.failures, backoff, env.random);
  return { ...state, phase: "waiting", failures: state.failures + 1, problem, due };
}
