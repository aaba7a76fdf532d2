/**
 * What the embedded log keeps, all in one tree; the first byte of a key names the table.
 *
 *     m                      meta: format, holder, running epoch, head, number of changes to `x`   (JSON)
 *     h                      epochs, and when the running one began                                (JSON)
 *     r                      retention                                                             (JSON)
 *     b                      dead branches that were recorded                                      (JSON)
 *     x                      highest sequence removed of each type                                 (JSON)
 *     c                      only in a backup: the epoch and head of the log it was copied from     (JSON)
 *     p                      room for an event, written and removed again to learn if the disk has it
 *     t type                 name and number of stored entries of a type                           (JSON)
 *     e sequence             entry, as `entry.ts` writes it
 *     i type sequence        time of receipt: the entries of a type, oldest first
 *     d day digest           id: sequence and hash of the content, in slices by day of receipt
 *     l sequence             latest value: a copy of its entry, which outlives the entry
 *     q number               quarantined item, see `embedded-quarantine.ts`
 *
 * Numbers are big-endian, so that keys stand in their order: sequences and times have 6 bytes, days 4, types 2.
 */
import { type Epoch, parseEpoch, type Sequence } from "@sharmo-relay/protocol";
import type { Database } from "./embedded-database.ts";
import { decodeEntry } from "./entry.ts";
import {
  type DeadBranch,
  type Entry,
  type EpochHistory,
  type EpochRecord,
  LogError,
  type Retention,
} from "./event-log.ts";
import { defaultRetention, readRetention } from "./retention.ts";

export const storeFormat = 1;

const table = {
  meta: 0x6d,
  history: 0x68,
  retention: 0x72,
  branches: 0x62,
  trims: 0x78,
  probe: 0x70,
  copied: 0x63,
  type: 0x74,
  entry: 0x65,
  index: 0x69,
  id: 0x64,
  latest: 0x6c,
  quarantine: 0x71,
};

export const metaKey: Buffer = Buffer.from([table.meta]);
export const historyKey: Buffer = Buffer.from([table.history]);
export const retentionKey: Buffer = Buffer.from([table.retention]);
export const branchesKey: Buffer = Buffer.from([table.branches]);
export const trimsKey: Buffer = Buffer.from([table.trims]);
export const probeKey: Buffer = Buffer.from([table.probe]);
export const copiedKey: Buffer = Buffer.from([table.copied]);

const wide = 6;
/** Above every sequence, time and number in a key. */
export const last: number = 2 ** 48 - 1;

export const entryKey = (sequence: Sequence): Buffer => numbered(table.entry, sequence);
export const latestKey = (sequence: Sequence): Buffer => numbered(table.latest, sequence);
export const quarantineKey = (number: number): Buffer => numbered(table.quarantine, number);

function numbered(of: number, number: number): Buffer {
  const key = Buffer.allocUnsafe(1 + wide);
  key[0] = of;
  key.writeUIntBE(number, 1, wide);
  return key;
}

/** The number at the end of a key. */
export function numberIn(key: Buffer): number {
  return key.readUIntBE(key.length - wide, wide);
}

export function typeKey(type: number): Buffer {
  return Buffer.from([table.type, type >> 8, type & 0xff]);
}

export function indexKey(type: number, sequence: Sequence): Buffer {
  const key = Buffer.allocUnsafe(3 + wide);
  key[0] = table.index;
  key.writeUInt16BE(type, 1);
  key.writeUIntBE(sequence, 3, wide);
  return key;
}

export const digestBytes = 16;
/** A digest that sorts above all others of its day. */
export const lastDigest: Buffer = Buffer.alloc(digestBytes + 1, 0xff);
export const lastDay: number = 2 ** 32 - 1;

export function idKey(day: number, digest: Buffer): Buffer {
  const key = Buffer.allocUnsafe(5 + digest.length);
  key[0] = table.id;
  key.writeUInt32BE(day, 1);
  digest.copy(key, 5);
  return key;
}

export function dayIn(key: Buffer): number {
  return key.readUInt32BE(1);
}

/** The value of an index entry. */
export function timeValue(at: number): Buffer {
  const value = Buffer.allocUnsafe(wide);
  value.writeUIntBE(at, 0, wide);
  return value;
}

export function timeIn(value: Buffer): number {
  return value.readUIntBE(0, wide);
}

/** The value of an id. */
export interface Remembered {
  readonly sequence: Sequence;
  readonly content: Buffer;
}

export function rememberedValue({ sequence, content }: Remembered): Buffer {
  const value = Buffer.allocUnsafe(wide + content.length);
  value.writeUIntBE(sequence, 0, wide);
  content.copy(value, wide);
  return value;
}

export function readRemembered(value: Buffer): Remembered {
  return { sequence: value.readUIntBE(0, wide), content: value.subarray(wide) };
}

export interface Meta {
  readonly format: number;
  /** Made anew by each opening: who finds another one no longer holds the log. */
  readonly holder: string;
  readonly epoch: Epoch;
  readonly head: Sequence;
  /** Counts the changes to `x`, so that it need not be read anew each time. */
  readonly trims: number;
}

/** The format of the store, without a look at anything else; undefined if there is none. */
export function readFormat(db: Database): number | undefined {
  const format = parse(db.get(metaKey))["format"];
  return typeof format === "number" ? format : undefined;
}

export function readMeta(db: Database): Meta {
  const { format, holder, epoch, head, trims } = parse(db.get(metaKey));
  const running = typeof epoch === "string" ? parseEpoch(epoch) : undefined;
  if (typeof format !== "number" || typeof holder !== "string" || running === undefined)
    throw unreadable("meta");
  if (typeof head !== "number" || typeof trims !== "number") throw unreadable("meta");
  return { format, holder, epoch: running, head, trims };
}

export interface Epochs {
  readonly history: EpochHistory;
  /** When the running epoch began. */
  readonly since: number;
}

export function printEpochs({ history, since }: Epochs): string {
  return JSON.stringify({ epochs: history.map((r) => [r.epoch, r.first]), since });
}

export function readEpochs(db: Database): Epochs {
  const { epochs, since } = parse(db.get(historyKey));
  if (!Array.isArray(epochs) || epochs.length === 0 || typeof since !== "number") throw unreadable("epochs");
  return { history: epochs.map(readEpoch), since };
}

function readEpoch(printed: unknown): EpochRecord {
  const [name, first] = Array.isArray(printed) ? (printed as unknown[]) : [];
  const epoch = typeof name === "string" ? parseEpoch(name) : undefined;
  if (epoch === undefined || typeof first !== "number") throw unreadable("epochs");
  return { epoch, first };
}

export function printBranches(branches: readonly DeadBranch[]): string {
  return JSON.stringify({ branches: branches.map((b) => [b.epoch, b.parent, b.last]) });
}

export function readBranches(db: Database): DeadBranch[] {
  const { branches = [] } = parse(db.get(branchesKey));
  if (!Array.isArray(branches)) throw unreadable("dead branches");
  return branches.map((printed) => {
    const [name, of, last] = Array.isArray(printed) ? (printed as unknown[]) : [];
    const epoch = typeof name === "string" ? parseEpoch(name) : undefined;
    const parent = typeof of === "string" ? parseEpoch(of) : undefined;
    if (epoch === undefined || parent === undefined || typeof last !== "number")
      throw unreadable("dead branches");
    return { epoch, parent, last };
  });
}

export function readTrims(db: Database): Map<string, Sequence> {
  const trims = new Map<string, Sequence>();
  for (const [type, sequence] of Object.entries(parse(db.get(trimsKey)))) {
    if (typeof sequence !== "number") throw unreadable("trims");
    trims.set(type, sequence);
  }
  return trims;
}

export function readKept(db: Database): Retention {
  const value = db.get(retentionKey);
  if (value === undefined) return defaultRetention;
  const retention = readRetention(value.toString());
  if (retention === undefined) throw unreadable("retention");
  return retention;
}

/** Where the log stood when it was copied. */
export interface Copied {
  readonly epoch: Epoch;
  readonly head: Sequence;
}

export function printCopied({ epoch, head }: Copied): string {
  return JSON.stringify({ epoch, head });
}

/** Undefined unless this is a backup that was not opened since. */
export function readCopied(db: Database): Copied | undefined {
  const value = db.get(copiedKey);
  if (value === undefined) return undefined;
  const { epoch, head } = parse(value);
  const running = typeof epoch === "string" ? parseEpoch(epoch) : undefined;
  if (running === undefined || typeof head !== "number") throw unreadable("mark of a backup");
  return { epoch: running, head };
}

export interface TypeRecord {
  readonly number: number;
  readonly name: string;
  /** How many entries are stored. */
  count: number;
}

export function* readTypes(db: Database): Generator<TypeRecord> {
  for (const { key, value } of db.getRange({ start: typeKey(0), end: typeKey(0xffff) })) {
    const { name, count } = parse(value);
    if (typeof name !== "string" || typeof count !== "number") throw unreadable("types");
    yield { number: key.readUInt16BE(1), name, count };
  }
}

/** Entries of (`after`, `through`]. */
export function readEntries(db: Database, after: Sequence, through: Sequence): Entry[] {
  return readAsEntries(db, entryKey(after + 1), entryKey(through + 1));
}

export function readLatestEntries(db: Database): Entry[] {
  return readAsEntries(db, latestKey(0), latestKey(last));
}

function readAsEntries(db: Database, start: Buffer, end: Buffer): Entry[] {
  return [...db.getRange({ start, end })].map(({ key, value }) => decodeEntry(numberIn(key), value));
}

export function parse(value: Buffer | undefined): Readonly<Record<string, unknown>> {
  if (value === undefined) return {};
  try {
    const json: unknown = JSON.parse(value.toString());
    return typeof json === "object" && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function unreadable(what: string): LogError {
  return new LogError(
    "unusable",
    `the event log is damaged: its ${what} cannot be read; bring back a backup`,
  );
}
