/** What is said about answers, numbers and times. Pure. */
import type { Delivery } from "../sender/deliveries.ts";

const longestMessage = 160;

/** One line of plain characters: what a server answered must not steer the terminal. */
export function plain(text: string): string {
  const line = text.replace(/[\p{C}\p{Z}]+/gu, " ").trim();
  return line.length > longestMessage ? `${line.slice(0, longestMessage)}…` : line;
}

/** An answer that was no 2xx, or why there was none: `401 invalid_signature: …`. */
export function describeAnswer(status: number | undefined, response: string): string {
  if (status === undefined) return plain(response);
  const error = errorIn(response);
  if (error !== undefined) return plain(`${status} ${error.code}: ${error.message}`);
  const text = plain(response);
  return text === "" ? String(status) : `${status} ${text}`;
}

/** The vendor's own shape of errors, which the relay uses too. */
function errorIn(text: string): { code: string; message: string } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    if (!("code" in value) || !("message" in value)) return undefined;
    return { code: String(value.code), message: String(value.message) };
  } catch {
    return undefined;
  }
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

export function counted(value: number, one: string, many: string): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `0.8 s`, `42 s`, `4:59`, `1:59:59`. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const two = (value: number): string => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Says when deliveries begin to fail and when they work again; single failures in between are no news. */
export interface Watch {
  /** A line to print, if this delivery changes the picture. */
  see(delivery: Delivery): string | undefined;
}

const failuresUntilDown = 3;

export function createWatch(url: string, retries: string): Watch {
  let failures = 0;
  let down = false;
  let everUp = false;
  return {
    see: (delivery) => {
      const arrived = delivery.outcome === "delivered" || delivery.outcome === "lost_answer";
      if (arrived) {
        const back = down;
        failures = 0;
        down = false;
        everUp = true;
        return back ? `${url} accepts events again` : undefined;
      }
      failures += 1;
      if (down || (everUp && failures < failuresUntilDown)) return undefined;
      down = true;
      return `${url} does not accept events: ${describeAnswer(delivery.status, delivery.response)}. ${retries}`;
    },
  };
}
