import { type Epoch, parseEpoch } from "@sharmo-relay/protocol";
import { describe, expect, it } from "vitest";
import { type Accepted, LogError, type NewEvent } from "../log/event-log.ts";
import { retryQuarantined } from "./retry.ts";

const text =
  '{"id":"evt_1","type":"token.transferred","created_at":"2026-01-15T10:30:00Z","data":{"token_id":7.0}}';

const epoch = parseEpoch("k3v9x2m7qa1z") as Epoch;

/** A log that gives `answer`, and a quarantine that remembers what was removed. */
function relay(answer: (event: NewEvent) => Promise<Accepted>) {
  const given: NewEvent[] = [];
  const removed: string[] = [];
  return {
    given,
    removed,
    accept: (event: NewEvent) => {
      given.push(event);
      return answer(event);
    },
    quarantine: { remove: async (id: string) => removed.push(id) > 0 },
  };
}

const takes = async (event: NewEvent): Promise<Accepted> => ({
  status: "accepted",
  epoch,
  entry: { ...event, kind: "event", sequence: 9, at: 1, late: false },
});
const item = (body: string | Buffer) => ({ id: "item", body: Buffer.from(body) });

describe("a second try of what is in quarantine", () => {
  it("gives the event to the log with its own bytes, documented fields or not, and removes the item", async () => {
    const to = relay(takes);
    const result = await retryQuarantined(item(text), to);
    expect(result).toMatchObject({ status: "accepted", accepted: { entry: { sequence: 9, id: "evt_1" } } });
    expect(to.given).toMatchObject([
      { filters: [{ key: "token_id", value: "7.0" }], body: Buffer.from(text) },
    ]);
    expect(to.removed).toEqual(["item"]);
  });

  it("removes an item whose event is stored already, but not the only copy of other content", async () => {
    for (const sameContent of [true, false]) {
      const to = relay(async () => ({ status: "duplicate", epoch, sequence: 3, sameContent }));
      expect(await retryQuarantined(item(text), to)).toEqual({
        status: "duplicate",
        id: "evt_1",
        sameContent,
      });
      expect(to.removed).toEqual(sameContent ? ["item"] : []);
    }
  });

  it("says what is still wrong, and keeps the item", async () => {
    const to = relay(takes);
    const messages = [];
    for (const body of [
      "{",
      Buffer.from([0xff]),
      "[]",
      "[".repeat(65),
      text.replace("token.", "relay."),
      text.replace("T10", " 10"),
    ]) {
      const result = await retryQuarantined(item(body), to);
      expect(result.status).toBe("invalid");
      messages.push(result.status === "invalid" && result.message);
    }
    expect(messages.at(-1)).toContain("created_at");
    expect([to.given, to.removed]).toEqual([[], []]);
    const full = relay(async () => ({ status: "refused", reason: "too_many_types" }));
    expect(await retryQuarantined(item(text), full)).toMatchObject({ status: "invalid" });
    expect(full.removed).toEqual([]);
  });

  it("fails as the log fails, and keeps the item", async () => {
    const to = relay(() => Promise.reject(new LogError("unavailable", "cannot reach the store")));
    await expect(retryQuarantined(item(text), to)).rejects.toMatchObject({ code: "unavailable" });
    expect(to.removed).toEqual([]);
  });

  it("has succeeded even if the item cannot be removed: the event is stored", async () => {
    const to = relay(takes);
    const quarantine = { remove: () => Promise.reject(new LogError("unavailable", "gone")) };
    expect(await retryQuarantined(item(text), { ...to, quarantine })).toMatchObject({ status: "accepted" });
  });
});
