import { createHmac } from "node:crypto";
import { eventTypes } from "@sharmo-relay/protocol";
import { describe, expect, it } from "vitest";
import { startReceiver } from "../receiver.test-receiver.ts";
import { editData, sampleData, sendTestEvent } from "./test-event.ts";

const secret = "whsec_T3stT3stT3st";

describe("sendTestEvent", () => {
  it("should post one signed event with the data as it was written", async () => {
    const receiver = await startReceiver();
    const data = '{ "token_id": "tok_1", "current_price": 10.50, "big": 12345678901234567890 }';
    const result = await sendTestEvent({
      url: receiver.url,
      secret,
      type: "token.price_changed",
      id: "evt_1",
      createdAt: "2025-06-01T12:00:00Z",
      data,
    });
    expect(result).toMatchObject({ kind: "answer", status: 200 });
    const [request] = receiver.requests;
    expect(request?.text).toBe(
      `{"id":"evt_1","type":"token.price_changed","created_at":"2025-06-01T12:00:00Z","data":${data}}`,
    );
    expect(request?.headers["x-sharmo-signature"]).toBe(
      createHmac("sha256", secret)
        .update(request?.text ?? "")
        .digest("hex"),
    );
  });

  it("should not try again", async () => {
    const receiver = await startReceiver(() => ({ status: 500 }));
    const result = await sendTestEvent({ url: receiver.url, secret, type: "token.created", data: "{}" });
    expect(result).toMatchObject({ kind: "answer", status: 500 });
    expect(receiver.requests.length).toBe(1);
  });

  it("should make up an id and the time of now", async () => {
    const receiver = await startReceiver();
    await sendTestEvent({ url: receiver.url, secret, type: "token.created", data: "{}" });
    await sendTestEvent({ url: receiver.url, secret, type: "token.created", data: "{}" });
    const [one, two] = receiver.requests.map(
      ({ text }) => JSON.parse(text) as { id: string; created_at: string },
    );
    expect(one?.id).toMatch(/^evt_[0-9a-f]{16}$/);
    expect(two?.id).not.toBe(one?.id);
    expect(Math.abs(Date.parse(one?.created_at ?? "") - Date.now())).toBeLessThan(30_000);
  });
});

describe("sampleData and editData", () => {
  it("should have a sample of every type", () => {
    for (const type of eventTypes) expect(Object.keys(sampleData(type)).length).toBeGreaterThan(0);
  });

  it("should replace and add members, and leave the text of values alone", () => {
    const edits = new Map([
      ["a", "10.50"],
      ["c", '"x"'],
      ["__proto__", "1"],
    ]);
    expect(editData({ a: 1, b: "two" }, edits)).toBe('{"a":10.50,"b":"two","c":"x","__proto__":1}');
  });
});
