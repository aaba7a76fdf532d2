/** Accepts events while writes to the meta page fail for a time; says what came of each step. */
import { rmSync, writeFileSync } from "node:fs";
import { contractSettings, newEvent } from "./contract.test-harness.ts";
import { type EmbeddedLog, openEmbeddedLog } from "./embedded-log.ts";
import { LogError } from "./event-log.ts";

const dir = process.argv[2] ?? "";
const switchFile = process.env["FAIL_META_WRITES"] ?? "";
const say = (text: string): boolean => process.stdout.write(`${text}\n`);
const accepted: string[] = [];

async function accept(log: EmbeddedLog): Promise<void> {
  const event = newEvent();
  try {
    const answer = await log.accept(event, undefined);
    accepted.push(event.id);
    say(answer.status === "accepted" ? `accepted ${answer.entry.sequence}` : answer.status);
  } catch (error) {
    say(error instanceof LogError ? error.code : String(error));
  }
}

async function readiness(log: EmbeddedLog): Promise<void> {
  const { warnings } = await log.state(undefined);
  say(warnings.length === 0 ? "ready" : `not ready: ${warnings.map(({ code }) => code).join()}`);
}

const log = await openEmbeddedLog({ dir, settings: contractSettings });
await accept(log);
await accept(log);
writeFileSync(switchFile, "");
await accept(log);
await accept(log);
await readiness(log);
say(`read ${(await log.readRange(0, 9, undefined)).entries.map(({ sequence }) => sequence).join(" ")}`);
rmSync(switchFile);
await accept(log);
await readiness(log);
await accept(log);
await log.close();

const again = await openEmbeddedLog({ dir, settings: contractSettings });
const { entries } = await again.readRange(0, 9, undefined);
const ids = entries.map((entry) => (entry.kind === "event" ? entry.id : ""));
const same = ids.join() === accepted.join();
say(
  `stored ${entries.map(({ sequence }) => sequence).join(" ")} ${same ? "in order, refused ones not among them" : ids.join()}`,
);
await again.close();
