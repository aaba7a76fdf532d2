/**
 * The embedded log in a process of its own, for tests that kill, starve or compete:
 *
 *     node … embedded-log.test-process.ts <what> <data folder> [<acknowledgements until it kills itself>]
 *
 * Waits for a line on standard input, then does what it is told and prints one line for each step.
 */
import { randomUUID } from "node:crypto";
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { openEmbeddedLog } from "./embedded-log.ts";
import { type EventLog, LogError, type LogSettings, maxRange, type NewEvent } from "./event-log.ts";

// Nothing of vitest here: it takes longer to load than most of these processes live.
const settings: LogSettings = {
  dedupeMs: 259_200_000,
  latestMax: 10_000,
  maxTypes: 1_000,
  commandTimeoutMs: 5_000,
};

const [, , what = "", dir = "", dieAfter = "Infinity"] = process.argv;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function newEvent(bytes: number): NewEvent {
  const type = Math.random() < 0.5 ? "a.one" : "a.two";
  return {
    id: randomUUID(),
    type,
    createdAt: Date.now() * 1000,
    filters: [],
    body: Buffer.alloc(bytes, "x"),
  };
}

/** Not buffered: what was said was said, also if the process is killed next. */
function say(...words: readonly unknown[]): void {
  writeSync(1, `${words.join(" ")}\n`);
}

async function open(): Promise<EventLog> {
  try {
    return await openEmbeddedLog({ dir, settings });
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    say("refused", error.code, error.message);
    process.exit(3);
  }
}

/** Accepts from 16 sides without end; says `<id> <sequence>` for each that was acknowledged. */
async function writeForever(log: EventLog): Promise<void> {
  let acknowledged = 0;
  const write = async () => {
    for (;;) {
      const event = newEvent(900);
      const accepted = await log.accept(event, undefined);
      if (accepted.status === "accepted") say(event.id, accepted.entry.sequence);
      if (++acknowledged >= Number(dieAfter)) process.kill(process.pid, "SIGKILL");
    }
  };
  await Promise.all(Array.from({ length: 16 }, write));
}

/** Accepts until the disk is full and, after a line, until there is room again. */
async function fill(log: EventLog): Promise<void> {
  const acknowledged: number[] = [];
  const acceptUntil = async (wanted: "accepted" | "not_writable") => {
    for (;;) {
      try {
        const events = Array.from({ length: 4 }, () => newEvent(10_000));
        for (const accepted of await Promise.all(events.map((event) => log.accept(event, undefined)))) {
          if (accepted.status === "accepted") acknowledged.push(accepted.entry.sequence);
        }
        if (wanted === "accepted") return;
      } catch (error) {
        if (!(error instanceof LogError)) throw error;
        if (wanted === error.code) return say("failed", error.code, error.message);
      }
    }
  };
  await acceptUntil("not_writable");
  say("warned", JSON.stringify((await log.state(undefined)).warnings));
  say("readable", (await sequencesIn(log)).length >= acknowledged.length);
  await lines.next();
  await acceptUntil("accepted");
  const { head, warnings } = await log.state(undefined);
  const stored = await sequencesIn(log);
  const whole = stored.length === head && stored.every((sequence, i) => sequence === i + 1);
  say("recovered", whole && acknowledged.every((sequence) => sequence <= head), warnings.length);
}

async function sequencesIn(log: EventLog): Promise<number[]> {
  const { head } = await log.state(undefined);
  const sequences: number[] = [];
  for (let after = 0; after < head; after += maxRange) {
    sequences.push(
      ...(await log.readRange(after, after + maxRange, undefined)).entries.map((e) => e.sequence),
    );
  }
  return sequences;
}

say("ready");
await lines.next();
const log = await open();
say("open");
if (what === "write") await writeForever(log);
if (what === "fill") await fill(log);
if (what === "hold") await lines.next();
await log.close();
say("closed");
process.exit(0);
