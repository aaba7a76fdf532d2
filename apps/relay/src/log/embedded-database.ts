/**
 * LMDB's environment, in a form that outlives it. If the disk fails in the one write that makes a transaction count,
 * LMDB gives the environment up for good: reads fail, and transactions neither succeed nor fail any more. Opened anew
 * it is whole again, without the transaction that failed.
 *
 * Two options of LMDB's carry promises of `embedded-store.ts`. `overlappingSync: false`: a transaction's promise means
 * that it is on disk. `eventTurnBatching: false`: with it, each turn that writes makes one more promise inside lmdb
 * that nobody can reach, and on a full disk its rejection ends the process.
 */
import { open, type RootDatabase } from "lmdb";

type Root = RootDatabase<Buffer, Buffer>;

/** What this log uses of LMDB. */
export type Database = Pick<
  Root,
  | "backup"
  | "childTransaction"
  | "close"
  | "get"
  | "getKeys"
  | "getRange"
  | "getStats"
  | "put"
  | "readerCheck"
  | "remove"
  | "resetReadTxn"
>;

/** `readOnly`: beside the process that writes. */
export function openDatabase(
  folder: string,
  { readOnly = false }: { readonly readOnly?: boolean } = {},
): Root {
  return open<Buffer, Buffer>({
    path: folder,
    readOnly,
    encoding: "binary",
    keyEncoding: "binary",
    overlappingSync: false,
    eventTurnBatching: false,
    // One tree holds everything: a commit then writes the fewest pages.
    maxDbs: 1,
  });
}

/** In the text of its errors: the codes are various. */
const givenUp = "MDB_PANIC";

export class LiveDatabase implements Database {
  readonly #folder: string;
  #root: Database;
  #closed = false;

  constructor(root: Database, folder: string) {
    this.#root = root;
    this.#folder = folder;
  }

  /** False while the environment is given up: only `revive` helps. */
  get lives(): boolean {
    if (this.#closed) return false;
    try {
      this.#root.resetReadTxn();
      this.#root.get(Buffer.from([0]));
      return true;
    } catch (error) {
      return !(error instanceof Error && error.message.includes(givenUp));
    }
  }

  /** Opens the environment anew if it was given up; throws as `openDatabase` does. */
  async revive(): Promise<void> {
    if (this.lives) return;
    await this.close();
    this.#root = openDatabase(this.#folder);
    this.#closed = false;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#root.close();
  }

  readonly backup: Root["backup"] = (path, compact) => this.#root.backup(path, compact);
  readonly childTransaction: Root["childTransaction"] = (action) => this.#root.childTransaction(action);
  readonly get: Root["get"] = (key, options) => this.#root.get(key, options);
  readonly getKeys: Root["getKeys"] = (options) => this.#root.getKeys(options);
  readonly getRange: Root["getRange"] = (options) => this.#root.getRange(options);
  readonly getStats: Root["getStats"] = () => this.#root.getStats();
  readonly put: Root["put"] = (key: Buffer, value: Buffer) => this.#root.put(key, value);
  readonly readerCheck: Root["readerCheck"] = () => this.#root.readerCheck();
  readonly remove: Root["remove"] = (key: Buffer) => this.#root.remove(key);
  readonly resetReadTxn: Root["resetReadTxn"] = () => this.#root.resetReadTxn();
}
