import { describe, expect, it } from "vitest";
import type { SenderStats } from "../sender.ts";
import { createDisplay, createRateMeter, progressLine, summaryLine } from "./progress.ts";

const none: SenderStats = {
  sent: 0,
  accepted: 0,
  duplicates: 0,
  late: 0,
  failed: 0,
  attempts: 0,
  inFlight: 0,
  waiting: 0,
  full: false,
};
const some: SenderStats = {
  ...none,
  sent: 12_345,
  accepted: 12_300,
  duplicates: 1,
  late: 7,
  failed: 2,
  waiting: 43,
};

describe("progressLine and summaryLine", () => {
  it("should show what there is and leave out what is none", () => {
    expect(progressLine({ stats: none, rate: 0, now: 0 })).toBe("0 sent · 0 accepted · 0.0/s");
    expect(
      progressLine({
        stats: { ...some, nextAt: 253_000, full: true },
        rate: 5.04,
        now: 1_000,
        lastError: "503 busy",
      }),
    ).toBe(
      "12,345 sent · 12,300 accepted · 1 duplicate · 43 waiting (next in 4:12) · no room for more: the market waits · 2 failed · 5.0/s · last error: 503 busy",
    );
    expect(summaryLine(some, 3_723_000)).toBe(
      "12,345 events sent, 12,300 accepted, 1 duplicate, 7 late, 2 failed, 43 not settled, in 1:02:03",
    );
    expect(summaryLine({ ...none, sent: 1, accepted: 1 }, 900)).toBe(
      "1 event sent, 1 accepted, 0 duplicates, 0 late, 0 failed, 0 not settled, in 0.9 s",
    );
  });
});

describe("createRateMeter", () => {
  it("should measure the last seconds, not the whole run", () => {
    const meter = createRateMeter(0);
    expect(meter.measure(0, 0)).toBe(0);
    for (let s = 1; s <= 20; s += 1) meter.measure(s * 10, s * 1_000);
    expect(meter.measure(210, 21_000)).toBeCloseTo(10);
    for (let s = 22; s <= 40; s += 1) meter.measure(210, s * 1_000);
    expect(meter.measure(210, 41_000)).toBe(0);
  });
});

describe("createDisplay", () => {
  function display(options: { isTTY: boolean; columns?: number }) {
    const written: string[] = [];
    const made = createDisplay({ ...options, write: (text: string) => written.push(text) }, 0);
    return { ...made, text: () => written.splice(0).join("") };
  }

  it("should keep one line up to date on a terminal, below the lines that stay, and never let it wrap", () => {
    const { line, progress, end, text } = display({ isTTY: true, columns: 30 });
    line("hello");
    expect(text()).toBe("\r\x1b[Khello\n");
    progress("one", 0);
    progress("a line that is far too long for this terminal", 1);
    expect(text()).toBe("\r\x1b[Kone\r\x1b[Ka line that is far too lon…");
    line("news");
    expect(text()).toBe("\r\x1b[Knews\n\r\x1b[Ka line that is far too lon…");
    end();
    expect(text()).toBe("\r\x1b[K");
  });

  it("should write a line each 10 s anywhere else", () => {
    const { line, progress, end, text } = display({ isTTY: false });
    for (let ms = 0; ms <= 25_000; ms += 250) progress(`at ${ms}`, ms);
    line("news");
    end();
    expect(text()).toBe("at 10000\nat 20000\nnews\n");
  });
});
