import type { Epoch, Sequence } from "@sharmo-relay/protocol";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { EventEntry, LogRange } from "../log/event-log.ts";
import { Pages } from "./pages.ts";

const epoch = "aaaaaaaaaaaa" as Epoch;
const body = Buffer.alloc(1_000);

function entry(sequence: Sequence): EventEntry {
  const id = `evt_${sequence}`;
  return {
    kind: "event",
    sequence,
    id,
    type: "token.created",
    createdAt: 0,
    filters: [],
    body,
    at: 0,
    late: false,
  };
}

/** A log of `head` entries whose answers hold at most `most`. */
function setUp(head: Sequence, most: number): { pages: Pages; asked: [Sequence, Sequence][] } {
  const asked: [Sequence, Sequence][] = [];
  const pages = new Pages(async (after, through): Promise<LogRange> => {
    asked.push([after, through]);
    const end = Math.min(through, head, after + most);
    const entries = Array.from({ length: end - after }, (_, n) => entry(after + 1 + n));
    return { epoch, head, trimmedThrough: new Map(), after, through: end, entries };
  });
  return { pages, asked };
}

async function walk(pages: Pages, from: Sequence, head: Sequence): Promise<Sequence[]> {
  const seen: Sequence[] = [];
  for (let position = from; position < head; ) {
    const range = await pages.after(position, head, epoch);
    expect(range.through, `a page after ${position} that brings nothing`).toBeGreaterThan(position);
    seen.push(...range.entries.map(({ sequence }) => sequence).filter((sequence) => sequence > position));
    position = range.through;
  }
  return seen;
}

describe("pages of the log", () => {
  afterEach(() => vi.useRealTimers());

  it.each([1_000, 256, 100, 17, 1])(
    "lead to the head where an answer holds %i entries at most",
    async (most) => {
      const { pages } = setUp(700, most);
      expect(await walk(pages, 0, 700)).toEqual(Array.from({ length: 700 }, (_, n) => n + 1));
      expect(await walk(pages, 300, 700)).toEqual(Array.from({ length: 400 }, (_, n) => n + 301));
    },
  );

  it("are read once for all who come in the same while", async () => {
    const { pages, asked } = setUp(700, 1_000);
    await Promise.all(Array.from({ length: 50 }, (_, n) => walk(pages, n, 700)));
    expect(asked).toHaveLength(3);
  });

  it("are read once also where the log ends its answers early", async () => {
    const { pages, asked } = setUp(256, 100);
    await Promise.all(Array.from({ length: 50 }, () => walk(pages, 0, 256)));
    expect(asked).toEqual([
      [0, 256],
      [100, 256],
      [200, 256],
    ]);
  });

  it("are not kept for long: what retention took must be missed soon", async () => {
    vi.useFakeTimers();
    const { pages, asked } = setUp(100, 1_000);
    await walk(pages, 0, 100);
    vi.advanceTimersByTime(4_900);
    await walk(pages, 0, 100);
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(200);
    await walk(pages, 0, 100);
    expect(asked).toHaveLength(2);
  });
});
