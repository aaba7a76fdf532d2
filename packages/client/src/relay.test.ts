/** Subscriptions and handlers against a real Socket.IO server. */
import { setImmediate } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { RelayError } from "./errors.ts";
import { connect, eventually, record, server } from "./relay.test-harness.ts";
import { cursor, price, refusal, token } from "./relay.test-server.ts";
import { createRelay, untyped } from "./relay.ts";

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
