/** The public face against a real Socket.IO server. */
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { defaultTiming, type Timing } from "./connection-state.ts";
import { RelayError } from "./errors.ts";
import { cursor, price, refusal, ScriptedServer, token } from "./relay.test-server.ts";
import { assembleRelay, createRelay, untyped } from "./relay.ts";
import type { GapInfo, Relay, TokenProvider, TokenReason } from "./types.ts";

const server = { current: new ScriptedServer() };
const relays: Relay[] = [];

beforeEach(async () => {
  server.current = new ScriptedServer();
  await server.current.start();
});

afterEach(async () => {
  for (const relay of relays.splice(0)) relay.close();
  await server.current.stop();
  vi.restoreAllMocks();
});

function connect(provider: TokenProvider = () => token(60), timing: Partial<Timing> = {}, path = ""): Relay {
  const relay = assembleRelay(
    { url: server.current.url + path, token: provider },
    { ...defaultTiming, tick: 20, ...timing },
  );
  relays.push(relay);
  return relay;
}

const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5_000, interval: 5 });

/** Handler and everything it got, as `id delivery`. */
function record(): { got: string[]; handler: (e: { id: string; delivery: string }) => void } {
  const got: string[] = [];
  return { got, handler: (e) => void got.push(`${e.id} ${e.delivery}`) };
}

describe("a subscription", () => {
  test("connects with the provider's token and gets events as they happen", async () => {
    const given = token(60);
    const relay = connect(() => given);
    expect(relay.status).toMatchObject({ state: "idle", role: "solo" });
    await setImmediate();
    expect(server.current.handshakes).toEqual([]);
    const events: object[] = [];
    const sub = relay.on("token.price_changed", { token_id: "tok_1" }, (e) => events.push(e));
    const peer = await server.current.peer();
    expect(await sub.ready).toEqual({ cursor: cursor(0), recovered: true });
    expect(peer.auth).toEqual({ token: given, protocol: 1 });
    expect(peer.asked[0]?.payload).toMatchObject({ topics: ["token.price_changed?token_id=tok_1"] });
    peer.send(price("e1", "tok_1", 2), { cursor: cursor(7), late: true });
    peer.live(price("e2", "tok_2"), 8);
    await eventually(() => expect(sub.cursor).toBe(cursor(8)));
    expect(events).toEqual([
      { ...price("e1", "tok_1", 2), delivery: "live", cursor: cursor(7), at: 1_700_000_000_000, late: true },
    ]);
  });

  test("finds its events by a number in data as well", async () => {
    const relay = connect();
    const { got, handler } = record();
    await relay.on("token.price_changed", { token_id: "12345678901234567890" }, handler).ready;
    const peer = await server.current.peer();
    peer.live(price("other", 42), 1);
    peer.live(price("e1", Number("12345678901234567890")), 2);
    await eventually(() => expect(got).toEqual(["e1 live"]));
  });

  test("an event that matches two topics comes once, and to each handler", async () => {
    const relay = connect();
    const all = record();
    const one = record();
    await Promise.all([
      relay.on("*", all.handler).ready,
      relay.on("token.*", { token_id: "tok_1" }, one.handler).ready,
      relay.on(untyped("vendor.news"), () => expect.unreachable()).ready,
    ]);
    const peer = await server.current.peer();
    peer.live(price("e1"), 1);
    peer.live(price("e2", "tok_2"), 2);
    await eventually(() => expect(all.got).toEqual(["e1 live", "e2 live"]));
    expect(one.got).toEqual(["e1 live"]);
  });

  test("handlers added together share one subscription, and one unsubscribe ends one of them", async () => {
    const relay = connect();
    const first = record();
    const second = record();
    const a = relay.on("token.price_changed", first.handler);
    const b = relay.on("token.price_changed", second.handler, { snapshot: true });
    await Promise.all([a.ready, b.ready]);
    const peer = await server.current.peer();
    expect(peer.asked.map(({ payload }) => payload)).toMatchObject([{ snapshot: true }]);
    peer.live(price("e1"), 1);
    await eventually(() => expect(second.got).toEqual(["e1 live"]));
    a.unsubscribe();
    a.unsubscribe();
    peer.live(price("e2"), 2);
    await eventually(() => expect(second.got).toEqual(["e1 live", "e2 live"]));
    expect(first.got).toEqual(["e1 live"]);
    b.unsubscribe();
    await eventually(() => expect(peer.named("unsubscribe")).toHaveLength(1));
  });

  test("a late handler is shown the latest values, and the first one sees none of them", async () => {
    const relay = connect();
    const first = record();
    const late = record();
    await relay.on("token.price_changed", first.handler).ready;
    const peer = await server.current.peer();
    peer.live(price("e1"), 1);
    await eventually(() => expect(first.got).toHaveLength(1));
    server.current.onAsked = ({ payload, reply }) => {
      expect(payload).toMatchObject({ snapshot: true });
      expect(payload).not.toHaveProperty("since");
      const id = "moved" as typeof peer.last;
      reply({
        ok: true,
        subscription: id,
        topics: payload["topics"],
        cursor: cursor(2),
        state: "catching_up",
        recovered: true,
      });
      peer.send(price("e1"), { subscription: id, delivery: "snapshot" });
      peer.notice("relay.cursor", { subscription: id, cursor: cursor(2) });
      peer.send(price("e3"), { subscription: id, delivery: "catch_up", cursor: cursor(3) });
      peer.notice("relay.caught_up", { subscription: id, cursor: cursor(3) });
      peer.live(price("e4"), 4);
    };
    // still tailing under the old name when the request is on its way
    const sub = relay.on("token.price_changed", late.handler, { snapshot: true });
    peer.live(price("e2"), 2);
    expect(await sub.ready).toEqual({ cursor: cursor(2), recovered: true });
    await eventually(() => expect(late.got).toEqual(["e1 snapshot", "e3 catch_up", "e4 live"]));
    expect(first.got).toEqual(["e1 live", "e2 live", "e3 catch_up", "e4 live"]);
  });

  test("a late handler with a cursor reads up to the others and goes on with them", async () => {
    const relay = connect();
    const first = record();
    const late = record();
    await relay.on("token.price_changed", first.handler).ready;
    const peer = await server.current.peer();
    peer.live(price("e5"), 5);
    await eventually(() => expect(first.got).toHaveLength(1));
    server.current.onAsked = ({ name, payload, reply }) => {
      expect(name).toBe("read");
      if (payload["since"] === cursor(2)) {
        expect(payload).toMatchObject({ until: cursor(5) });
        peer.live(price("e6"), 6);
        reply({ ok: true, events: [[price("e3"), { cursor: cursor(3), at: 1 }]], next: cursor(3) });
      } else {
        expect(payload).toMatchObject({ since: cursor(3), until: cursor(6) });
        peer.live(price("e7"), 7);
        const events = ["e5", "e6"].map((id, i) => [price(id), { cursor: cursor(5 + i), at: 1 }]);
        reply({ ok: true, events });
      }
    };
    const sub = relay.on("token.price_changed", late.handler, { since: cursor(2) });
    expect(await sub.ready).toEqual({ cursor: cursor(2), recovered: true });
    await eventually(() =>
      expect(late.got).toEqual(["e3 catch_up", "e5 catch_up", "e6 catch_up", "e7 live"]),
    );
    expect(first.got).toEqual(["e5 live", "e6 live", "e7 live"]);
  });

  test("ends by signal and by `using`", async () => {
    const relay = connect();
    const controller = new AbortController();
    const sub = relay.on("token.created", () => {}, { signal: controller.signal });
    {
      using _ = relay.on("token.issued", () => {});
      await Promise.all([sub.ready, _.ready]);
    }
    const peer = await server.current.peer();
    await eventually(() => expect(peer.named("unsubscribe")).toHaveLength(1));
    controller.abort();
    await eventually(() => expect(peer.named("unsubscribe")).toHaveLength(2));
    const late = relay.on("token.created", () => {}, { signal: controller.signal });
    await expect(late.ready).rejects.toMatchObject({ code: "closed" });
    expect(peer.named("subscribe")).toHaveLength(2);
  });

  test("refused topics end with their code, and the others go on", async () => {
    const relay = connect();
    server.current.onAsked = (asked, peer) => {
      const refused = String(asked.payload["topics"]).startsWith("user.");
      if (refused) asked.reply(refusal("forbidden", { topics: asked.payload["topics"] }));
      else peer.answer(asked);
    };
    const errors: RelayError[] = [];
    const refused = relay.on("user.*", () => {}, { onError: (error) => errors.push(error) });
    const good = relay.on("token.*", () => {});
    await expect(refused.ready).rejects.toThrow(RelayError);
    await expect(refused.ready).rejects.toMatchObject({ code: "forbidden", details: { topics: ["user.*"] } });
    expect(errors).toHaveLength(1);
    await good.ready;
    expect(relay.status.state).toBe("live");
    const peer = await server.current.peer();
    expect(peer.asked).toHaveLength(2);
  });

  test("a refusal that nobody asked for goes to the console", async () => {
    const told = vi.spyOn(console, "error").mockImplementation(() => {});
    server.current.onAsked = ({ reply }) => reply(refusal("invalid_topic"));
    const relay = connect();
    relay.on(untyped("no topic"), () => {});
    await eventually(() =>
      expect(told).toHaveBeenCalledWith(expect.objectContaining({ code: "invalid_topic" })),
    );
  });

  test("what is refused for now is asked again, and the status says so", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.05);
    const relay = connect();
    server.current.onAsked = ({ reply }, peer) => {
      server.current.onAsked = (asked) => peer.answer(asked);
      reply(refusal("unavailable"));
    };
    const degraded: boolean[] = [];
    relay.onStatus((status) => degraded.push(status.degraded));
    await relay.on("token.*", () => {}).ready;
    const peer = await server.current.peer();
    expect(peer.named("subscribe")).toHaveLength(2);
    expect(degraded).toContain(true);
    await eventually(() => expect(relay.status).toMatchObject({ state: "live", degraded: false }));
  });

  test("a filter must be a text", () => {
    const relay = connect();
    const filter = { token_id: undefined as unknown as string };
    expect(() => relay.on("token.*", filter, () => {})).toThrow(RelayError);
    expect(() => relay.on("token.*", { token_id: "" }, () => {})).toThrow("token_id");
  });

  test("an url may have a path, and must be one", async () => {
    await server.current.stop();
    await server.current.start(0, "/live/socket.io");
    await connect(undefined, {}, "/live/").on("token.*", () => {}).ready;
    expect(() => createRelay({ url: "nowhere", token: () => null })).toThrow(TypeError);
  });
});

describe("handlers that fail", () => {
  test("do not keep others from their events, and are told of", async () => {
    const relay = connect();
    const errors: unknown[] = [];
    const onError = (error: RelayError): void => {
      errors.push(error.code, error.cause);
      throw new Error("not even here");
    };
    const told = vi.spyOn(console, "error").mockImplementation(() => {});
    const { got, handler } = record();
    await Promise.all([
      relay.on(
        "token.*",
        () => {
          throw new Error("boom");
        },
        { onError },
      ).ready,
      relay.on(
        "token.*",
        async () => {
          throw new Error("later");
        },
        { onError },
      ).ready,
      relay.on("token.*", () => {
        throw new Error("unheard");
      }).ready,
      relay.on("token.*", handler).ready,
    ]);
    const peer = await server.current.peer();
    peer.live(price("e1"), 1);
    peer.live(price("e2"), 2);
    await eventually(() => expect(got).toEqual(["e1 live", "e2 live"]));
    await eventually(() => expect(errors).toHaveLength(8));
    expect(errors).toContainEqual(new Error("boom"));
    expect(errors).toContainEqual(new Error("later"));
    expect(told).toHaveBeenCalledWith(new Error("unheard"));
  });
});

describe("a lost connection", () => {
  test("is made anew, and each subscription goes on from its own place without repeats", async () => {
    const relay = connect();
    const prices = record();
    const values = record();
    const a = relay.on("token.price_changed", prices.handler);
    await a.ready;
    let peer = await server.current.peer();
    peer.live(price("e1"), 1);
    await eventually(() => expect(prices.got).toHaveLength(1));
    await relay.on("token.*", values.handler).ready;
    const states: string[] = [];
    relay.onStatus(({ state }) => states.push(state));
    server.current.onAsked = ({ payload, reply }, next) => {
      const id = String(payload["topics"]) as typeof peer.last;
      reply({
        ok: true,
        subscription: id,
        topics: payload["topics"],
        cursor: payload["since"],
        state: "catching_up",
        recovered: true,
      });
      // the server does not know whether the first one arrived
      for (const [sequence, event] of [price("e1"), price("e2")].entries()) {
        next.send(event, { subscription: id, delivery: "catch_up", cursor: cursor(sequence + 1) });
      }
      next.notice("relay.caught_up", { subscription: id, cursor: cursor(2) });
    };
    peer.cut();
    peer = await server.current.peer(2);
    await eventually(() => expect(prices.got).toEqual(["e1 live", "e2 catch_up"]));
    expect(peer.asked.map(({ payload }) => payload)).toMatchObject([
      { topics: ["token.price_changed"], since: cursor(1) },
      { topics: ["token.*"], since: cursor(0) },
    ]);
    await eventually(() => expect(relay.status.state).toBe("live"));
    peer.live(price("e3"), 3);
    await eventually(() => expect(prices.got).toEqual(["e1 live", "e2 catch_up", "e3 live"]));
    expect(values.got).toEqual(["e1 catch_up", "e2 catch_up", "e3 live"]);
    // once while it waits and once while it tries
    expect(states).toEqual(["reconnecting", "reconnecting", "catching_up", "live"]);
  });

  test("a relay that is gone is tried later and later, and found again", async () => {
    const relay = connect();
    await relay.on("token.*", () => {}).ready;
    const { port } = server.current;
    vi.spyOn(Math, "random").mockReturnValue(0.3);
    const retries: number[] = [];
    relay.onStatus(({ state, retryAt, message }) => {
      if (retryAt === undefined) return;
      retries.push(retryAt - Date.now());
      expect(state).toBe("reconnecting");
      expect(message).toMatch(/^Reconnecting, next try in 1 s: .*(lost|no connection)/);
    });
    await server.current.stop();
    await eventually(() => expect(retries.length).toBeGreaterThanOrEqual(3));
    for (const [i, delay] of retries.slice(0, 3).entries()) {
      expect(delay).toBeGreaterThan(0.3 * 500 * 2 ** i - 30);
      expect(delay).toBeLessThanOrEqual(0.3 * 500 * 2 ** i);
    }
    await server.current.start(port);
    await eventually(() => expect(relay.status.state).toBe("live"));
  });

  test("a silent relay is left", async () => {
    const relay = connect(undefined, { silence: 200 });
    await relay.on("token.*", () => {}).ready;
    const peer = await server.current.peer();
    const gone = vi.fn();
    peer.socket.on("disconnect", gone);
    const alive = setInterval(() => peer.notice("relay.cursor", { cursor: cursor(1) }), 20);
    const begun = Date.now();
    await eventually(() => expect(Date.now() - begun).toBeGreaterThan(400));
    expect(gone).not.toHaveBeenCalled();
    clearInterval(alive);
    await server.current.peer(2);
    expect(gone).toHaveBeenCalled();
  });

  test("a request without an answer ends the connection, since nobody knows what the relay holds", async () => {
    server.current.onAsked = () => {
      server.current.onAsked = (asked, peer) => peer.answer(asked);
    };
    const relay = connect(undefined, { answer: 100 });
    await relay.on("token.*", () => {}).ready;
    expect(server.current.peers).toHaveLength(2);
  });

  test("a relay that drains is left when it says", async () => {
    const relay = connect();
    await relay.on("token.*", () => {}).ready;
    const peer = await server.current.peer();
    const begun = Date.now();
    peer.notice("relay.draining", { reconnect_after_ms: 300 });
    await server.current.peer(2);
    expect(Date.now() - begun).toBeGreaterThanOrEqual(295);
    expect(relay.status.state).not.toBe("closed");
  });

  test("a relay that drains and closes first is not asked before", async () => {
    const relay = connect();
    await relay.on("token.*", () => {}).ready;
    const peer = await server.current.peer();
    const begun = Date.now();
    peer.notice("relay.draining", { reconnect_after_ms: 600 });
    await eventually(() => expect(relay.status.state).toBe("live"));
    peer.cut();
    await server.current.peer(2);
    expect(Date.now() - begun).toBeGreaterThanOrEqual(595);
  });

  test("nothing is sent while not connected", async () => {
    const relay = connect();
    const first = relay.on("token.*", () => {});
    await first.ready;
    (await server.current.peer()).cut();
    await eventually(() => expect(relay.status.state).toBe("reconnecting"));
    first.unsubscribe();
    await relay.on("user.*", () => {}).ready;
    const peer = await server.current.peer(2);
    expect(peer.asked.map(({ name, payload }) => [name, payload["topics"]])).toEqual([
      ["subscribe", ["user.*"]],
    ]);
  });
});

describe("gaps", () => {
  test("are told once before what follows, and `resync` starts anew with the latest values", async () => {
    const relay = connect();
    const order: string[] = [];
    const gaps: GapInfo[] = [];
    server.current.onAsked = ({ payload, reply }, peer) => {
      const subscription = "s1" as typeof peer.last;
      const gap = {
        subscription,
        topics: ["token.*"],
        reason: "retention",
        certain: true,
        from: cursor(1),
        to: cursor(9),
      };
      reply({
        ok: true,
        subscription,
        topics: payload["topics"],
        cursor: cursor(1),
        state: "catching_up",
        recovered: false,
        gap,
      });
      peer.send(price("e10"), { subscription, delivery: "catch_up", cursor: cursor(10) });
    };
    const sub = relay.on("token.*", (e) => order.push(e.id), {
      since: cursor(1),
      onGap: (gap) => {
        order.push("gap");
        gaps.push(gap);
      },
    });
    expect(await sub.ready).toEqual({ cursor: cursor(1), recovered: false });
    await eventually(() => expect(order).toEqual(["gap", "e10"]));
    expect(gaps[0]).toMatchObject({
      topics: ["token.*"],
      reason: "retention",
      certain: true,
      from: cursor(1),
      to: cursor(9),
    });
    const peer = await server.current.peer();
    server.current.onAsked = (asked, same) => {
      if (asked.name !== "subscribe") return same.answer(asked);
      expect(asked.payload).toMatchObject({ snapshot: true });
      expect(asked.payload).not.toHaveProperty("since");
      same.answer(asked, 12);
    };
    gaps[0]?.resync();
    await eventually(() =>
      expect(peer.asked.map(({ name }) => name)).toEqual(["subscribe", "unsubscribe", "subscribe"]),
    );
    await eventually(() => expect(sub.cursor).toBe(cursor(12)));
    sub.unsubscribe();
    gaps[0]?.resync();
    await eventually(() => expect(peer.named("unsubscribe")).toHaveLength(2));
    expect(peer.named("subscribe")).toHaveLength(2);
  });

  test("without `onGap` are errors", async () => {
    const relay = connect();
    const codes: string[] = [];
    await relay.on("token.*", () => {}, { onError: ({ code }) => codes.push(code) }).ready;
    const peer = await server.current.peer();
    peer.notice("relay.gap", {
      subscription: peer.last,
      topics: ["token.*"],
      reason: "log_lost",
      certain: true,
      from: cursor(1),
      to: cursor(2),
    });
    await eventually(() => expect(codes).toEqual(["gap"]));
  });
});

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
    expect((await server.current.peer()).socket.connected).toBe(false);
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

describe("a stream", () => {
  test("that is read slowly leaves, and comes back where it stopped", async () => {
    const relay = connect();
    const stream = relay.stream("token.*", { token_id: "tok_1" }, { buffer: 2 });
    await stream.ready;
    const peer = await server.current.peer();
    expect(peer.asked[0]?.payload["topics"]).toEqual(["token.*?token_id=tok_1"]);
    for (const n of [1, 2]) peer.live(price(`e${n}`), n);
    await eventually(() => expect(peer.named("unsubscribe")).toHaveLength(1));
    peer.live(price("e3"), 3);
    expect((await stream.next()).value?.id).toBe("e1");
    await eventually(() => expect(peer.named("subscribe")).toHaveLength(2));
    expect(peer.named("subscribe")[1]?.payload).toMatchObject({ since: cursor(2) });
    peer.send(price("e2"), { subscription: peer.last, delivery: "catch_up", cursor: cursor(2) });
    peer.send(price("e3"), { subscription: peer.last, delivery: "catch_up", cursor: cursor(3) });
    const read = [await stream.next(), await stream.next()];
    expect(read.map(({ value }) => value?.id)).toEqual(["e2", "e3"]);
    await stream.return();
    await eventually(() => expect(peer.named("unsubscribe")).toHaveLength(2));
  });

  test("ends with `break`, by signal, and with the error of a refusal", async () => {
    const relay = connect();
    const controller = new AbortController();
    const stream = relay.stream("token.*", { signal: controller.signal });
    await stream.ready;
    const peer = await server.current.peer();
    peer.live(price("e1"), 1);
    for await (const e of relay.stream("user.*", { signal: AbortSignal.abort() })) expect.unreachable(e.id);
    for await (const e of stream) {
      expect(e.id).toBe("e1");
      controller.abort();
    }
    await eventually(() => expect(peer.named("unsubscribe")).toHaveLength(1));
    const told = vi.spyOn(console, "error").mockImplementation(() => {});
    server.current.onAsked = ({ reply }) => reply(refusal("forbidden"));
    await expect(relay.stream("user.*").next()).rejects.toMatchObject({ code: "forbidden" });
    expect(told).not.toHaveBeenCalled();
  });
});

describe("close", () => {
  test("ends connection, subscriptions and streams, and is final", async () => {
    const relay = connect();
    const sub = relay.on("token.*", () => expect.unreachable());
    const stream = relay.stream("token.*");
    await Promise.all([sub.ready, stream.ready]);
    const pending = relay.on("user.*", () => {});
    const next = stream.next();
    const peer = await server.current.peer();
    peer.live(price("e1"), 1);
    relay.close();
    await expect(next).resolves.toEqual({ done: true, value: undefined });
    await expect(pending.ready).rejects.toMatchObject({ code: "closed" });
    await eventually(() => expect(peer.socket.connected).toBe(false));
    expect(relay.status).toMatchObject({ state: "closed" });
    expect(() => relay.on("token.*", () => {})).toThrow("closed");
    relay.reconnect();
    expect(relay.status.state).toBe("closed");
  });
});
