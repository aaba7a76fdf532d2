import { describe, expect, it } from "vitest";
import { hash } from "./sender.ts";
import { documentsIn } from "./stored.ts";

const page = (...events: readonly string[]): Buffer => {
  const documents = events.map(
    (event, n) =>
      `{"cursor":"aaaaaaaaaa-${n + 1}","received_at":"2026-01-01T00:00:00.000Z","receipt":{"late":false,"filters":["token_id=%7B"]},"event":${event}}`,
  );
  return Buffer.from(`{"events":[${documents.join(",")}],"next":"aaaaaaaaaa-${events.length}"}`);
};

describe("the documents of a page of events", () => {
  it("have the bytes of their events as they stand, white space and digits included", () => {
    const events = [
      '{"id":"evt_1","data":{"price":10.50}}',
      '{"id": "evt_2", "data": {"name": "}{\\"event\\":\\\\", "n": 12345678901234567890}}\n',
      '{"id":"evt_3","data":{"name":"Zürich"}}',
    ];
    expect(documentsIn(page(...events))).toEqual(
      events.map((event, n) => ({
        cursor: `aaaaaaaaaa-${n + 1}`,
        id: `evt_${n + 1}`,
        bytesHash: hash(Buffer.from(event)),
      })),
    );
    expect(documentsIn(page())).toEqual([]);
  });

  it("are not guessed when the page is of another form", () => {
    expect(() => documentsIn(Buffer.from("[]"))).toThrow("another way");
    expect(() => documentsIn(page('{"id":"evt_1"}').subarray(0, 60))).toThrow("ends within");
  });
});
