/** The embedded log against kill -9, other processes and full disks: each in a real process. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { contractSettings, newEvent, readAll, sequencesOf, upTo } from "./contract.test-harness.ts";
import { openEmbeddedLog } from "./embedded-log.ts";

const script = fileURLToPath(new URL("./embedded-log.test-process.ts", import.meta.url));
const node = [process.execPath, "--conditions=sharmo-source", "--import", "tsx", script] as const;

interface Other {
  readonly child: ChildProcess;
  /** What it said so far. */
  readonly said: string[];
  go(): void;
  kill(): Promise<void>;
  readonly ended: Promise<unknown>;
}

let dir: string;
let others: Other[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sharmo-log-"));
});

afterEach(async () => {
  await Promise.all(others.map((other) => other.kill()));
  others = [];
  await rm(dir, { recursive: true, force: true });
});

interface Start {
  /** Ends itself the moment it was acknowledged so many: the worst of all moments. */
  readonly dieAfter?: number;
  /** A command that runs the process. */
  readonly wrapper?: readonly string[];
}

function start(what: "write" | "hold" | "fill", { dieAfter, wrapper = [] }: Start = {}): Other {
  const [command = "", ...args] = [
    ...wrapper,
    ...node,
    what,
    dir,
    ...(dieAfter === undefined ? [] : [String(dieAfter)]),
  ];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
  const ended = once(child, "close");
  const other: Other = {
    child,
    said,
    go: () => child.stdin.write("go\n"),
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
    ended,
  };
  child.stdin.on("error", () => undefined);
  others.push(other);
  return other;
}

/** The first line that begins so; waits for it as long as a busy machine may take to start a process. */
function saying(other: Other, start: RegExp): Promise<string> {
  const check = () => {
    const line = other.said.find((l) => start.test(l));
    if (line === undefined) throw new Error(`not said: ${start}; said: ${other.said.slice(-3).join(" | ")}`);
    return line;
  };
  return vi.waitFor(check, { timeout: 40_000, interval: 10 });
}

/** Runs a command that can make no file above so many KiB: a full disk that needs no rights to make. */
function limited(kibibytes: number): string[] {
  return ["bash", "-c", `ulimit -S -f ${kibibytes}; exec "$@"`, "limited"];
}

function open() {
  return openEmbeddedLog({ dir, settings: contractSettings });
}

describe("a process killed in the middle of writing", () => {
  it("has stored everything it acknowledged, without a hole, up to 20 times over", {
    timeout: 60_000,
  }, async () => {
    const acknowledged = new Map<string, number>();
    const epochs = new Set<string>();
    // In turn: killed from outside, perhaps while it opens; killed by itself; killed from outside while it writes.
    const startFor = (round: number) =>
      start("write", round % 3 === 1 ? { dieAfter: Math.ceil(Math.random() * 100) } : {});
    // The next ones start up while one writes.
    const waiting = [startFor(0), startFor(1)];
    const started = performance.now();
    let round = 0;
    for (; round < 20 && performance.now() - started < 22_000; round++) {
      const writer = waiting.shift() ?? startFor(round);
      if (round < 18) waiting.push(startFor(round + 2));
      await saying(writer, /^ready/);
      writer.go();
      if (round % 3 === 1) {
        await writer.ended;
      } else {
        const lines = round % 3 === 0 ? 0 : 3 + Math.random() * 100;
        await vi.waitFor(() => expect(writer.said.length).toBeGreaterThan(lines), {
          timeout: 40_000,
          interval: 1,
        });
        await sleep(Math.random() * 40);
      }
      await writer.kill();
      for (const line of writer.said) {
        const [, id, sequence] = /^([0-9a-f-]{36}) ([0-9]+)$/.exec(line) ?? [];
        if (id !== undefined) acknowledged.set(id, Number(sequence));
      }
      const log = await open();
      const { history } = await log.state(undefined);
      epochs.add(history.at(-1)?.epoch ?? "");
      const stored = await readAll(log);
      expect(sequencesOf(stored)).toEqual(upTo(stored.length));
      const byId = new Map(
        stored.flatMap((entry) => (entry.kind === "event" ? [[entry.id, entry.sequence]] : [])),
      );
      for (const [id, sequence] of acknowledged)
        if (byId.get(id) !== sequence) expect({ id, found: byId.get(id) }).toEqual({ id, found: sequence });
      await log.close();
    }
    expect(epochs.size).toBe(round);
    expect(acknowledged.size).toBeGreaterThan(50);
  });
});

describe("a second process", () => {
  it("is refused by name while the first lives, and let in once it is killed", {
    timeout: 90_000,
  }, async () => {
    const holder = start("hold");
    const rival = start("hold");
    await Promise.all([saying(holder, /^ready/), saying(rival, /^ready/)]);
    holder.go();
    await saying(holder, /^open/);
    await expect(open()).rejects.toMatchObject({
      code: "in_use",
      message: expect.stringMatching(
        new RegExp(`held by process ${holder.child.pid} .*: stop that process, or set RELAY_DATA_DIR`),
      ),
    });
    rival.go();
    expect(await saying(rival, /^refused/)).toContain(
      `in_use the data folder is held by process ${holder.child.pid}`,
    );
    await holder.kill();
    const log = await open();
    await log.accept(newEvent(), undefined);
    await log.close();
    expect((await readdir(join(dir, "event-log"))).filter((name) => name.startsWith("held-by"))).toEqual([]);
  });

  it("is let in by at most one of many that come at once", { timeout: 90_000 }, async () => {
    const rivals = [start("hold"), start("hold"), start("hold"), start("hold")];
    await Promise.all(rivals.map((rival) => saying(rival, /^ready/)));
    for (const rival of rivals) rival.go();
    await Promise.all(rivals.map((rival) => saying(rival, /^(open|refused)/)));
    const answers = rivals.map((rival) => rival.said[1]?.split(" ").slice(0, 2).join(" "));
    expect(answers.filter((answer) => answer === "open").length).toBeLessThanOrEqual(1);
    for (const answer of answers) expect(["open", "refused in_use"]).toContain(answer);
  });
});

describe.runIf(process.platform === "linux")("a full disk", () => {
  it("refuses writes, kills nothing, still reads, and takes up again when there is room", {
    timeout: 30_000,
  }, async () => {
    const log = start("fill", { wrapper: limited(3_000) });
    await saying(log, /^ready/);
    log.go();
    expect(await saying(log, /^failed/)).toMatch(
      /^failed not_writable the event log takes no writes \(.+\): is the disk of .+ full\?$/,
    );
    expect(await saying(log, /^warned/)).toMatch(/"code":"not_writable","blocking":true/);
    expect(await saying(log, /^readable/)).toBe("readable true");
    const [lifted] = await once(
      spawn("prlimit", ["--pid", String(log.child.pid), "--fsize=unlimited"]),
      "close",
    );
    expect(lifted).toBe(0);
    log.go();
    expect(await saying(log, /^recovered/)).toBe("recovered true 0");
    await saying(log, /^closed/);
    if (log.child.exitCode === null) await once(log.child, "exit");
    expect(log.child.exitCode).toBe(0);
  });

  it("is said in one line by a log that cannot be opened on it", { timeout: 90_000 }, async () => {
    const log = start("hold", { wrapper: limited(200) });
    await saying(log, /^ready/);
    log.go();
    expect(await saying(log, /^refused/)).toBe(
      `refused not_writable the disk of the data folder ${dir} is full: free some space`,
    );
  });
});
