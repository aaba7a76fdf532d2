import { expect, test } from "vitest";
import { type ConnectionState, idleConnection } from "./connection-state.ts";
import { statusOf } from "./status.ts";

const now = 1_000_000;
const at = (connection: Partial<ConnectionState>, more = {}) =>
  statusOf({
    connection: { ...idleConnection, ...connection },
    catchingUp: false,
    resting: false,
    offline: false,
    now,
    ...more,
  });

test("says in plain words how the connection stands", () => {
  const rows: [Partial<ConnectionState>, object, string, string][] = [
    [{}, {}, "idle", "Idle"],
    [{ phase: "asking" }, {}, "connecting", "Connecting"],
    [{ phase: "connecting", failures: 1 }, {}, "reconnecting", "Reconnecting"],
    [{ phase: "open" }, {}, "live", "Live"],
    [{ phase: "open" }, { catchingUp: true }, "catching_up", "Catching up"],
    [{ phase: "signed_out" }, {}, "signed_out", "Signed out"],
    [{ phase: "closed" }, {}, "closed", "Closed"],
    [{ phase: "refused", problem: "the token was revoked" }, {}, "refused", "Refused: the token was revoked"],
    [{ phase: "waiting", due: now + 2_400 }, {}, "reconnecting", "Reconnecting, next try in 3 s"],
    [{ phase: "waiting", due: now - 5 }, { offline: true }, "offline", "Offline, next try in 0 s"],
  ];
  for (const [connection, more, state, message] of rows) {
    expect(at(connection, more)).toMatchObject({ state, message, degraded: false, role: "solo" });
  }
});

test("tells when the next attempt is due, only while one is", () => {
  expect(at({ phase: "waiting", due: now + 5 })).toHaveProperty("retryAt", now + 5);
  expect(at({ phase: "open", due: now + 5 })).not.toHaveProperty("retryAt");
});

test("degraded: live, but something does not work", () => {
  expect(at({ phase: "open", problem: "no token (Error: 500)" })).toMatchObject({
    state: "live",
    degraded: true,
    message: "Live: no token (Error: 500)",
  });
  expect(at({ phase: "open" }, { resting: true })).toMatchObject({ degraded: true });
  expect(at({ phase: "waiting", problem: "no token" }, { resting: true }).degraded).toBe(false);
});
