import { describe, expect, it } from "vitest";
import { startNode } from "../support/node.ts";
import { connect } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post } from "../support/webhook.ts";

const everything = { scope: "events:*" };
const minute = (n: number): string => new Date(Date.UTC(2026, 0, 1, 12, n)).toISOString();

describe("a snapshot", () => {
  it("prefers the newest created_at; a late price is delivered, marked, and does not overwrite", async () => {
    const { url } = await startNode();
    const live = await connect(url, await token(everything));
    await live.request("subscribe", { topics: ["token.price_changed"] });
    const newer = makeEvent(
      "token.price_changed",
      { token_id: "tok_1", current_price: 12 },
      { created_at: minute(30) },
    );
    const late = makeEvent(
      "token.price_changed",
      { token_id: "tok_1", current_price: 10 },
      { created_at: minute(5) },
    );
    const other = makeEvent(
      "token.price_changed",
      { token_id: "tok_2", current_price: 5 },
      { created_at: minute(1) },
    );
    await post(url, newer, late, other);
    await until(() => live.got.length === 3);
    expect(live.got.map(({ event, meta }) => [event.id, meta.late])).toEqual([
      [newer.id, undefined],
      [late.id, true],
      [other.id, undefined],
    ]);
    const client = await connect(url, await token(everything));
    const ack = await client.request("subscribe", { topics: ["token.price_changed"], snapshot: true });
    expect(ack).toMatchObject({ ok: true, state: "catching_up" });
    await until(() => client.notices.some(({ name }) => name === "relay.caught_up"));
    expect(client.ids()).toEqual([newer.id, other.id]);
    expect(client.got.every(({ meta }) => meta.delivery === "snapshot" && meta.cursor === undefined)).toBe(
      true,
    );
    expect(client.notices[0]).toMatchObject({ name: "relay.cursor", notice: { cursor: ack["cursor"] } });
  });

  it("goes on from exactly where it stood, while events pour in", async () => {
    const { url } = await startNode();
    const client = await connect(url, await token(everything));
    const before = Array.from({ length: 30 }, (_, n) =>
      makeEvent("token.price_changed", { token_id: `tok_${n % 7}` }),
    );
    await post(url, ...before);
    const after = Array.from({ length: 60 }, (_, n) =>
      makeEvent("token.price_changed", { token_id: `tok_${n % 7}` }),
    );
    const posting = post(url, ...after);
    await client.request("subscribe", { topics: ["token.price_changed"], snapshot: true });
    await posting;
    const last = after.at(-1)?.id;
    await until(() => client.ids().includes(last ?? ""));
    const ids = client.ids();
    expect(new Set(ids).size).toBe(ids.length);
    // what came as an event is the whole rest of the order, without a hole
    const asEvents = client.got
      .filter(({ meta }) => meta.delivery !== "snapshot")
      .map(({ event }) => event.id);
    expect(asEvents).toEqual(after.slice(after.length - asEvents.length).map(({ id }) => id));
    const shown = new Set(
      client.got
        .filter(({ meta }) => meta.delivery === "snapshot")
        .map(({ event }) => event.data["token_id"]),
    );
    expect(shown.size).toBe(7);
  });

  it("leaves out what was deleted, and a late update does not bring it back", async () => {
    const { url } = await startNode();
    await post(
      url,
      makeEvent("property.updated", { property_id: "prop_1" }, { created_at: minute(1) }),
      makeEvent("property.updated", { property_id: "prop_2" }, { created_at: minute(1) }),
      makeEvent("property.deleted", { property_id: "prop_1" }, { created_at: minute(9) }),
      makeEvent("property.updated", { property_id: "prop_1" }, { created_at: minute(3) }),
    );
    const client = await connect(url, await token(everything));
    await client.request("subscribe", { topics: ["property.*"], snapshot: true });
    await until(() => client.notices.some(({ name }) => name === "relay.caught_up"));
    expect(client.got.map(({ event }) => event.data["property_id"])).toEqual(["prop_2"]);
  });

  it("is there at once after a restart, before any new event", async () => {
    const first = await startNode();
    const event = makeEvent("token.price_changed", { token_id: "tok_1", current_price: 3 });
    await post(first.url, event);
    await first.relay.stop();
    const second = await startNode({ dataDir: first.dataDir });
    const client = await connect(second.url, await token(everything));
    await client.request("subscribe", { topics: ["token.price_changed"], snapshot: true });
    await until(() => client.got.length === 1);
    expect(client.ids()).toEqual([event.id]);
  });
});

describe("a client that comes back", () => {
  it("gets exactly what it missed, in order, across a restart of the relay", async () => {
    const first = await startNode();
    const client = await connect(first.url, await token(everything));
    const start = await client.request("subscribe", { topics: ["token.created"] });
    const seen = makeEvent("token.created", { token_id: "a" });
    await post(first.url, seen);
    await until(() => client.got.length === 1);
    client.socket.disconnect();
    const missed = Array.from({ length: 700 }, (_, n) =>
      makeEvent(n % 2 ? "token.created" : "user.registered", { token_id: "b" }),
    );
    await Promise.all(chunks(missed, 16).map((chunk) => post(first.url, ...chunk)));
    await first.relay.stop();
    const second = await startNode({ dataDir: first.dataDir });
    const back = await connect(second.url, await token(everything));
    const ack = await back.request("subscribe", {
      topics: ["token.created"],
      since: client.got[0]?.meta.cursor,
    });
    expect(ack).toMatchObject({ ok: true, recovered: true });
    await until(() => back.notices.some(({ name }) => name === "relay.caught_up"));
    expect(back.ids().sort()).toEqual(
      missed
        .filter(({ type }) => type === "token.created")
        .map(({ id }) => id)
        .sort(),
    );
    const sequences = back.got.map(({ meta }) => Number(meta.cursor?.split("-")[1]));
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(start).toMatchObject({ recovered: true });
  });

  it("is told of a gap when its cursor belongs to a log that nobody knows", async () => {
    const { url } = await startNode();
    await post(url, makeEvent("token.created", { token_id: "a" }));
    const client = await connect(url, await token(everything));
    const ack = await client.request("subscribe", { topics: ["token.created"], since: "unknownepoch1-5" });
    expect(ack).toMatchObject({
      ok: true,
      recovered: false,
      gap: { reason: "unknown_cursor", certain: false, from: "unknownepoch1-5", to: ack["cursor"] },
    });
  });

  it("is refused a cursor beyond the newest event", async () => {
    const { url } = await startNode();
    const [posted] = await post(url, makeEvent("token.created", { token_id: "a" }));
    const client = await connect(url, await token(everything));
    const since = posted?.body.cursor?.replace(/-1$/, "-99");
    expect(await client.request("subscribe", { topics: ["token.created"], since })).toMatchObject({
      ok: false,
      error: { code: "invalid_cursor" },
    });
  });

  it("is told exactly what retention took, and still gets the types in between", async () => {
    const { url } = await startNode({
      env: { RELAY_RETENTION: "*=7d,token.price_changed=7d/3", RELAY_MEMORY_EVENTS: "2" },
    });
    const client = await connect(url, await token(everything));
    const start = await client.request("subscribe", { topics: ["user.registered"] });
    const mixed = Array.from({ length: 20 }, (_, n) =>
      makeEvent(n % 2 ? "token.price_changed" : "token.created", { token_id: `t${n}` }),
    );
    await post(url, ...mixed);
    const back = await connect(url, await token(everything));
    await until(
      async () => {
        const ack = await back.request("subscribe", { topics: ["token.*"], since: start["cursor"] });
        return (ack["gap"] as { to?: string } | undefined)?.to?.endsWith("-14");
      },
      { within: 20_000, every: 200, what: "retention to trim all but three prices" },
    );
    const answer = await connect(url, await token(everything));
    const ack = await answer.request("subscribe", { topics: ["token.*"], since: start["cursor"] });
    expect(ack).toMatchObject({
      recovered: false,
      gap: { reason: "retention", certain: true, from: start["cursor"] },
    });
    await until(() => answer.notices.some(({ name }) => name === "relay.caught_up"));
    const prices = mixed.filter(({ type }) => type === "token.price_changed");
    const kept = mixed
      .filter((e) => e.type === "token.created" || prices.slice(-3).includes(e))
      .map(({ id }) => id);
    expect(answer.ids()).toEqual(kept);
  });
});

function chunks<T>(items: readonly T[], count: number): T[][] {
  return Array.from({ length: count }, (_, n) => items.filter((_item, i) => i % count === n));
}
