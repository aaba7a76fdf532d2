/** How much the embedded log takes on disk, and how much of that it needs. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "./embedded-database.ts";
import { dataFile } from "./embedded-folder.ts";
import type { LogSize } from "./event-log.ts";

/** Both trees are counted: that of what is kept, and that of the free pages. The file never shrinks, free pages are used again. */
export function sizeOf(db: Database, folder: string): LogSize {
  const stats = db.getStats() as { readonly [name: string]: unknown };
  const free = stats["free"] as { readonly [name: string]: unknown };
  const pages = [stats, free].flatMap((tree) => [
    numberOf(tree["treeBranchPageCount"]),
    numberOf(tree["treeLeafPageCount"]),
    numberOf(tree["overflowPages"]),
  ]);
  const used = pages.reduce((sum, count) => sum + count, 0) * numberOf(stats["pageSize"]);
  return { fileBytes: statSync(join(folder, dataFile)).size, usedBytes: used };
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
