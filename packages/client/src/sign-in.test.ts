/** Tokens over the life of a relay, against a real Socket.IO server. */
import { describe, expect, test, vi } from "vitest";
import type { RelayError } from "./errors.ts";
import { connect, eventually, server } from "./relay.test-harness.ts";
import { refusal, token } from "./relay.test-server.ts";
import type { TokenReason } from "./types.ts";

describe("tokens", () => {
  test("are renewed in place before they end, with one call of the provider", async () => {
    const reasons: TokenReason[] = [];
    const relay = connect(({ reason }) => {
      reasons.push(reason);
      return token(reasons.length === 1 ? 2 : 60, { n: reasons.length });
    });
    await relay.on("token.*", () => {}).ready;
    const peer = await server.current.peer();
    await eventually(() => expect(peer.named("authenticate")).toHaveLength(1));
    expect(reasons).toEqual(["connect", "renew"]);
    expect(peer.socket.connected).toBe(true);
    expect(server.current.handshakes).toHaveLength(1);
    expect(peer.named("authenticate")[0]?.payload["token"]).not.toBe(peer.auth.token);
  });

  test("are renewed when the relay says that they end", async () => {
    const relay = connect();
    const errors: RelayError[] = [];
    const kept = relay.on("token.*", () => {});
    const lost = relay.on("user.*", () => {}, { onError: (error) => errors.push(error) });
    await Promise.all([kept.ready, lost.ready]);
    server.current.onAsked = ({ reply }) =>
      reply({ ok: true, expires_at: "2030-01-01T00:00:00Z", dropped: ["user.*"] });
    const peer = await server.current.peer();
    peer.notice("relay.token_expiring", { expires_at: "2026-01-01T00:00:00Z" });
    await eventually(() => expect(errors).toMatchObject([{ code: "forbidden" }]));
    expect(peer.named("authenticate")).toHaveLength(1);
    expect(relay.status.state).toBe("live");
  });

  test("a renewal that fails keeps the connection, is tried again and shown", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.05);
    let calls = 0;
    const relay = connect(() => {
      calls++;
      if (calls === 2) throw new Error("the house is on fire");
      return token(60);
    });
    await relay.on("token.*", () => {}).ready;
    const peer = await server.current.peer();
    const messages: string[] = [];
    relay.onStatus(({ degraded, message }) => degraded && messages.push(message));
    peer.notice("relay.token_expiring", { expires_at: "2026-01-01T00:00:00Z" });
    await eventually(() => expect(peer.named("authenticate")).toHaveLength(1));
    expect(messages[0]).toContain("the house is on fire");
    await eventually(() => expect(relay.status).toMatchObject({ state: "live", degraded: false }));
    expect(server.current.peers).toHaveLength(1);
  });

  test("that come after the connection was lost are for the next one", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.9);
    let answer = (_: string): void => {};
    let calls = 0;
    const relay = connect(() => {
      calls++;
      if (calls === 1) return token(60);
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    await relay.on("token.*", () => {}).ready;
    const peer = await server.current.peer();
    peer.notice("relay.token_expiring", { expires_at: "2026-01-01T00:00:00Z" });
    await eventually(() => expect(calls).toBe(2));
    peer.cut();
    await eventually(() => expect(relay.status.state).toBe("reconnecting"));
    const renewed = token(90);
    answer(renewed);
    const next = await server.current.peer(2);
    await eventually(() => expect(relay.status.state).toBe("live"));
    expect(next.auth.token).toBe(renewed);
    expect(next.asked.map(({ name }) => name)).toEqual(["subscribe"]);
    expect(calls).toBe(2);
  });

  test("of whoever was signed in before are not waited for", async () => {
    const signals: AbortSignal[] = [];
    const relay = connect(({ signal }) => {
      signals.push(signal);
      return signals.length === 1 ? new Promise(() => {}) : token(60);
    });
    const sub = relay.on("token.*", () => {});
    await eventually(() => expect(signals).toHaveLength(1));
    relay.reconnect();
    await sub.ready;
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  test("of another user replace the connection", async () => {
    const relay = connect();
    await relay.on("token.*", () => {}).ready;
    server.current.onAsked = (asked, peer) => {
      if (asked.name === "authenticate") asked.reply(refusal("subject_changed"));
      else peer.answer(asked);
    };
    const peer = await server.current.peer();
    peer.notice("relay.token_expiring", { expires_at: "2026-01-01T00:00:00Z" });
    const next = await server.current.peer(2);
    expect(next.auth.token).toBe(peer.named("authenticate")[0]?.payload["token"]);
  });

  test("that have expired are never sent", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.05);
    const reasons: TokenReason[] = [];
    const relay = connect(({ reason }) => {
      reasons.push(reason);
      return token(reasons.length < 3 ? -1 : 60);
    });
    await relay.on("token.*", () => {}).ready;
    expect(reasons).toHaveLength(3);
    expect(server.current.handshakes).toHaveLength(1);
  });

  test("that are refused are replaced at once, then later and later", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.05);
    const reasons: TokenReason[] = [];
    const relay = connect(({ reason }) => {
      reasons.push(reason);
      return token(60);
    });
    let refusals = 3;
    server.current.refuse = () =>
      refusals-- > 0 ? { code: "unauthenticated", message: "not you" } : undefined;
    const waits: (number | undefined)[] = [];
    relay.onStatus(({ retryAt }) => retryAt !== undefined && waits.push(retryAt - Date.now()));
    await relay.on("token.*", () => {}).ready;
    expect(reasons).toEqual(["connect", "refused", "refused", "refused"]);
    expect(waits).toHaveLength(2);
  });

  test("the relay's end of a connection asks for a new one", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.05);
    const reasons: TokenReason[] = [];
    const relay = connect(({ reason }) => {
      reasons.push(reason);
      return token(60);
    });
    await relay.on("token.*", () => {}).ready;
    (await server.current.peer()).socket.disconnect(true);
    await server.current.peer(2);
    expect(reasons).toEqual(["connect", "expired"]);
    (await server.current.peer(2)).cut();
    await server.current.peer(3);
    expect(reasons).toHaveLength(2);
  });

  test("null means signed out, until told to ask again", async () => {
    let user: string | null = null;
    const relay = connect(async () => user);
    const sub = relay.on("token.*", () => {});
    await eventually(() =>
      expect(relay.status).toMatchObject({ state: "signed_out", message: "Signed out" }),
    );
    expect(server.current.handshakes).toEqual([]);
    user = token(60);
    relay.reconnect();
    await sub.ready;
    user = null;
    relay.reconnect();
    await eventually(() => expect(relay.status.state).toBe("signed_out"));
    const { socket } = await server.current.peer();
    // the server hears of it a moment after the client has left
    await eventually(() => expect(socket.connected).toBe(false));
  });

  test("a revoked one ends the attempts, until told to try again", async () => {
    server.current.refuse = () => ({ code: "revoked", message: "the token was revoked" });
    const relay = connect();
    const sub = relay.on("token.*", () => {});
    await eventually(() => expect(relay.status.state).toBe("refused"));
    expect(relay.status.message).toBe("Refused: the token was revoked");
    expect(server.current.handshakes).toHaveLength(1);
    server.current.refuse = () => undefined;
    relay.reconnect();
    await sub.ready;
  });
});
