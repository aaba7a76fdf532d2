/** The progress line of a run, and the terminal or file that it goes to. */
import type { SenderStats } from "../sender.ts";
import { count, counted, duration } from "./words.ts";

const rateWindowMs = 5_000;
/** Nobody plans around less. */
const worthSayingMs = 10_000;

/** Events a second over the last seconds, from counts taken now and then. */
export interface RateMeter {
  measure(total: number, now: number): number;
}

export function createRateMeter(now: number): RateMeter {
  const samples = [{ at: now, total: 0 }];
  return {
    measure: (total, at) => {
      samples.push({ at, total });
      while (samples.length > 2 && at - (samples[1]?.at ?? at) >= rateWindowMs) samples.shift();
      const first = samples[0];
      if (first === undefined || at <= first.at) return 0;
      return ((total - first.total) * 1_000) / (at - first.at);
    },
  };
}

export interface Progress {
  readonly stats: SenderStats;
  readonly rate: number;
  readonly now: number;
  /** Why the last attempt that failed did. */
  readonly lastError?: string;
}

/** What is none is left out, so that the error still fits on a usual terminal. */
export function progressLine({ stats, rate, now, lastError }: Progress): string {
  const parts = [`${count(stats.sent)} sent`, `${count(stats.accepted)} accepted`];
  if (stats.duplicates > 0) parts.push(counted(stats.duplicates, "duplicate", "duplicates"));
  if (stats.waiting > 0) {
    const left = stats.nextAt === undefined ? 0 : stats.nextAt - now;
    const next = left < worthSayingMs ? "" : ` (next in ${duration(left)})`;
    parts.push(`${count(stats.waiting)} waiting${next}`);
  }
  if (stats.full) parts.push("no room for more: the market waits");
  if (stats.failed > 0) parts.push(`${count(stats.failed)} failed`);
  parts.push(`${rate.toFixed(1)}/s`);
  if (lastError !== undefined) parts.push(`last error: ${lastError}`);
  return parts.join(" · ");
}

export function summaryLine(stats: SenderStats, elapsedMs: number): string {
  // A late event that still waits has no outcome yet either.
  const left = stats.sent - stats.accepted - stats.failed;
  return [
    counted(stats.sent, "event sent", "events sent"),
    `${count(stats.accepted)} accepted`,
    counted(stats.duplicates, "duplicate", "duplicates"),
    `${count(stats.late)} late`,
    `${count(stats.failed)} failed`,
    `${count(left)} not settled, in ${duration(elapsedMs)}`,
  ].join(", ");
}

/** Where the lines of a run go: a terminal, or anything else. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Display {
  /** A line that stays. */
  line(text: string): void;
  /** Replaces the progress line of a terminal; elsewhere a line, but not more often than every 10 s. */
  progress(text: string, now: number): void;
  /** Takes the progress line away. */
  end(): void;
}

const betweenLinesMs = 10_000;
const clear = "\r\x1b[K";

export function createDisplay(output: Output, now: number): Display {
  const terminal = output.isTTY === true;
  let shown = "";
  let lastLine = now;

  const show = (text: string): void => {
    // A line that wraps cannot be replaced, so room stays for the cursor and the ^C that a terminal adds.
    const width = Math.max(20, output.columns ?? 80) - 3;
    shown = text.length > width ? `${text.slice(0, width - 1)}…` : text;
    output.write(clear + shown);
  };

  return {
    line: (text) => {
      if (!terminal) {
        output.write(`${text}\n`);
        return;
      }
      const again = shown;
      output.write(`${clear}${text}\n`);
      if (again !== "") show(again);
    },
    progress: (text, at) => {
      if (terminal) show(text);
      else if (at - lastLine >= betweenLinesMs) {
        lastLine = at;
        output.write(`${text}\n`);
      }
    },
    end: () => {
      if (shown !== "") output.write(clear);
      shown = "";
    },
  };
}
