/** What the contract tests need of an implementation, and the few things its parts share. */

import type { Filter, Sequence } from "@sharmo-relay/protocol";
import { afterEach, vi } from "vitest";
import {
  type Accepted,
  type Entry,
  type EventEntry,
  type EventLog,
  type LogSettings,
  maxRange,
  type NewEvent,
} from "./event-log.ts";

interface EventLogUnderTest {
  readonly log: EventLog;
  /** Ends the running log (a crash, if the implementation can) and opens the same storage again. */
  reopen(settings?: Partial<LogSettings>): Promise<EventLog>;
  /** One more log on the same storage, beside the first; asked for only of a harness that is `shared`. */
  second?(): Promise<EventLog>;
  /** Moves the log's clock on. Absent where time is real: the tests then wait, with retention of a split second. */
  advance?(ms: number): void;
  /** Closes what is open and removes the storage. May be called twice. */
  dispose(): Promise<void>;
}

export interface LogHarness {
  /** Several logs, of several processes, may be open on one storage. */
  readonly shared: boolean;
  /** Opens a log on fresh storage; what `settings` leaves out is `contractSettings`. */
  create(settings?: Partial<LogSettings>): Promise<EventLogUnderTest>;
}

export type CreateLog = LogHarness["create"];

/** The defaults, but for a timeout that a busy machine does not reach. */
export const contractSettings: LogSettings = {
  dedupeMs: 72 * 3_600_000,
  latestMax: 10_000,
  maxTypes: 1_000,
  commandTimeoutMs: 10_000,
};

/** `create` that disposes of what a test left. Call it inside `describe`. */
export function disposing(harness: LogHarness): CreateLog {
  const made: EventLogUnderTest[] = [];
  afterEach(async () => {
    for (const one of made.splice(0)) await one.dispose();
  });
  return async (settings) => {
    const one = await harness.create(settings);
    made.push(one);
    return one;
  };
}

let made = 0;

/** An event with an id of its own; created now unless it says otherwise. */
export function newEvent(parts: Partial<NewEvent> = {}): NewEvent {
  const id = parts.id ?? `evt_${++made}`;
  const type = parts.type ?? "transaction.created";
  return {
    id,
    type,
    createdAt: Date.now() * 1000,
    filters: [],
    body: Buffer.from(JSON.stringify({ id, type })),
    ...parts,
  };
}

/** A `token.price_changed` of one token. */
export function price(token: string, createdAtMs: number, parts: Partial<NewEvent> = {}): NewEvent {
  return entityEvent("token.price_changed", "token_id", token, createdAtMs, parts);
}

export function property(
  type: string,
  id: string,
  createdAtMs: number,
  parts: Partial<NewEvent> = {},
): NewEvent {
  return entityEvent(type, "property_id", id, createdAtMs, parts);
}

function entityEvent(
  type: string,
  key: Filter["key"],
  entity: string,
  createdAtMs: number,
  parts: Partial<NewEvent>,
): NewEvent {
  return newEvent({
    type,
    entity,
    filters: [{ key, value: entity }],
    createdAt: createdAtMs * 1000,
    ...parts,
  });
}

/** Accepts one after the other; each must be new. */
export async function acceptAll(log: EventLog, events: readonly NewEvent[]): Promise<EventEntry[]> {
  const entries: EventEntry[] = [];
  for (const event of events) entries.push(entryOf(await log.accept(event, undefined)));
  return entries;
}

export function entryOf(accepted: Accepted): EventEntry {
  if (accepted.status !== "accepted") throw new Error(`expected accepted, got ${JSON.stringify(accepted)}`);
  return accepted.entry;
}

/** Everything the log still holds, in order. */
export async function readAll(log: EventLog): Promise<Entry[]> {
  const { head } = await log.state(undefined);
  const entries: Entry[] = [];
  for (let after: Sequence = 0; after < head; after += maxRange) {
    const range = await log.readRange(after, Math.min(after + maxRange, head), undefined);
    entries.push(...range.entries);
  }
  return entries;
}

export function sequencesOf(entries: readonly { readonly sequence: Sequence }[]): Sequence[] {
  return entries.map((entry) => entry.sequence);
}

/** 1, 2, … `length`. */
export function upTo(length: number): Sequence[] {
  return Array.from({ length }, (_, i) => i + 1);
}

/** Tries until `check` no longer throws. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 10_000, interval: 15 });
}
