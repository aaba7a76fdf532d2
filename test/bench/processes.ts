/** Servers and clients as child processes, each group on a core of its own, and what they cost. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** Servers, Redis included, run on the first, the load and this process on the second. */
export const cores = { server: 0, client: 1 } as const;
const ticksPerSecond = 100;
const pageBytes = 4_096;
const keptOutput = 16 * 1_024;
const stopLimit = 12_000;

/** What a machine lacks for a measurement; undefined if it lacks nothing. */
export function machineLacks(): string | undefined {
  if (process.platform !== "linux")
    return "The bench needs Linux: its load clients use epoll, and CPU is read from /proc.";
  if (cpus().length < 2) return "The bench needs two cores: one for the servers, one for the clients.";
  if (spawnSync("taskset", ["--version"]).error !== undefined)
    return "The bench needs taskset (util-linux) to keep servers and clients on cores of their own.";
  return undefined;
}

/** Moves a running process with all its threads. */
export function pin(pid: number, core: number): void {
  const done = spawnSync("taskset", ["-a", "-c", "-p", String(core), String(pid)]);
  if (done.status !== 0) throw new Error(`taskset could not move process ${pid}: ${String(done.stderr)}`);
}

export interface Launch {
  readonly core: number;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Besides PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Program {
  readonly pid: number;
  /** The end of what it wrote. */
  readonly output: () => string;
  readonly running: () => boolean;
  /** Resolves with the exit code, or null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Everything it wrote to stdout so far; for programs that write little. */
  readonly stdout: () => string;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL when that takes too long. */
  stop(): Promise<void>;
}

const alive = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export function launch({ core, command, args, cwd, env = {} }: Launch): Program {
  const child = spawn("taskset", ["-c", String(core), command, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  alive.add(child);
  let stdout = "";
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout = (stdout + chunk.toString()).slice(-1_048_576);
    output = (output + chunk.toString()).slice(-keptOutput);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-keptOutput);
  });
  child.on("error", (error) => {
    output += `${error.message}\n`;
  });
  let running = true;
  const ended = new Promise<number | null>((done) => {
    const end = (code: number | null): void => {
      running = false;
      alive.delete(child);
      done(code);
    };
    child.once("close", end);
    // without a process there is no `close`
    child.once("error", () => child.pid === undefined && end(127));
  });
  return {
    pid: child.pid ?? -1,
    output: () => output,
    stdout: () => stdout,
    running: () => running,
    ended,
    signal: (signal) => void child.kill(signal),
    async stop() {
      if (!running) return;
      child.kill("SIGTERM");
      const over = new AbortController();
      await Promise.race([
        ended,
        sleep(stopLimit, undefined, { signal: over.signal }).catch(() => undefined),
      ]);
      over.abort();
      if (!running) return;
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** User and system time that the processes have used so far, all their threads together, in seconds. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid) / ticksPerSecond, 0);
}

function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // the name in parentheses may hold anything
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Resident memory, in bytes. */
export function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * pageBytes;
}

/** Processes whose parent is this one: the workers of a server that forks. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}

/** Resolves once the processes have used next to nothing for a while: what was under way is done. */
export async function untilQuiet(pids: () => readonly number[], withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs;
  let before = cpuSeconds(pids());
  for (let quiet = 0; quiet < 3; ) {
    await sleep(100);
    const now = cpuSeconds(pids());
    quiet = now - before <= 0.011 ? quiet + 1 : 0;
    before = now;
    if (Date.now() > deadline) throw new Error(`the servers were still busy after ${withinMs} ms`);
  }
}

/** Resolves once the program has written what fits; rejects when it ends before, or takes too long. */
export async function untilWritten(
  program: Program,
  shape: RegExp,
  withinMs: number,
): Promise<RegExpExecArray> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = shape.exec(program.stdout()) ?? shape.exec(program.output());
    if (found !== null) return found;
    if (!program.running()) throw new Error(`it ended before it was ready:\n${program.output()}`);
    if (Date.now() > deadline) throw new Error(`not ready after ${withinMs} ms:\n${program.output()}`);
    await sleep(10);
  }
}

/** Everything of a group is ended, even if ending some fails. */
export async function endAll(ends: readonly (() => Promise<unknown> | unknown)[]): Promise<void> {
  for (const end of [...ends].reverse()) {
    try {
      await end();
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
}

export async function endedWell(program: Program, what: string): Promise<void> {
  const code = await program.ended;
  if (code !== 0) throw new Error(`${what} ended with ${code ?? "a signal"}:\n${program.output()}`);
}
