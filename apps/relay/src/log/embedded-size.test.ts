/** The file of the embedded log while events come and go: what is trimmed makes room, and the figures say so. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { contractSettings, newEvent } from "./contract.test-harness.ts";
import { type EmbeddedLog, openEmbeddedLog } from "./embedded-log.ts";

let dir: string;
let log: EmbeddedLog;
let now = 1_768_473_067_000;

const hourMs = 3_600_000;
const retention = { default: { maxAgeMs: hourMs, maxCount: 500 }, types: new Map() };

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sharmo-size-"));
  const settings = { ...contractSettings, retention, dedupeMs: hourMs };
  log = await openEmbeddedLog({ dir, settings, clock: () => now });
});

afterEach(async () => {
  await log.close();
  await rm(dir, { recursive: true, force: true });
});

/** A day of events; everything that may go is trimmed. */
async function day(events = 1_000): Promise<void> {
  now += 24 * hourMs;
  for (let n = 0; n < events; n += 250) {
    const some = Array.from({ length: 250 }, (_, i) =>
      newEvent({ body: Buffer.from(JSON.stringify({ i, text: "x".repeat(i % 10 === 0 ? 6_000 : 300) })) }),
    );
    await Promise.all(some.map((event) => log.accept(event, undefined)));
    while ((await log.trim(200)) > 0);
  }
}

const file = (): string => join(dir, "event-log", "data.mdb");

describe("the size of the embedded log", () => {
  it("stays the same however long events come and go, and is told", { timeout: 60_000 }, async () => {
    for (let warm = 0; warm < 4; warm++) await day();
    const settled = (await stat(file())).size;
    for (let more = 0; more < 12; more++) await day();
    const { size } = await stat(file());
    expect(size).toBeLessThan(settled * 1.1);
    const told = log.size();
    expect(told?.fileBytes).toBe(size);
    expect(told?.usedBytes).toBeGreaterThan(size / 20);
    expect(told?.usedBytes).toBeLessThan(size);
    await log.close();
    expect(log.size()).toBeUndefined();
  });

  it("does not grow for a reader that was killed while it looked", { timeout: 60_000 }, async () => {
    for (let warm = 0; warm < 4; warm++) await day();
    const settled = (await stat(file())).size;
    const script = fileURLToPath(new URL("./embedded-size.test-process.ts", import.meta.url));
    const reader = spawn(
      process.execPath,
      ["--conditions=sharmo-source", "--import", "tsx", script, join(dir, "event-log")],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await once(reader.stdout, "data");
    reader.kill("SIGKILL");
    await once(reader, "exit");
    for (let more = 0; more < 6; more++) await day();
    expect((await stat(file())).size).toBeLessThan(settled * 1.1);
  });
});
