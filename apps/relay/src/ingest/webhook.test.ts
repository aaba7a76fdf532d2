import { describe, expect, it } from "vitest";
import { LogError } from "../log/event-log.ts";
import type { OutcomeRow } from "./outcome.ts";
import {
  bodySigned,
  epoch,
  eventText,
  keptItem,
  nowMs,
  type Reply,
  secret,
  startWebhook,
  timeSigned,
  verification,
} from "./webhook.test-harness.ts";

const event = eventText();

interface Row {
  readonly status: number;
  readonly reply: () => Promise<Reply>;
  /** Stands in the first 80 characters of the message. */
  readonly says?: string;
}

/** One request for each row; a row that is missing here does not compile. */
const table: Record<OutcomeRow, Row> = {
  accepted: { status: 200, reply: async () => (await startWebhook()).post(event) },
  duplicate: {
    status: 200,
    reply: async () => {
      const webhook = await startWebhook();
      await webhook.post(event);
      return webhook.post(event);
    },
  },
  challenge: { status: 200, reply: async () => (await startWebhook()).post(verification, {}) },
  missing_signature: {
    status: 401,
    says: "Sign the webhook",
    reply: async () => (await startWebhook()).post(event, {}),
  },
  invalid_signature: {
    status: 401,
    says: "Compare SHARMO_WEBHOOK_SECRETS",
    reply: async () => (await startWebhook()).post(event, bodySigned(event, "whsec_another_secret0")),
  },
  stale_signature: {
    status: 401,
    says: "Compare the clocks",
    reply: async () => (await startWebhook()).post(event, timeSigned(event, nowMs / 1000 - 301)),
  },
  not_configured: {
    status: 503,
    says: "Set SHARMO_WEBHOOK_SECRETS",
    reply: async () => (await startWebhook({ settings: { secrets: [] } })).post(event),
  },
  invalid_json: {
    status: 400,
    says: "Send one JSON object",
    reply: async () => (await startWebhook()).post('{"id":'),
  },
  invalid_event: {
    status: 422,
    says: "Send created_at as ISO 8601 with zone, such as 2026-01-31T09:30:00Z",
    reply: async () => (await startWebhook()).post(eventText({ created_at: "yesterday" })),
  },
  payload_too_large: {
    status: 413,
    says: "Raise WEBHOOK_MAX_BYTES",
    reply: async () => (await startWebhook({ settings: { maxBytes: 1024 } })).post("x".repeat(1025)),
  },
  unsupported_media_type: {
    status: 415,
    says: "Content-Type: application/json",
    reply: async () =>
      (await startWebhook()).post(event, { ...bodySigned(event), "content-type": "text/plain" }),
  },
  method_not_allowed: {
    status: 405,
    says: "Use POST",
    reply: async () => (await startWebhook()).send("GET", "", {}),
  },
  address_not_allowed: {
    status: 403,
    says: "Add the sender to WEBHOOK_ALLOWED_IPS",
    reply: async () => (await startWebhook({ settings: { allowedIps: ["203.0.113.0/24"] } })).post(event),
  },
  rate_limited: {
    status: 429,
    says: "Wait 60 s, then register again",
    reply: async () => {
      const webhook = await startWebhook();
      for (let i = 0; i < 60; i++) expect((await webhook.post(verification, {})).status).toBe(200);
      return webhook.post(verification, {});
    },
  },
  request_timeout: {
    status: 408,
    says: "Send the whole body within 0.05 s",
    reply: async () => {
      const webhook = await startWebhook({ deps: { timeouts: { bodyMs: 50 } } });
      // Announces one byte more than it sends.
      return webhook.post(event, { "content-length": String(event.length + 1) });
    },
  },
  storage_unavailable: {
    status: 503,
    says: "Let Sharmo retry",
    reply: async () => {
      const webhook = await startWebhook();
      webhook.accept = () => Promise.reject(new LogError("unavailable", "cannot reach the store"));
      return webhook.post(event);
    },
  },
};

describe("every row of the answer table", () => {
  for (const [row, { status, says, reply }] of Object.entries(table)) {
    it(`answers ${row} with ${status}, as JSON`, async () => {
      const answer = await reply();
      expect(answer.status).toBe(status);
      expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
      if (says === undefined) return;
      expect(Object.keys(answer.json)).toEqual(["code", "message", "details"]);
      expect(answer.json["code"]).toBe(row);
      expect(String(answer.json["message"]).slice(0, 80)).toContain(says);
      expect(answer.json["details"]).toBeTypeOf("object");
    });
  }

  it("says with every 503 and 429 when to come again, at different times", async () => {
    const waits = new Set<number>();
    for (let i = 0; i < 12; i++)
      waits.add(Number((await table.not_configured.reply()).headers["retry-after"]));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(5);
    expect(Math.max(...waits)).toBeLessThanOrEqual(15);
    expect([...waits].every(Number.isInteger)).toBe(true);
    expect(waits.size).toBeGreaterThan(1);
    expect((await table.storage_unavailable.reply()).headers["retry-after"]).toMatch(/^(?:[5-9]|1[0-5])$/);
    expect((await table.rate_limited.reply()).headers["retry-after"]).toBe("60");
  });

  it("says with 405 which method there is, and tells the observer each row once", async () => {
    const webhook = await startWebhook();
    expect((await webhook.send("GET", "", {})).headers["allow"]).toBe("POST");
    expect((await webhook.send("DELETE", event, {})).status).toBe(405);
    await webhook.post(event);
    expect(webhook.heard).toEqual(["method_not_allowed", "method_not_allowed", "took true", "accepted"]);
  });
});

describe("an accepted event", () => {
  it("answers with its id and cursor, and is given to the log with the bytes as they came", async () => {
    const webhook = await startWebhook();
    const body = Buffer.from(` ${eventText({ data: { token_id: "tök", id: 5 } })}\r\n`);
    const answer = await webhook.post(body);
    expect(answer.json).toEqual({ status: "accepted", id: "evt_1", cursor: `${epoch}-1` });
    const [stored] = webhook.accepted;
    expect(stored?.body.equals(body)).toBe(true);
    expect(stored).toMatchObject({
      id: "evt_1",
      type: "token.price_changed",
      createdAt: Date.parse("2026-01-15T10:31:00Z") * 1000,
      filters: [{ key: "token_id", value: "tök" }],
      entity: "tök",
    });
    expect(webhook.kept).toEqual([]);
  });

  it("may be signed under either scheme, or under both", async () => {
    const webhook = await startWebhook({ settings: { secrets: ["whsec_newer_than_that", secret] } });
    const bodies = ["1", "2", "3"].map((id) => eventText({ id }));
    const [one = "", two = "", three = ""] = bodies;
    expect((await webhook.post(one, bodySigned(one))).status).toBe(200);
    expect((await webhook.post(two, timeSigned(two))).status).toBe(200);
    const both = { ...bodySigned(three), ...timeSigned(three, nowMs / 1000 + 300, "whsec_newer_than_that") };
    expect((await webhook.post(three, both)).status).toBe(200);
    expect(webhook.accepted.map((e) => e.id)).toEqual(["1", "2", "3"]);
  });

  it("may come in any of the JSON content types", async () => {
    const webhook = await startWebhook();
    const types = [
      "application/json",
      "application/json; charset=utf-8",
      'Application/JSON;CHARSET="UTF-8"',
      "application/json ; charset=Utf-8 ",
      "application/cloudevents+json",
      "application/vnd.sharmo.v1+json; charset=utf-8",
    ];
    for (const type of types) {
      const answer = await webhook.post(event, { ...bodySigned(event), "content-type": type });
      expect([type, answer.status]).toEqual([type, 200]);
    }
  });

  it("that lacks documented fields is delivered all the same, and the fields are counted once", async () => {
    const webhook = await startWebhook();
    const body = eventText({
      type: "token.transferred",
      data: { token_id: 5, amount: 10.5, from_address: "0xA" },
    });
    expect((await webhook.post(body)).json["status"]).toBe("accepted");
    expect((await webhook.post(body)).json["status"]).toBe("duplicate");
    expect(webhook.heard.filter((line) => line.startsWith("schema"))).toEqual([
      "schema token.transferred token_id",
      "schema token.transferred to_address",
      "schema token.transferred transaction_id",
    ]);
  });
});

describe("a duplicate", () => {
  it("is answered with 200, without a second event and without quarantine", async () => {
    const webhook = await startWebhook();
    await webhook.post(event);
    expect((await webhook.post(event)).json).toEqual({ status: "duplicate", id: "evt_1" });
    expect(webhook.accepted).toHaveLength(1);
    expect(webhook.kept).toEqual([]);
  });

  it("with other content has the same answer, is kept, and is warned of", async () => {
    const webhook = await startWebhook();
    await webhook.post(event);
    const other = eventText({ data: { token_id: "tok_43" } });
    expect((await webhook.post(other)).json).toEqual({ status: "duplicate", id: "evt_1" });
    expect(webhook.kept).toEqual([keptItem("id_reused", other)]);
    expect(webhook.heard).toContain("reused token.price_changed evt_1");
  });
});
