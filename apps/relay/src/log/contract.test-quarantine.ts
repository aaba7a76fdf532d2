/** Quarantine: authentic deliveries that could not become events. */
import { describe, expect, it } from "vitest";
import { type CreateLog, upTo } from "./contract.test-harness.ts";
import type { Quarantine, QuarantineItem } from "./event-log.ts";

const mebibyte = 1024 * 1024;

function put(quarantine: Quarantine, id: string, parts: Partial<QuarantineItem> = {}): Promise<void> {
  return quarantine.put({
    id,
    reason: "invalid_event",
    message: "type is missing",
    body: Buffer.from(`{"id":"${id}"}`),
    ...parts,
  });
}

async function idsOf(quarantine: Quarantine, limit: number): Promise<string[]> {
  return (await quarantine.list(limit)).map((item) => item.id);
}

export function quarantineContract(create: CreateLog): void {
  describe("quarantine", () => {
    it("keeps an item as it was put, with its times", async () => {
      const { log } = await create();
      const body = Buffer.from('{ "id": 1.0,\n"é": [] }\n');
      await put(log.quarantine, "one", { reason: "id_reused", message: "other content", body });
      const item = await log.quarantine.get("one");
      expect(item).toEqual({
        id: "one",
        reason: "id_reused",
        message: "other content",
        body,
        count: 1,
        firstAt: expect.any(Number),
        lastAt: item?.firstAt,
      });
      expect(Math.abs((item?.firstAt ?? 0) - Date.now())).toBeLessThan(10_000);
      expect(await log.quarantine.list(10)).toEqual([item]);
    });

    it("keeps bytes that are no text", async () => {
      const { log } = await create();
      const body = Buffer.from([0xff, 0x00, 0xfe, 0x0a, 0x80]);
      await put(log.quarantine, "bytes", { reason: "invalid_json", body });
      expect((await log.quarantine.get("bytes"))?.body.equals(body)).toBe(true);
    });

    it("counts what comes again instead of keeping it twice", async () => {
      const { log } = await create();
      await put(log.quarantine, "one");
      const first = await log.quarantine.get("one");
      await put(log.quarantine, "two");
      await Promise.all([put(log.quarantine, "one"), put(log.quarantine, "one")]);
      const again = await log.quarantine.get("one");
      expect(again).toMatchObject({ count: 3, firstAt: first?.firstAt });
      expect(again?.lastAt).toBeGreaterThanOrEqual(first?.lastAt ?? Number.POSITIVE_INFINITY);
      expect(await log.quarantine.list(10)).toHaveLength(2);
    });

    it("lists the newest first, by when an item last came, at most as many as asked", async () => {
      const { log } = await create();
      for (const id of ["one", "two", "three"]) await put(log.quarantine, id);
      expect(await idsOf(log.quarantine, 10)).toEqual(["three", "two", "one"]);
      expect(await idsOf(log.quarantine, 2)).toEqual(["three", "two"]);
      await put(log.quarantine, "one");
      expect(await idsOf(log.quarantine, 10)).toEqual(["one", "three", "two"]);
    });

    it("removes an item and says if it was there", async () => {
      const { log } = await create();
      await put(log.quarantine, "one");
      await put(log.quarantine, "two");
      expect(await log.quarantine.remove("one")).toBe(true);
      expect(await log.quarantine.remove("one")).toBe(false);
      expect(await log.quarantine.get("one")).toBeUndefined();
      expect(await idsOf(log.quarantine, 10)).toEqual(["two"]);
      await put(log.quarantine, "one");
      expect(await log.quarantine.get("one")).toMatchObject({ count: 1 });
    });

    it("holds 1,000 items; the oldest go first", async () => {
      const { log } = await create();
      for (const n of upTo(5)) await put(log.quarantine, `old${n}`);
      await put(log.quarantine, "old1");
      await Promise.all(upTo(997).map((n) => put(log.quarantine, `new${n}`)));
      const ids = await idsOf(log.quarantine, 2_000);
      expect(ids).toHaveLength(1_000);
      expect(ids.filter((id) => id.startsWith("old"))).toEqual(["old1", "old5", "old4"]);
      expect(await log.quarantine.get("old2")).toBeUndefined();
    });

    it("holds 16 MiB of bodies; the oldest go first", async () => {
      const { log } = await create();
      for (const n of upTo(16)) await put(log.quarantine, `big${n}`, { body: Buffer.alloc(mebibyte, n) });
      expect(await idsOf(log.quarantine, 20)).toHaveLength(16);
      await put(log.quarantine, "small", { body: Buffer.from("x") });
      expect(await idsOf(log.quarantine, 20)).toEqual([
        "small",
        ...upTo(16)
          .slice(1)
          .reverse()
          .map((n) => `big${n}`),
      ]);
      await log.quarantine.remove("big2");
      await put(log.quarantine, "next", { body: Buffer.alloc(mebibyte - 1) });
      expect(await idsOf(log.quarantine, 20)).toHaveLength(16);
      await put(log.quarantine, "full", { body: Buffer.alloc(mebibyte) });
      expect(await idsOf(log.quarantine, 20)).toHaveLength(17);
    });

    it("costs the log no sequence", async () => {
      const { log } = await create();
      await put(log.quarantine, "one");
      expect((await log.state(undefined)).head).toBe(0);
    });
  });
}
