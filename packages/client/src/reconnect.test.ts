/** Connections that break, fall silent or drain, against a real Socket.IO server. */
import { describe, expect, test, vi } from "vitest";
import { connect, eventually, record, server } from "./relay.test-harness.ts";
import { cursor, price } from "./relay.test-server.ts";

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
    const sub = relay.on("token.*", () => {});
    await sub.ready;
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
    // once it has proven good, the next loss is a first one again
    const peer = await server.current.peer(2);
    peer.notice("relay.cursor", { cursor: cursor(3) });
    peer.live(price("e4"), 4);
    await eventually(() => expect(sub.cursor).toBe(cursor(4)));
    retries.length = 0;
    peer.cut();
    await eventually(() => expect(retries).toHaveLength(1));
    expect(retries[0]).toBeLessThanOrEqual(0.3 * 500);
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
    const relay = connect(undefined, { answer: 100, silence: 60_000 });
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
