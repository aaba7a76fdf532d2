import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openDatabase } from "./embedded-database.ts";
import { Store } from "./embedded-store.ts";

let dir: string;
let store: Store;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sharmo-store-"));
  store = new Store(openDatabase(dir), dir, 5_000);
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true, force: true });
});

const key = (name: string) => Buffer.from(name);

function put(name: string): () => void {
  return () => void store.db.put(key(name), Buffer.from("x"));
}

function holds(name: string): boolean {
  return store.read((db) => db.get(key(name)) !== undefined);
}

describe("the store", () => {
  it("runs what waits at the same time in one transaction", async () => {
    await Promise.all(Array.from({ length: 64 }, (_, i) => store.write(put(`k${i}`))));
    expect(store.commits).toBe(1);
    await Promise.all(Array.from({ length: 600 }, (_, i) => store.write(put(`k${i}`))));
    expect(store.commits).toBe(1 + 3);
  });

  it("keeps the order of actions, of what follows the flush, and of answers", async () => {
    const seen: string[] = [];
    const write = async (n: number) => {
      await store.write(
        () => seen.push(`action ${n}`),
        () => seen.push(`flushed ${n}`),
      );
      seen.push(`answer ${n}`);
    };
    await Promise.all([1, 2, 3].map(write));
    const each = (word: string) => [1, 2, 3].map((n) => `${word} ${n}`);
    expect(seen).toEqual([...each("action"), ...each("flushed"), ...each("answer")]);
  });

  it("undoes all of a transaction of which one action throws, and goes on", async () => {
    const answers = await Promise.allSettled([
      store.write(put("before")),
      store.write(() => {
        put("half")();
        throw new TypeError("a mistake");
      }),
      store.write(put("after")),
    ]);
    for (const answer of answers)
      expect(answer).toMatchObject({ reason: { name: "LogError", code: "unavailable" } });
    expect(["before", "half", "after"].map(holds)).toEqual([false, false, false]);
    await store.write(put("next"));
    expect(holds("next")).toBe(true);
  });

  it("tells its copies that a transaction failed, once it has", async () => {
    const copy = { begin: vi.fn(), end: vi.fn(), spoil: vi.fn() };
    store.attach(copy);
    await store.write(put("one"));
    expect([copy.begin, copy.end, copy.spoil].map((f) => f.mock.calls.length)).toEqual([1, 1, 0]);
    copy.end.mockImplementationOnce(() => {
      throw new Error("cannot");
    });
    await expect(store.write(put("two"))).rejects.toMatchObject({ code: "unavailable" });
    expect(copy.spoil).toHaveBeenCalledOnce();
    expect(holds("two")).toBe(false);
  });

  it("gives up waiting in time, but not what was begun: it is flushed and followed up", async () => {
    const slow = new Store(store.db, dir, 500);
    const flushed = vi.fn();
    const busy = () => {
      const until = performance.now() + 600;
      while (performance.now() < until);
      put("begun")();
    };
    await expect(slow.write(busy, flushed)).rejects.toMatchObject({ code: "unavailable" });
    await vi.waitFor(() => expect(flushed).toHaveBeenCalledOnce());
    expect(holds("begun")).toBe(true);
  });

  it("reads one moment, also while a transaction is being flushed", async () => {
    await store.write(put("seen"));
    const writing = store.write(put("unseen yet"));
    const seen = store.read((db) => [...db.getKeys({ start: key("a") })].map(String));
    expect(seen).toEqual(["seen"]);
    await writing;
    expect(holds("unseen yet")).toBe(true);
  });

  it("grows by itself", async () => {
    for (let i = 0; i < 8; i++) {
      await store.write(() => void store.db.put(key(`big${i}`), Buffer.alloc(3 * 1024 * 1024, i)));
    }
    expect(store.read((db) => db.get(key("big7"))?.length)).toBe(3 * 1024 * 1024);
  });
});
