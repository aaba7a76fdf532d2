/**
 * How an entry is stored and announced: two header lines, then the event's bytes as received.
 *
 *     1 <at> <late: 0 or 1>\n
 *     {"k":"event","id":…,"t":type,"c":created_at,"f":[[key,value],…],"e":entity,"w":[cursor,…]}\n
 *     <body>
 *
 * `e` and `w` (places it had before failovers) may be absent. An entry that is no event has another `k`; `lost` has
 * its range as JSON in the body.
 *
 * The first line is written by the log (only it knows the time and what is late), the second by ingest. The leading
 * number is the format's version; a node that does not know it must not go on.
 */
import {
  type Cursor,
  type Filter,
  filterKeys,
  formatCursor,
  parseCursor,
  parseEpoch,
  type Sequence,
} from "@sharmo-relay/protocol";
import {
  type Announcement,
  type Entry,
  type EventEntry,
  LogError,
  type Lost,
  type NewEvent,
} from "./event-log.ts";

const entryFormat = 1;

const newline = 0x0a;

/** The second header line, without its line break. */
export function encodeHeader({ id, type, createdAt, filters, entity, was }: NewEvent): string {
  // Absent fields are left out by `JSON.stringify`.
  return JSON.stringify({
    k: "event",
    id,
    t: type,
    c: createdAt,
    f: filters.map((f) => [f.key, f.value]),
    e: entity,
    w: was,
  });
}

/** The type under which `lost` entries are stored; no event can have it, the group is reserved. */
export const lostType = "relay.lost";
/** The second header line of such an entry. */
export const lostHeader: string = JSON.stringify({ k: "lost" });

export function encodeLost({ epoch, from, to, reason }: Lost): Buffer {
  return Buffer.from(JSON.stringify({ epoch, from, to, reason }));
}

/** What makes it the same entry when it is appended again. */
export function lostId({ epoch, from, to }: Lost): string {
  return `relay.lost ${epoch} ${from} ${to}`;
}

/** An event at its place. Field by field, since to spread an event of unknown shape costs more than all else here. */
export function entryOf(event: NewEvent, sequence: Sequence, at: number, late: boolean): EventEntry {
  const { id, type, createdAt, filters, entity, was, body } = event;
  const entry = { kind: "event" as const, sequence, id, type, createdAt, filters, at, late, body };
  if (was !== undefined) return { ...entry, was, ...(entity === undefined ? {} : { entity }) };
  return entity === undefined ? entry : { ...entry, entity };
}

export function encodeEntry(at: number, late: boolean, header: string, body: Buffer): Buffer {
  const lines = `${entryFormat} ${at} ${late ? 1 : 0}\n${header}\n`;
  const lineBytes = Buffer.byteLength(lines);
  const bytes = Buffer.allocUnsafe(lineBytes + body.length);
  bytes.write(lines);
  body.copy(bytes, lineBytes);
  return bytes;
}

/** Reads an entry; throws `LogError` `unusable` when it is not one this build can read. */
export function decodeEntry(sequence: Sequence, bytes: Buffer): Entry {
  const first = bytes.indexOf(newline);
  const second = first < 0 ? -1 : bytes.indexOf(newline, first + 1);
  const line = /^([0-9]{1,6}) ([0-9]{1,16}) ([01])$/.exec(bytes.toString("latin1", 0, Math.max(first, 0)));
  if (second < 0 || line === null) throw unreadable(sequence, "it has no header");
  if (line[1] !== String(entryFormat))
    throw unreadable(sequence, `its format is ${line[1]}, this build reads ${entryFormat}`);
  const header: unknown = parseJson(bytes.toString("utf8", first + 1, second));
  if (typeof header !== "object" || header === null)
    throw unreadable(sequence, "its header is not an object");
  const h = header as Record<string, unknown>;
  const at = Number(line[2]);
  const body = bytes.subarray(second + 1);
  if (typeof h["k"] !== "string") throw unreadable(sequence, "its header names no kind");
  if (h["k"] === "lost") return { kind: "lost", sequence, at, lost: decodeLost(sequence, body), body };
  if (h["k"] !== "event") return { kind: "control", sequence, control: h["k"], at, body };
  const { id, t, c, e } = h;
  if (typeof id !== "string" || typeof t !== "string" || typeof c !== "number" || !Array.isArray(h["f"])) {
    throw unreadable(sequence, "its header is incomplete");
  }
  const filters = h["f"].map((f) => decodeFilter(sequence, f));
  const entry = {
    kind: "event" as const,
    sequence,
    id,
    type: t,
    createdAt: c,
    filters,
    at,
    late: line[3] === "1",
    body,
  };
  const was = decodeWas(sequence, h["w"]);
  return {
    ...entry,
    ...(typeof e === "string" ? { entity: e } : {}),
    ...(was.length === 0 ? {} : { was }),
  };
}

function decodeWas(sequence: Sequence, was: unknown): Cursor[] {
  if (was === undefined) return [];
  if (!Array.isArray(was)) throw unreadable(sequence, "its earlier places are malformed");
  return was.map((text) => {
    const cursor = parseCursor(text);
    if (cursor === undefined) throw unreadable(sequence, "its earlier places are malformed");
    return formatCursor(cursor.epoch, cursor.sequence);
  });
}

function decodeLost(sequence: Sequence, body: Buffer): Lost {
  const range = parseJson(body.toString("utf8"));
  const { epoch, from, to, reason } = (typeof range === "object" && range !== null ? range : {}) as Record<
    string,
    unknown
  >;
  const name = typeof epoch === "string" ? parseEpoch(epoch) : undefined;
  const ends = typeof from === "number" && typeof to === "number";
  if (name === undefined || !ends || (reason !== "log_lost" && reason !== "log_reset"))
    throw unreadable(sequence, "what it says is lost is malformed");
  return { epoch: name, from, to, reason };
}

function decodeFilter(sequence: Sequence, filter: unknown): Filter {
  const [name, value] = Array.isArray(filter) ? filter : [];
  const key = filterKeys.find((k) => k === name);
  if (key === undefined || typeof value !== "string") throw unreadable(sequence, "its filters are malformed");
  return { key, value };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(sequence: Sequence, why: string): LogError {
  return new LogError("unusable", `entry ${sequence} of the log cannot be read: ${why}`);
}

/** Entries above this are announced by their number alone. */
export const maxAnnouncedBytes: number = 16 * 1024;

/**
 * Reads an announcement: `<version> <epoch> <sequence>\n`, followed by the entry unless it is too large to carry. Of a
 * version it does not know it takes only epoch and sequence; `undefined` for anything that is not an announcement.
 *
 * The entry is read, and its bytes copied out of `bytes`, when it is first asked for: most announcements tell a node
 * what it has.
 */
export function decodeAnnouncement(bytes: Buffer): Announcement | undefined {
  const end = bytes.indexOf(newline);
  if (end < 0 || end > 80) return undefined;
  const line = /^([0-9]{1,6}) ([a-z0-9]{10,32}) ([1-9][0-9]{0,15})$/.exec(bytes.toString("latin1", 0, end));
  const epoch = line === null ? undefined : parseEpoch(line[2] ?? "");
  const sequence = Number(line?.[3]);
  if (epoch === undefined || !Number.isSafeInteger(sequence)) return undefined;
  if (line?.[1] !== String(entryFormat) || end + 1 === bytes.length) return { epoch, sequence };
  let unread: Buffer | undefined = bytes.subarray(end + 1);
  let entry: Entry | undefined;
  return {
    epoch,
    sequence,
    get entry() {
      if (unread !== undefined) entry = readAnnounced(sequence, unread);
      unread = undefined;
      return entry;
    },
  };
}

/** One that cannot be read is as if it were too large: it is read from the log, where what is wrong with it is said. */
function readAnnounced(sequence: Sequence, bytes: Buffer): Entry | undefined {
  try {
    return decodeEntry(sequence, alone(bytes));
  } catch {
    return undefined;
  }
}

/**
 * Messages that come together are cut from one piece of memory, and whoever keeps one of them keeps that: a few that
 * are kept for long (latest values) would hold a multiple of their size.
 */
function alone(bytes: Buffer): Buffer {
  return bytes.buffer.byteLength > 2 * bytes.length ? Buffer.from(bytes) : bytes;
}
