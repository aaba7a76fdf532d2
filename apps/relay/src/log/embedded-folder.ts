/**
 * The folder of the embedded log: made if absent, looked at before anything is opened, held by one process.
 *
 * Whoever holds it has a file `held-by.<pid>.<mark>` in it; the mark is boot and start time of the process, so that
 * a number the system gave out again holds nothing. To take the folder, a process first puts down its own file and
 * then looks for those of others: of two that come at once, at least one sees the other and steps back. A file
 * whose process is gone is removed by whoever meets it; no name is ever used again, so nothing living is hit.
 *
 * A process in another container cannot be seen this way. Against it stands the log's own rule: each opening writes
 * its name into the log, and a writer that no longer finds its own there stops (`in_use`).
 */

import { readFileSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inspectPages } from "./embedded-pages.ts";
import { LogError } from "./event-log.ts";

/** Everything of the log is in this folder inside the data folder. */
export const folderName = "event-log";

/** The file that LMDB keeps its data in. */
export const dataFile = "data.mdb";

const elsewhere = "set RELAY_DATA_DIR to another folder";

/**
 * What opening needs at most. Without room LMDB would be ended by the system (SIGBUS): it writes to its lock file
 * through a memory map.
 */
const openingBytes = 256 * 1024;

/** Makes the folder, if need be, and sees that there is room and that files can be made in it. */
export async function prepareFolder(dataDir: string): Promise<string> {
  const folder = join(dataDir, folderName);
  const probe = join(folder, `probe.${process.pid}`);
  try {
    await makeFolder(folder);
    await writeFile(probe, Buffer.alloc(openingBytes), { flush: true });
  } catch (cause) {
    if (fullCodes.includes(codeOf(cause))) {
      throw new LogError("not_writable", `the disk of the data folder ${dataDir} is full: free some space`, {
        cause,
      });
    }
    const hint = `let this user write there, or ${elsewhere}`;
    throw new LogError(
      "unusable",
      `the data folder ${dataDir} cannot be written (${reason(cause)}): ${hint}`,
      { cause },
    );
  } finally {
    await unlink(probe).catch(() => undefined);
  }
  return folder;
}

/**
 * Makes the folder and those above it. Node's own `recursive` never ends where a folder is there and takes none, as
 * under /proc.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST" && (await stat(folder)).isDirectory()) return;
    const above = dirname(folder);
    if (code !== "ENOENT" || above === folder || (await isFolder(above))) throw error;
    await makeFolder(above);
    await mkdir(folder).catch((again: unknown) => {
      // somebody else was faster
      if (codeOf(again) !== "EEXIST") throw again;
    });
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

const fullCodes: readonly unknown[] = ["ENOSPC", "EDQUOT", "EFBIG"];

export function foreign(folder: string, cause?: unknown): LogError {
  const message = `${join(folder, dataFile)} is not an event log of Sharmo Relay: move it away, or ${elsewhere}`;
  return new LogError("unusable", message, { cause });
}

export function newer(folder: string, format: number, ours: number): LogError {
  const message = `the log in ${folder} has format ${format} and this build reads ${ours}: start the newer Sharmo Relay again, or ${elsewhere}`;
  return new LogError("unusable", message);
}

export function damaged(folder: string, what: string, cause?: unknown): LogError {
  return new LogError(
    "unusable",
    `the log in ${folder} is damaged (${what}): bring back a backup, or ${elsewhere}`,
    { cause },
  );
}

/** Throws unless the data file is absent, empty, or one that LMDB wrote and that is all there. Only reads. */
export async function inspectData(folder: string): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(join(folder, dataFile), "r");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return;
    throw unreadable(folder, cause);
  }
  try {
    const { kind } = await inspectPages(file);
    if (kind === "foreign") throw foreign(folder);
    if (kind === "cut") throw damaged(folder, `a part of ${dataFile} is missing`);
  } catch (cause) {
    throw cause instanceof LogError ? cause : unreadable(folder, cause);
  } finally {
    await file.close();
  }
}

function unreadable(folder: string, cause: unknown): LogError {
  const message = `${join(folder, dataFile)} cannot be read (${reason(cause)}): let this user read it, or ${elsewhere}`;
  return new LogError("unusable", message, { cause });
}

/** Makes names of new files outlast a power failure. Where folders cannot be synced, the system sees to it. */
export async function syncFolders(...folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const handle = await open(folder, "r").catch(() => undefined);
    await handle?.sync().catch(() => undefined);
    await handle?.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

const attempts = 5;

/** Resolves with what gives the folder back; rejects with `in_use` if another process lives in it. */
export async function holdFolder(folder: string): Promise<() => Promise<void>> {
  const own = `held-by.${process.pid}.${markOf(process.pid) ?? "unknown"}`;
  let holder: number | undefined;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await sleep(20 + Math.random() * 80);
    holder = await tryToHold(folder, own);
    if (holder === undefined) return () => unlink(join(folder, own)).catch(() => undefined);
  }
  const message = `the data folder is held by process ${holder} (${folder}): stop that process, or ${elsewhere}`;
  throw new LogError("in_use", message);
}

async function tryToHold(folder: string, own: string): Promise<number | undefined> {
  try {
    await (await open(join(folder, own), "wx")).close();
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return process.pid;
    throw new LogError("unusable", `the data folder ${folder} cannot be written (${reason(cause)})`, {
      cause,
    });
  }
  for (const name of await readdir(folder)) {
    const [, pid, mark] = /^held-by\.([0-9]+)\.(.+)$/.exec(name) ?? [];
    if (pid === undefined || mark === undefined || name === own) continue;
    if (!lives(Number(pid), mark)) {
      await unlink(join(folder, name)).catch(() => undefined);
      continue;
    }
    await unlink(join(folder, own));
    return Number(pid);
  }
  return undefined;
}

function lives(pid: number, mark: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
  }
  const now = markOf(pid);
  return now === undefined || mark === "unknown" || now === mark;
}

/** Boot and start time of a process; "gone" for a zombie, undefined where the system does not tell. */
function markOf(pid: number): string | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name, in parentheses, may hold anything; after it come state (the 3rd field) and start time (the 22nd).
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return "gone";
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").slice(0, 8);
    return `${boot}-${fields[19]}`;
  } catch {
    return undefined;
  }
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function reason(error: unknown): string {
  const code = codeOf(error);
  return typeof code === "string" ? code : String(error);
}
