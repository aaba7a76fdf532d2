/**
 * A copy of the embedded log, made by another process than the one that writes it. LMDB lets processes read while one
 * writes: the copy is one snapshot, whatever is accepted meanwhile. It is written under another name, looked at,
 * flushed, and only then given its own: what has the name of a backup is one.
 *
 * The copy is marked as one. A log that is opened from it begins with saying that what came later is lost, so that no
 * client passes over it unseen.
 */
import { open, rename, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Sequence } from "@sharmo-relay/protocol";
import { type Database, openDatabase } from "./embedded-database.ts";
import {
  codeOf,
  dataFile,
  exists,
  folderName,
  foreign,
  inspectData,
  makeFolder,
  newer,
  syncFolders,
} from "./embedded-folder.ts";
import { copiedKey, type Meta, printCopied, readFormat, readMeta, storeFormat } from "./embedded-tables.ts";
import { LogError } from "./event-log.ts";

export interface BackupOptions {
  /** The data folder of a relay, which may be running. */
  readonly dataDir: string;
  /** Where backups are kept; made if it is not there. */
  readonly to: string;
  /** Default: the time, `2026-01-15T10-31-07Z`. */
  readonly name?: string;
}

export interface Backup {
  /** The new folder. It holds a folder that takes the place of the one in a data folder. */
  readonly folder: string;
  /** The last event that it holds; 0 if none. */
  readonly head: Sequence;
  readonly bytes: number;
}

/**
 * Rejects with `unusable` if there is no log to copy or `to` cannot be written, with `not_writable` if its disk is
 * full; then nothing is left behind.
 */
export async function backUp({ dataDir, to, name = nameNow() }: BackupOptions): Promise<Backup> {
  const source = join(dataDir, folderName);
  if (!(await exists(join(source, dataFile)))) {
    throw new LogError(
      "unusable",
      `there is no event log in ${dataDir}: name the relay's data folder with --data (a log in Redis is backed up with Redis)`,
    );
  }
  await inspectLive(source);
  const folder = join(to, name);
  const unfinished = join(to, `.unfinished-${name}-${process.pid}`);
  const copy = join(unfinished, folderName);
  try {
    await makeFolder(copy);
    if (await exists(folder))
      throw new LogError("unusable", `${folder} is there already: try again in a second`);
    await copyTo(source, copy);
    const { head } = await mark(copy);
    const { size } = await stat(join(copy, dataFile));
    await syncFolders(copy, unfinished);
    await rename(unfinished, folder);
    await syncFolders(to);
    return { folder, head, bytes: size };
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
    throw error instanceof LogError ? error : failed(to, error);
  }
}

function nameNow(): string {
  return new Date()
    .toISOString()
    .replace(/\.[0-9]+/, "")
    .replaceAll(":", "-");
}

/** While a relay writes, what is read in several looks need not fit together; then a later look tells. */
async function inspectLive(source: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await inspectData(source);
    } catch (error) {
      if (attempt === 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function copyTo(source: string, copy: string): Promise<void> {
  const lockFile = join(source, "lock.mdb");
  const hadLock = await exists(lockFile);
  const db = openDatabase(source, { readOnly: true });
  try {
    const format = readFormat(db);
    if (format === undefined) throw foreign(source);
    if (format !== storeFormat) throw newer(source, format, storeFormat);
    await db.backup(copy, true);
  } finally {
    await db.close();
    // One of this user's would keep a relay of another user from opening its log.
    if (!hadLock) await unlink(lockFile).catch(() => undefined);
  }
}

/** Opens the copy as a relay would, which shows that it can be. */
async function mark(copy: string): Promise<Meta> {
  const db: Database = openDatabase(copy);
  let meta: Meta;
  try {
    meta = readMeta(db);
    await db.put(copiedKey, Buffer.from(printCopied({ epoch: meta.epoch, head: meta.head })));
  } finally {
    await db.close();
  }
  await unlink(join(copy, "lock.mdb")).catch(() => undefined);
  const file = await open(join(copy, dataFile), "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  return meta;
}

function failed(to: string, cause: unknown): LogError {
  const full = codeOf(cause) === "ENOSPC" || codeOf(cause) === 28;
  const text = cause instanceof Error ? cause.message : String(cause);
  const [why = ""] = text.split("\n");
  return full
    ? new LogError(
        "not_writable",
        `the disk of ${to} is full: free some space, or choose another folder with --to`,
        { cause },
      )
    : new LogError(
        "unusable",
        `no backup could be written to ${to} (${why}): choose another folder with --to`,
        { cause },
      );
}
