/** The connection: does what `connection-state.ts` says, with Socket.IO, timers and the token provider. */
import {
  type ConnectErrorData,
  type EventMeta,
  protocolVersion,
  type RelayNotices,
  type SharmoEvent,
} from "@sharmo-relay/protocol";
import { io } from "socket.io-client";
import { delayAfter, slowBackoff } from "./backoff.ts";
import {
  type ConnectionState,
  closed,
  connected,
  draining,
  type Env,
  expired,
  idleConnection,
  isUp,
  lost,
  nextTick,
  online,
  proven,
  refused,
  replaced,
  signedOut,
  type Timing,
  tick,
  tokenFailed,
  tokenGiven,
  troubled,
} from "./connection-state.ts";
import type { AllRequests, Request } from "./requests.ts";
import { createTokens } from "./token.ts";
import type { TokenProvider } from "./types.ts";

export interface ConnectionOptions {
  /** `https://host:port`, and the path under which Socket.IO answers there. */
  readonly origin: string;
  readonly path: string;
  readonly token: TokenProvider;
  readonly timing: Timing;
}

/** Who is told what happens. */
export interface ConnectionEvents {
  connected(): void;
  lost(): void;
  /** Time has passed. */
  tick(): void;
  event(event: SharmoEvent, meta: EventMeta): void;
  notice(name: string, payload: unknown): void;
  dropped(topics: readonly string[]): void;
  changed(): void;
}

export interface Connection {
  readonly state: ConnectionState;
  /** Something of `connection-state.ts` happened. */
  put<More extends readonly unknown[]>(
    event: (state: ConnectionState, env: Env, ...more: More) => ConnectionState,
    ...more: More
  ): void;
  close(): void;
  readonly request: Request<AllRequests>;
}

export function createConnection(options: ConnectionOptions, events: ConnectionEvents): Connection {
  const { timing } = options;
  const tokens = createTokens(options.token, Date.now, Math.random);
  let state = idleConnection;
  let heard = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let renewalFailures = 0;

  const socket = io(options.origin, {
    path: options.path,
    transports: ["websocket"],
    autoConnect: false,
    forceNew: true,
    reconnection: false,
    timeout: timing.answer,
    // called when the transport is open already, so the token is fetched before
    auth: (send) => send({ token: tokens.text, protocol: protocolVersion }),
  });

  const put: Connection["put"] = (event, ...more) => {
    const before = state;
    const env: Env = { now: Date.now(), random: Math.random(), timing };
    if (before.phase !== "closed") state = event(before, env, ...more);
    const { phase } = state;
    if (phase !== before.phase || state.attempt !== before.attempt) {
      if (before.phase === "open") events.lost();
      if (isUp(before) && phase !== "open") socket.disconnect();
      if (state.attempt !== before.attempt) ask();
      if (phase === "connecting") socket.connect();
      if (phase === "open") events.connected();
    }
    clearTimeout(timer);
    const ms = nextTick(state, env);
    if (ms !== undefined) timer = setTimeout(look, ms);
    events.changed();
  };

  /** An answer that comes after the next question is not for it. */
  const fetchToken = (got: (token: string) => void, failed: (problem: string) => void): void => {
    const { attempt, reason, phase } = state;
    tokens.get(phase === "open" ? "renew" : reason).then(
      (token) => {
        if (state.attempt !== attempt) return;
        if (token === null) put(signedOut);
        else got(token);
      },
      (error: unknown) => state.attempt === attempt && failed(`no token (${String(error)})`),
    );
  };

  const ask = (): void => {
    if (state.reason === "connect") tokens.forget();
    fetchToken(
      () => put(tokenGiven),
      (message) => put(tokenFailed, message),
    );
  };

  /** Once a second while there is something to watch. */
  const look = (): void => {
    put(tick, heard);
    heard = false;
    events.tick();
    if (state.phase === "open" && tokens.renewalDue()) renew();
  };

  /** A new token in place of the old one; if that fails the old one stays, and it is tried again. */
  const renew = (): void => {
    const failed = (problem: string): void => {
      tokens.renewAfter(delayAfter(renewalFailures++, slowBackoff, Math.random()));
      put(troubled, problem);
    };
    fetchToken((token) => {
      request("authenticate", { token }, (answer) => {
        if (answer.ok) {
          if (renewalFailures > 0) put(troubled);
          renewalFailures = 0;
          events.dropped(answer.dropped);
        } else if (answer.error.code === "subject_changed") put(replaced);
        else failed(answer.error.message);
      });
    }, failed);
  };

  // answers come by callback, not by promise: what follows an answer must not overtake it
  const request: Connection["request"] = (name, payload, answered) => {
    // Socket.IO would keep it and send it on the next connection
    if (!socket.connected) return;
    socket.timeout(timing.answer).emit(name, payload, (error: Error | null, answer: never) => {
      heard = true;
      if (state.phase !== "open") return;
      if (error === null) answered(answer);
      else put(lost, "no answer from the relay");
    });
  };

  socket.on("connect", () => put(connected));
  socket.on("connect_error", (error: Error & { data?: ConnectErrorData }) => {
    if (error.data === undefined) put(lost, "no connection to the relay");
    else put(refused, error.data);
  });
  socket.on("disconnect", (reason) =>
    reason === "io server disconnect" ? put(expired) : put(lost, "the connection to the relay was lost"),
  );
  socket.onAny((name: string, first: unknown, meta: unknown) => {
    heard = true;
    if (!name.startsWith("relay.")) return events.event(first as SharmoEvent, meta as EventMeta);
    if (name === "relay.draining") {
      put(draining, (first as RelayNotices["relay.draining"]).reconnect_after_ms);
    } else if (name === "relay.degraded") {
      put(troubled, (first as RelayNotices["relay.degraded"]).degraded ? "events may be late" : undefined);
    } else if (name === "relay.token_expiring") {
      tokens.renewAfter(0);
      look();
    } else {
      if (name === "relay.cursor" && state.failures > 0) put(proven);
      events.notice(name, first);
    }
  });

  const isOnline = (): void => put(online);
  globalThis.addEventListener?.("online", isOnline);

  return {
    get state() {
      return state;
    },
    put,
    close() {
      put(closed);
      tokens.forget();
      globalThis.removeEventListener?.("online", isOnline);
    },
    request,
  };
}
