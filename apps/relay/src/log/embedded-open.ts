/** Opens the database in a folder if it is empty or an event log that this build can read, and knows a backup. */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Database, openDatabase } from "./embedded-database.ts";
import { exists, foreign, inspectData, newer } from "./embedded-folder.ts";
import type { Store } from "./embedded-store.ts";
import { copiedKey, last, readCopied, readFormat, storeFormat } from "./embedded-tables.ts";
import type { EventLog } from "./event-log.ts";

/** Rejects with `unusable`, and leaves no trace, if what is there is of another kind or of a newer format. */
export async function openOurs(folder: string): Promise<Database> {
  await inspectData(folder);
  const lockFile = join(folder, "lock.mdb");
  const hadLock = await exists(lockFile);
  const db = openDatabase(folder);
  const format = readFormat(db);
  const [some] = db.getKeys({ limit: 1, start: Buffer.from([0]) });
  if (format === storeFormat || (format === undefined && some === undefined)) return db;
  await db.close();
  if (!hadLock) await unlink(lockFile);
  throw format === undefined ? foreign(folder) : newer(folder, format, storeFormat);
}

/** What came after a backup is lost, and nobody knows how much: whoever comes past its end gets a gap. */
export async function sayWhatABackupLost(log: Pick<EventLog, "appendLost">, store: Store): Promise<void> {
  const copied = store.read(readCopied);
  if (copied === undefined) return;
  await log.appendLost({ epoch: copied.epoch, from: copied.head, to: last, reason: "log_reset" }, undefined);
  // The mark goes after it: if this is cut short it is said again, and the same is not appended twice.
  await store.write(() => void store.db.remove(copiedKey));
}
