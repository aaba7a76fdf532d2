/** Gaps and streams against a real Socket.IO server. */
import { describe, expect, test, vi } from "vitest";
import { connect, eventually, server } from "./relay.test-harness.ts";
import { cursor, price, refusal } from "./relay.test-server.ts";
import type { GapInfo } from "./types.ts";

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
