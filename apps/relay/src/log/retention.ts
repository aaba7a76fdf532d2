/**
 * How long events are kept: `RELAY_RETENTION` as text, and questions to the rules.
 *
 *     *=7d,token.price_changed=24h,token.price_updated=24h/500000
 *
 * `<type>=<age>[/<count>]`, the first limit reached counts; `*` is for every type that is not named.
 */
import { isRoutableType, maxTypeLength } from "@sharmo-relay/protocol";
import type { Retention, RetentionRule } from "./event-log.ts";

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Ten years: a typing error is more likely than a longer wish. */
const maxAgeMs = 3_650 * 86_400_000;

export const defaultRetention: Retention = { default: { maxAgeMs: 7 * 86_400_000 }, types: new Map() };

/** What retention looks like, for error messages. */
const retentionForm =
  "<type>=<age>[/<count>] with ages in s, m, h or d, for example *=7d,token.price_changed=24h/500000";

export type RetentionResult =
  | { readonly ok: true; readonly retention: Retention }
  | { readonly ok: false; readonly message: string };

/** Reads retention from outside; the message names the part that is wrong. */
export function parseRetention(text: string): RetentionResult {
  const rules = new Map<string, RetentionRule>();
  for (const part of text.split(",").map((p) => p.trim())) {
    const [, type, rest] = /^([^=]*)=(.*)$/.exec(part) ?? [];
    if (type === undefined || rest === undefined) return bad(part, `expected ${retentionForm}`);
    if (type !== "*" && !isRoutableType(type)) {
      return bad(
        part,
        `expected * or an event name such as token.price_changed (at most ${maxTypeLength} characters)`,
      );
    }
    if (rules.has(type)) return bad(part, `${type} is named twice`);
    const rule = parseRule(rest);
    if (typeof rule === "string") return bad(part, rule);
    rules.set(type, rule);
  }
  const fallback = rules.get("*") ?? defaultRetention.default;
  rules.delete("*");
  return { ok: true, retention: { default: fallback, types: rules } };
}

function parseRule(text: string): RetentionRule | string {
  const [, amount, unit, count] = /^([0-9]{1,9})([smhd])(?:\/([0-9]{1,12}))?$/.exec(text) ?? [];
  const unitMs = units[unit ?? ""];
  if (amount === undefined || unitMs === undefined) {
    return "expected an age such as 90s, 30m, 24h or 7d, and perhaps a count: 24h/500000";
  }
  const age = Number(amount) * unitMs;
  if (age === 0) return "an age of zero would keep nothing";
  if (age > maxAgeMs) return "an age is at most 3650d";
  if (count === undefined) return { maxAgeMs: age };
  if (Number(count) === 0) return "a count of zero would keep nothing";
  return { maxAgeMs: age, maxCount: Number(count) };
}

function bad(part: string, message: string): RetentionResult {
  return { ok: false, message: `"${part}": ${message}` };
}

export function ruleFor(retention: Retention, type: string): RetentionRule {
  // what is no event is kept as long as any event may be
  if (type.startsWith("relay.")) return { maxAgeMs: longestAge(retention) };
  return retention.types.get(type) ?? retention.default;
}

/** The age that the first events reach, of whatever type. */
export function shortestAge(retention: Retention): number {
  return Math.min(...agesOf(retention));
}

/** The age after which no event is left, of whatever type. */
export function longestAge(retention: Retention): number {
  return Math.max(...agesOf(retention));
}

function agesOf(retention: Retention): number[] {
  return [retention.default.maxAgeMs, ...[...retention.types.values()].map((rule) => rule.maxAgeMs)];
}

/** As the log keeps it. */
export function printRetention(retention: Retention): string {
  const print = ({ maxAgeMs: age, maxCount }: RetentionRule) =>
    maxCount === undefined ? [age] : [age, maxCount];
  const types = Object.fromEntries([...retention.types].map(([type, rule]) => [type, print(rule)]));
  return JSON.stringify({ default: print(retention.default), types });
}

/** Reads what `printRetention` wrote; undefined for anything else. */
export function readRetention(text: string): Retention | undefined {
  const value = parseJson(text);
  const fallback = readRule(value["default"]);
  const named = value["types"];
  if (fallback === undefined || typeof named !== "object" || named === null) return undefined;
  const types = new Map<string, RetentionRule>();
  for (const [type, printed] of Object.entries(named)) {
    const rule = readRule(printed);
    if (rule === undefined) return undefined;
    types.set(type, rule);
  }
  return { default: fallback, types };
}

function readRule(printed: unknown): RetentionRule | undefined {
  const [age, count] = Array.isArray(printed) ? (printed as unknown[]) : [];
  if (typeof age !== "number") return undefined;
  return typeof count === "number" ? { maxAgeMs: age, maxCount: count } : { maxAgeMs: age };
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
