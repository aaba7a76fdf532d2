/** A backup of the embedded log as a command, beside the relay that writes it. */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { backUp } from "./log/embedded-backup.ts";
import { LogError } from "./log/event-log.ts";

const usage = `Copies the event log of a relay, which may be running.

  node apps/relay/dist/backup.js [--data DIR] [--to DIR]

  --data DIR   the relay's data folder; default RELAY_DATA_DIR, or ./data
  --to DIR     where backups are kept; default <data>/backups`;

try {
  const { values } = parseArgs({
    options: { data: { type: "string" }, to: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help === true) process.stdout.write(`${usage}\n`);
  else await run(values.data, values.to);
} catch (error) {
  const wrongUse = error instanceof TypeError && "code" in error;
  const message = error instanceof Error ? error.message : String(error);
  if (!wrongUse && !(error instanceof LogError)) throw error;
  process.stderr.write(`${message}\n${wrongUse ? `\n${usage}\n` : ""}`);
  process.exitCode = 1;
}

async function run(data: string | undefined, to: string | undefined): Promise<void> {
  const named = process.env["RELAY_DATA_DIR"]?.trim();
  const dataDir = resolve(data ?? (named === undefined || named === "" ? "./data" : named));
  const started = performance.now();
  const { folder, head, bytes } = await backUp({ dataDir, to: resolve(to ?? join(dataDir, "backups")) });
  const took = ((performance.now() - started) / 1000).toFixed(1);
  const size = (bytes / 1_048_576).toFixed(1);
  const lines = [
    `Backup written: ${folder}`,
    `  ${size} MiB in ${took} s, events up to number ${head}`,
    "",
    "To bring it back:",
    "  1. stop the relay",
    `  2. mv ${join(dataDir, "event-log")} ${join(dataDir, "event-log.old")}`,
    `  3. cp -r ${join(folder, "event-log")} ${join(dataDir, "event-log")}`,
    "  4. start the relay",
    "Clients go on from their cursors; where events came after the backup, they are told of a gap.",
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
