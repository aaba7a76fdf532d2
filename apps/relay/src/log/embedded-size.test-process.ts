/** Looks at a log as a backup does, and does not end: the test ends it. */
import { openDatabase } from "./embedded-database.ts";

const db = openDatabase(process.argv[2] ?? "", { readOnly: true });
// A transaction that is held is a snapshot that stays.
// biome-ignore lint/correctness/useHookAtTopLevel: no hook of React, but of LMDB
const held = db.useReadTransaction();
const [first] = db.getKeys({ limit: 1, transaction: held });
process.stdout.write(`looking ${first?.length ?? 0}\n`);
setInterval(() => held, 60_000);
