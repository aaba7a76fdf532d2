/**
 * Tells whether a data file is as long as what it holds, by reading it as a file. LMDB itself maps the file, and the
 * system ends a process (SIGBUS) that touches a mapped page beyond the file's end: a log cut short by a failed copy
 * would end the relay without a word.
 *
 * A whole file may be shorter than its meta page says, by free pages at its end that were never written. So if it is
 * shorter, both of its trees are walked, and every page that they reach must be in the file.
 *
 *     page    number (8 bytes), transaction (8), pad (2), flags (2), lower and upper bound or number of pages (4),
 *             offsets of nodes (2 each)
 *     node    low and high of the size or of the page number (2, 2), flags or top of the page number (2),
 *             size of the key (2), key, data; large data is the number of its own first page
 *     meta    magic, version, address, size of the map, record of the tree of free pages, record of the main tree,
 *             last page, transaction
 */
import type { FileHandle } from "node:fs/promises";

const header = 24;
const magic = 0xbeefc0de;
/** Within a meta page. */
const at = { magic: header, pageSize: header + 24, free: header + 24, main: header + 72, last: header + 120 };
/** Within the record of a tree. */
const rootInTree = 40;
const metaBytes = at.last + 16;
const flag = { branch: 0x01, leaf: 0x02, overflow: 0x04 };
const bigData = 0x01;
const none = 2n ** 64n - 1n;
/** Deeper than any tree that fits on a disk. */
const maxDepth = 32;

interface Meta {
  readonly pageSize: number;
  readonly roots: readonly bigint[];
  readonly last: bigint;
  readonly transaction: bigint;
}

/** What was found; `pages` is how many the trees reach, if they were walked. */
export type Pages =
  | { readonly kind: "empty" | "foreign" | "cut" }
  | { readonly kind: "whole"; readonly pages?: number };

/** `thorough`: walk the trees also where the file is as long as it should be. */
export async function inspectPages(file: FileHandle, thorough = false): Promise<Pages> {
  const { size } = await file.stat();
  if (size === 0) return { kind: "empty" };
  const first = await readMeta(file, 0);
  if (first === undefined) return { kind: size >= metaBytes ? "foreign" : await cutOrForeign(file) };
  const second = await readMeta(file, first.pageSize);
  if (second === undefined) return { kind: "cut" };
  const meta = second.transaction > first.transaction ? second : first;
  if (!thorough && BigInt(size) >= (meta.last + 1n) * BigInt(meta.pageSize)) return { kind: "whole" };
  const pages = await new Walk(file, meta, size).all();
  return pages === undefined ? { kind: "cut" } : { kind: "whole", pages };
}

/** A file that ends within its first meta page. */
async function cutOrForeign(file: FileHandle): Promise<"foreign" | "cut"> {
  const start = Buffer.alloc(at.magic + 4);
  const { bytesRead } = await file.read(start, 0, start.length, 0);
  return bytesRead === start.length && start.readUInt32LE(at.magic) === magic ? "cut" : "foreign";
}

async function readMeta(file: FileHandle, position: number): Promise<Meta | undefined> {
  const bytes = Buffer.alloc(metaBytes);
  const { bytesRead } = await file.read(bytes, 0, metaBytes, position);
  if (bytesRead < metaBytes || bytes.readUInt32LE(at.magic) !== magic) return undefined;
  const pageSize = bytes.readUInt32LE(at.pageSize);
  if (pageSize < 256 || pageSize > 65_536) return undefined;
  return {
    pageSize,
    roots: [at.free, at.main].map((tree) => bytes.readBigUInt64LE(tree + rootInTree)),
    last: bytes.readBigUInt64LE(at.last),
    transaction: bytes.readBigUInt64LE(at.last + 8),
  };
}

class Walk {
  readonly #file: FileHandle;
  readonly #meta: Meta;
  readonly #pagesInFile: bigint;
  #pages = 0;

  constructor(file: FileHandle, meta: Meta, size: number) {
    this.#file = file;
    this.#meta = meta;
    this.#pagesInFile = BigInt(Math.floor(size / meta.pageSize));
  }

  /** How many pages the trees reach; undefined if one of them is not there. */
  async all(): Promise<number | undefined> {
    for (const root of this.#meta.roots) {
      if (root !== none && !(await this.#tree(root, 0))) return undefined;
    }
    return this.#pages;
  }

  async #tree(number: bigint, depth: number): Promise<boolean> {
    const page = await this.#read(number, this.#meta.pageSize);
    if (page === undefined || depth > maxDepth) return false;
    this.#pages++;
    const flags = page.readUInt16LE(18);
    if ((flags & (flag.branch | flag.leaf)) === 0) return false;
    for (const node of nodesOf(page)) {
      if (node === undefined) return false;
      if ((flags & flag.branch) !== 0) {
        const child = BigInt(node.readUInt32LE(0)) | (BigInt(node.readUInt16LE(4)) << 32n);
        if (!(await this.#tree(child, depth + 1))) return false;
      } else if ((node.readUInt16LE(4) & bigData) !== 0) {
        const data = 8 + node.readUInt16LE(6);
        if (node.length < data + 8 || !(await this.#overflow(node.readBigUInt64LE(data)))) return false;
      }
    }
    return true;
  }

  async #overflow(number: bigint): Promise<boolean> {
    const page = await this.#read(number, header);
    if (page === undefined || (page.readUInt16LE(18) & flag.overflow) === 0) return false;
    const pages = page.readUInt32LE(20);
    this.#pages += pages;
    return number + BigInt(pages) <= this.#pagesInFile;
  }

  /** The beginning of a page; undefined if it is not in the file, or another one is in its place. */
  async #read(number: bigint, length: number): Promise<Buffer | undefined> {
    if (number >= this.#pagesInFile) return undefined;
    const page = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#file.read(page, 0, length, Number(number) * this.#meta.pageSize);
    return bytesRead === length && page.readBigUInt64LE(0) === number ? page : undefined;
  }
}

/** Each from its own first byte to the end of the page; undefined for one that does not lie within it. */
function* nodesOf(page: Buffer): Generator<Buffer | undefined> {
  const nodes = page.readUInt16LE(20) >> 1;
  for (let n = 0; n < nodes; n++) {
    const offset = header + 2 * n;
    if (offset + 2 > page.length) return yield undefined;
    const start = header + page.readUInt16LE(offset);
    yield start + 8 <= page.length ? page.subarray(start) : undefined;
  }
}
