/** Opens the database in a folder if it is empty or an event log that this build can read. */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { exists, foreign, inspectData, newer } from "./embedded-folder.ts";
import { type Database, openDatabase } from "./embedded-store.ts";
import { readFormat, storeFormat } from "./embedded-tables.ts";

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
