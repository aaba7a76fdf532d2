import { describe, expect, it } from "vitest";
import { LogError } from "../log/event-log.ts";
import {
  bodySigned,
  epoch,
  eventText,
  keptItem,
  nowMs,
  startWebhook,
  timeSigned,
  verification,
} from "./webhook.test-harness.ts";

const event = eventText();

describe("what is authentic and no event", () => {
  it("is kept by the hash of reason and bytes, and refused", async () => {
    const webhook = await startWebhook();
    const noType = eventText({ type: 5 });
    expect((await webhook.post(noType)).json).toMatchObject({
      code: "invalid_event",
      details: { field: "type" },
    });
    expect((await webhook.post("[1,")).json).toMatchObject({ code: "invalid_json" });
    const stale = timeSigned(event, nowMs / 1000 + 301);
    expect((await webhook.post(event, stale)).json).toMatchObject({ code: "stale_signature" });
    expect(webhook.kept).toEqual([
      keptItem("invalid_event", noType),
      keptItem("invalid_json", "[1,"),
      keptItem("stale_signature", event),
    ]);
    expect(webhook.accepted).toEqual([]);
  });

  it("whose signature is stale is told which clock is behind, and by how much", async () => {
    const webhook = await startWebhook();
    for (const [seconds, words] of [
      [
        603,
        "603 s behind the relay's clock, more than WEBHOOK_MAX_AGE (300 s), unless it was on its way for so long",
      ],
      [-603, "603 s ahead of the relay's clock, more than WEBHOOK_MAX_AGE (300 s). The bytes are kept"],
    ] as const) {
      const { json } = await webhook.post(event, timeSigned(event, nowMs / 1000 - seconds));
      expect(json).toMatchObject({
        code: "stale_signature",
        message: expect.stringContaining(words),
        details: { max_age_seconds: 300, seconds_behind_relay: seconds },
      });
      expect(webhook.kept.pop()?.message).toBe(
        `The time of the signature was ${words.split(",")[0]?.split(".")[0]}.`,
      );
    }
    const challenge = await webhook.post(verification, timeSigned(verification, nowMs / 1000 - 603));
    expect(challenge.json["message"]).toMatch(
      /^Compare the clocks .* signed 603 s behind the relay's clock\.$/,
    );
  });

  it("is kept when its bytes are not UTF-8, or begin with a byte order mark", async () => {
    const webhook = await startWebhook();
    const latin = Buffer.from(eventText({ id: "é" }), "latin1");
    const marked = Buffer.from(`\ufeff${event}`);
    for (const body of [latin, marked]) {
      expect((await webhook.post(body)).json).toMatchObject({ code: "invalid_json" });
      expect(webhook.kept.pop()?.body.equals(body)).toBe(true);
    }
  });

  it("is kept when the log has no room for its type", async () => {
    const webhook = await startWebhook();
    webhook.accept = async () => ({ status: "refused", reason: "too_many_types" });
    expect((await webhook.post(event)).json).toMatchObject({
      code: "invalid_event",
      details: { field: "type" },
    });
    expect(webhook.kept).toEqual([keptItem("too_many_types", event)]);
  });

  it("is kept for its schema if that was asked for", async () => {
    const webhook = await startWebhook({ settings: { schemaMode: "quarantine" } });
    const body = eventText({ type: "token.transferred", data: { token_id: "tok_1", secretly: "4711" } });
    const answer = await webhook.post(body);
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({ code: "invalid_event" });
    expect(answer.json["message"]).toMatch(
      /^Send data.from_address as a string, or set RELAY_SCHEMA_MODE=deliver/,
    );
    expect(webhook.kept).toEqual([keptItem("schema", body)]);
    expect(webhook.heard).toContain("schema token.transferred amount");
    expect((await webhook.post(eventText({ type: "stranger.event", data: {} }))).status).toBe(200);
  });

  it("is nothing of which an answer or a kept message quotes", async () => {
    const webhook = await startWebhook({ settings: { schemaMode: "quarantine" } });
    const bodies = [
      '{"id":"confidential"',
      '"confidential"',
      '{"confidential":1,"confidential":2}',
      eventText({ id: "confidential\u0000" }),
      eventText({ type: "Confidential" }),
      eventText({ created_at: "confidential" }),
      eventText({ type: "token.transferred", data: { token_id: 5, confidential: "confidential" } }),
    ];
    for (const body of bodies) {
      const answer = await webhook.post(body);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.text).not.toMatch(/confidential/i);
    }
    expect(webhook.kept).toHaveLength(bodies.length);
    expect(webhook.kept.map((one) => one.message).join()).not.toMatch(/confidential/i);
    expect(webhook.heard.join()).not.toMatch(/confidential/i);
  });

  it("is refused with 503, not with 4xx, while it cannot be kept, so that the sender tries again", async () => {
    const webhook = await startWebhook({ settings: { schemaMode: "quarantine" } });
    await webhook.post(event);
    webhook.put = () => Promise.reject(new LogError("not_writable", "the store is full"));
    const lacking = eventText({ id: "evt_2", type: "token.transferred", data: {} });
    const mustNotBeLost: [string, Record<string, string>][] = [
      ["{", bodySigned("{")],
      ["{}", bodySigned("{}")],
      [event, timeSigned(event, 1)],
      [lacking, bodySigned(lacking)],
      [` ${event}`, bodySigned(` ${event}`)],
    ];
    for (const [body, headers] of mustNotBeLost) {
      const answer = await webhook.post(body, headers);
      expect([body, answer.status, answer.json["code"]]).toEqual([body, 503, "storage_unavailable"]);
      expect(webhook.heard.slice(-2)).toEqual(["failed not_writable", "storage_unavailable"]);
    }
  });
});

describe("what is not authentic", () => {
  it("is not kept, whatever it is", async () => {
    const webhook = await startWebhook();
    for (const body of [event, "{", "\xff", verification]) {
      for (const headers of [
        bodySigned(body, "whsec_wrong_wrong_wrong"),
        timeSigned(body, 1, "wrong wrong wrong"),
      ]) {
        expect((await webhook.post(body, headers)).json["code"]).toBe("invalid_signature");
      }
    }
    expect((await webhook.post("{", {})).json["code"]).toBe("missing_signature");
    expect([webhook.accepted, webhook.kept]).toEqual([[], []]);
  });

  it("is refused if one of two signatures is wrong", async () => {
    const webhook = await startWebhook();
    const wrong = "whsec_wrong_wrong_wrong";
    const oneWrong = [
      { ...bodySigned(event, wrong), ...timeSigned(event) },
      { ...bodySigned(event), ...timeSigned(event, nowMs / 1000, wrong) },
      { ...bodySigned(event), "sharmo-signature": "" },
      { "x-sharmo-signature": "", ...timeSigned(event) },
    ];
    for (const headers of oneWrong) {
      expect((await webhook.post(event, headers)).json["code"]).toBe("invalid_signature");
    }
  });

  it("is refused if a signature header is sent twice, even with the same value", async () => {
    const webhook = await startWebhook();
    const { "x-sharmo-signature": digest = "" } = bodySigned(event);
    const answer = await webhook.post(event, { "X-Sharmo-Signature": [digest, digest] });
    expect(answer.json).toMatchObject({
      code: "invalid_signature",
      message: expect.stringMatching(/^Send X-Sharmo-Signature once/),
    });
    const { "sharmo-signature": timed = "" } = timeSigned(event);
    expect((await webhook.post(event, { "Sharmo-Signature": [timed, timed] })).status).toBe(401);
  });

  it("is refused if what was signed with a time is posted as a plain body, or the other way round", async () => {
    const webhook = await startWebhook();
    const seconds = nowMs / 1000;
    const captured = timeSigned(event, seconds)["sharmo-signature"] ?? "";
    const posted = `${seconds}.${event}`;
    const asBody = await webhook.post(posted, {
      "x-sharmo-signature": captured.slice(captured.indexOf("v1=") + 3),
    });
    expect(asBody.json["code"]).toBe("invalid_signature");
    const digest = bodySigned(event)["x-sharmo-signature"];
    const asTimed = await webhook.post(event, { "sharmo-signature": `t=${seconds},v1=${digest}` });
    expect(asTimed.json["code"]).toBe("invalid_signature");
    expect([webhook.accepted, webhook.kept]).toEqual([[], []]);
  });
});

describe("while the log fails", () => {
  const failures: [string, () => Promise<never>, string][] = [
    ["rejects", () => Promise.reject(new LogError("unavailable", "10.0.0.5 refused")), "failed unavailable"],
    ["rejects with no error", () => Promise.reject("gone"), "failed unexpected"],
    ["has a fault", () => Promise.reject(new TypeError("x is not a function")), "failed unexpected"],
    [
      "throws at once",
      () => {
        throw new Error("not even a promise");
      },
      "failed unexpected",
    ],
  ];
  for (const [how, accept, heard] of failures) {
    it(`answers 503 and never 200 when it ${how}, and says nothing of the cause`, async () => {
      const webhook = await startWebhook();
      webhook.accept = accept;
      const answer = await webhook.post(event);
      expect(answer.status).toBe(503);
      expect(answer.json["code"]).toBe("storage_unavailable");
      expect(answer.text).not.toMatch(/10\.0|function|promise|at /);
      expect(webhook.heard).toEqual([heard, "storage_unavailable"]);
    });
  }

  it("answers 503 within 2 s when it hangs, and survives what comes later", async () => {
    const webhook = await startWebhook();
    let late: (error: Error) => void = () => {};
    webhook.accept = () =>
      new Promise((_, reject) => {
        late = reject;
      });
    const begun = performance.now();
    expect((await webhook.post(event)).status).toBe(503);
    // 1.8 s by the clock; the rest is for a machine that is busy.
    expect(performance.now() - begun).toBeLessThan(4_000);
    expect(webhook.heard).toEqual(["failed timeout", "storage_unavailable"]);
    late(new Error("late"));
    webhook.accept = async () => ({ status: "duplicate", epoch, sequence: 1, sameContent: true });
    expect((await webhook.post(event)).status).toBe(200);
  });

  it("answers 503 when quarantine hangs", async () => {
    const webhook = await startWebhook({ deps: { timeouts: { storeMs: 50 } } });
    webhook.put = () => new Promise(() => {});
    expect((await webhook.post("{")).status).toBe(503);
  });

  it("answers 503 when the relay itself has a fault", async () => {
    const webhook = await startWebhook({
      settings: { allowedIps: ["127.0.0.1"] },
      deps: {
        clientAddress: () => {
          throw new Error("a fault");
        },
      },
    });
    const answer = await webhook.post(event);
    expect([answer.status, answer.headers["connection"]]).toEqual([503, "close"]);
    expect(webhook.heard).toEqual(["failed unexpected", "storage_unavailable"]);
  });
});
