import {
  copyFile,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { contractSettings, newEvent, readAll } from "./contract.test-harness.ts";
import { openDatabase } from "./embedded-database.ts";
import { type EmbeddedLog, openEmbeddedLog } from "./embedded-log.ts";
import { inspectPages, type Pages } from "./embedded-pages.ts";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sharmo-pages-"));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

function open(at = dir): Promise<EmbeddedLog> {
  const retention = { default: { maxAgeMs: 86_400_000, maxCount: 150 }, types: new Map() };
  return openEmbeddedLog({ dir: at, settings: { ...contractSettings, retention } });
}

const dataFile = (at = dir): string => join(at, "event-log", "data.mdb");

async function inspect(path: string, thorough = false): Promise<Pages> {
  const file = await openFile(path, "r");
  try {
    return await inspectPages(file, thorough);
  } finally {
    await file.close();
  }
}

/** Small events and large ones, in several transactions, some trimmed again: branches, leaves, overflow, free pages. */
async function fill(log: EmbeddedLog, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const events = Array.from({ length: 60 }, (_, n) =>
      newEvent({ body: Buffer.from(JSON.stringify({ n, text: "x".repeat(n % 7 === 0 ? 9_000 : 200) })) }),
    );
    await Promise.all(events.map((event) => log.accept(event, undefined)));
    await log.trim(40);
  }
}

describe("the pages of a data file", () => {
  it("are counted as LMDB counts them, after every round of writing and trimming", async () => {
    for (const rounds of [0, 1, 3, 6]) {
      const log = await open();
      await fill(log, rounds);
      await log.close();
      const found = await inspect(dataFile(), true);
      const db = openDatabase(join(dir, "event-log"));
      const counts = db.getStats() as Record<string, Record<string, number>>;
      const main = counts as unknown as Record<string, number>;
      await db.close();
      const of = (tree: Record<string, number> = {}): number =>
        ["treeBranchPageCount", "treeLeafPageCount", "overflowPages"].reduce(
          (sum, name) => sum + (tree[name] ?? 0),
          0,
        );
      expect(found).toEqual({ kind: "whole", pages: of(main) + of(counts["free"]) });
    }
  });
});

describe("a log cut short", () => {
  it("at any length is refused in one line and left as it is, or is whole", { timeout: 60_000 }, async () => {
    const log = await open();
    await fill(log, 5);
    const stored = (await readAll(log)).length;
    await log.close();
    const { size } = await stat(dataFile());
    const pages = Math.floor(size / 4_096);
    const lengths = [1, 27, 28, 159, 160, 4_095, 4_096, 4_200, 8_191, 8_192, 8_193, size - 1];
    for (let n = 3; n <= pages; n++) lengths.push(n * 4_096 - (n % 3 === 0 ? 1_000 : 0));
    const other = join(dir, "cut");
    await mkdir(join(other, "event-log"), { recursive: true });
    let refused = 0;
    for (const length of lengths) {
      await copyFile(dataFile(), dataFile(other));
      await truncate(dataFile(other), length);
      const before = await readFile(dataFile(other));
      if ((await inspect(dataFile(other))).kind === "whole") {
        // it lacks free pages only
        const whole = await open(other);
        expect(await readAll(whole)).toHaveLength(stored);
        await whole.close();
        continue;
      }
      refused++;
      const message = await open(other).then(
        () => "it was opened",
        (error: Error) => error.message,
      );
      expect(message, `cut at ${length}`).toMatch(
        length < 28
          ? /^.*data\.mdb is not an event log of Sharmo Relay: move it away, or set RELAY_DATA_DIR to another folder$/
          : /^the log in .* is damaged \(a part of data\.mdb is missing\): bring back a backup, or set RELAY_DATA_DIR to another folder$/,
      );
      expect((await readFile(dataFile(other))).equals(before)).toBe(true);
      expect((await readdir(join(other, "event-log"))).filter((name) => name !== "lock.mdb")).toEqual([
        "data.mdb",
      ]);
    }
    expect(refused).toBeGreaterThan(pages / 2);
  });
});
