import { describe, expect, it } from "vitest";
import {
  bodySigned,
  eventText,
  startWebhook,
  timeSigned,
  verification,
  type Webhook,
} from "./webhook.test-harness.ts";

const event = eventText();

describe("the registration challenge", () => {
  const send = async (webhook: Webhook, body: string, headers: Record<string, string> = {}) =>
    webhook.post(body, headers);

  it("is answered whether signed or not, and leaves no trace", async () => {
    const webhook = await startWebhook();
    for (const headers of [{}, bodySigned(verification), timeSigned(verification)]) {
      const answer = await send(webhook, verification, headers);
      expect([answer.status, answer.json]).toEqual([200, { challenge: "abc123xyz456" }]);
    }
    expect([webhook.accepted, webhook.kept]).toEqual([[], []]);
  });

  it("is answered before a secret is known, whatever it is signed with", async () => {
    const webhook = await startWebhook({ settings: { secrets: [] } });
    for (const headers of [{}, bodySigned(verification), { "x-sharmo-signature": "not hex" }]) {
      expect((await send(webhook, verification, headers)).status).toBe(200);
    }
    expect((await send(webhook, event)).status).toBe(503);
  });

  it("is refused with a wrong or stale signature once there is a secret, and not kept", async () => {
    const webhook = await startWebhook();
    const wrong = bodySigned(verification, "whsec_wrong_wrong_wrong");
    expect((await send(webhook, verification, wrong)).json["code"]).toBe("invalid_signature");
    expect((await send(webhook, verification, timeSigned(verification, 1))).json["code"]).toBe(
      "stale_signature",
    );
    expect(webhook.kept).toEqual([]);
  });

  it("needs a signature if the settings say so", async () => {
    const signed = await startWebhook({ settings: { challenge: "signed" } });
    expect((await send(signed, verification)).json["code"]).toBe("missing_signature");
    expect((await send(signed, verification, bodySigned(verification))).status).toBe(200);
    const unknown = await startWebhook({ settings: { challenge: "signed", secrets: [] } });
    expect((await send(unknown, verification, bodySigned(verification))).json["code"]).toBe("not_configured");
  });

  it("of another shape is no challenge: unsigned it is refused, signed it is no event either", async () => {
    const webhook = await startWebhook();
    const near = '{"type":"webhook.verification","data":{"challenge":"a"},"id":"evt_1"}';
    expect((await send(webhook, near)).json["code"]).toBe("missing_signature");
    expect((await send(webhook, near, bodySigned(near))).json["code"]).toBe("invalid_event");
    expect(webhook.reasons).toEqual(["invalid_event"]);
  });

  it("is answered 60 times a minute for each address, signed or not", async () => {
    const webhook = await startWebhook({ trustProxy: ["127.0.0.1"] });
    const from = async (address: string, headers: Record<string, string> = {}) =>
      (await send(webhook, verification, { ...headers, "x-forwarded-for": address })).status;
    for (let i = 0; i < 60; i++) expect(await from("198.51.100.7")).toBe(200);
    expect(await from("198.51.100.7")).toBe(429);
    expect(await from("198.51.100.7", bodySigned(verification))).toBe(429);
    expect(await from("198.51.100.8")).toBe(200);
    expect(
      (await webhook.post(event, { ...bodySigned(event), "x-forwarded-for": "198.51.100.7" })).status,
    ).toBe(200);
    webhook.now += 60_000;
    expect(await from("198.51.100.7")).toBe(200);
  });
});
