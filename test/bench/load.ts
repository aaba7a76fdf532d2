/** The load clients in C: compiled at first use, run on the clients' core, their one line of JSON read. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cores, endedWell, launch, machineLacks, type Program, untilWritten } from "./processes.ts";

const folder = join(import.meta.dirname, "load");
const programs = {
  wsload: { source: "wsload.c", flags: [], libraries: [] },
  "wsload-zlib": { source: "wsload.c", flags: ["-DWITH_ZLIB"], libraries: ["-lz"] },
  wsstorm: { source: "wsstorm.c", flags: [], libraries: ["-lm"] },
  wspost: { source: "wspost.c", flags: [], libraries: [] },
} as const;
export type LoadProgram = keyof typeof programs;

/** The clients cannot be built here; the message says what to install. */
class NoCompiler extends Error {}

/** The path of a load client, built if its sources are not those that were built last. */
export function compiled(name: LoadProgram): string {
  const { flags, libraries } = programs[name];
  const source = join(folder, programs[name].source);
  const hash = createHash("sha256");
  for (const file of [source, join(folder, "wscommon.h")]) hash.update(readFileSync(file));
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const home = join(cache, "sharmo-relay-bench");
  const target = join(home, `${name}-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(target)) return target;
  mkdirSync(home, { recursive: true });
  const partial = `${target}.${process.pid}`;
  const built = spawnSync("cc", ["-O2", ...flags, "-o", partial, source, ...libraries], {
    encoding: "utf8",
  });
  if (built.error !== undefined) {
    throw new NoCompiler(
      `The bench's load clients are C and there is no C compiler (cc) here. On Debian: apt-get install gcc libc6-dev`,
    );
  }
  if (built.status !== 0)
    throw new NoCompiler(
      `cc could not build ${source}${name === "wsload-zlib" ? " (it needs zlib1g-dev)" : ""}:\n${built.stderr}`,
    );
  renameSync(partial, target);
  return target;
}

/** What is missing here to measure with these clients; undefined if nothing is. */
export function benchLacks(names: readonly LoadProgram[]): string | undefined {
  const lacks = machineLacks();
  if (lacks !== undefined) return lacks;
  try {
    for (const name of names) compiled(name);
    return undefined;
  } catch (error) {
    if (error instanceof NoCompiler) return error.message;
    throw error;
  }
}

/** Quantiles in milliseconds. */
export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

/** What wsload saw. */
export interface Received {
  readonly messages: number;
  readonly unique: number;
  readonly missing: number;
  readonly duplicate: number;
  readonly disordered: number;
  readonly closed: number;
  readonly bytes: number;
  readonly reads: number;
  readonly latencyMs: Quantiles;
  readonly clientCpuSeconds: number;
  /** Connections on which permessage-deflate was offered and not agreed to. */
  readonly deflateRefused: number;
}

export interface Subscribers {
  /** Deliveries so far. */
  readonly delivered: () => number;
  readonly running: () => boolean;
  /** Bytes, reads and CPU count from now on. */
  readonly mark: () => Promise<void>;
  /** Ends it and reads what it saw. */
  readonly finish: () => Promise<Received>;
  readonly stop: () => Promise<void>;
}

export interface SubscriberOptions {
  readonly port: number;
  readonly connections: number;
  readonly lanes: number;
  /** Events of a lane at most. */
  readonly laneEvents: number;
  /** The peer's own part of the command line: path, framing, what is said at the start. */
  readonly script: readonly string[];
  /** A new file, through which deliveries are counted while it runs. */
  readonly progressFile: string;
  readonly readyWithinMs: number;
  /** A build that can offer permessage-deflate. */
  readonly zlib?: boolean;
}

/** Resolves once all are connected and subscribed. */
export async function subscribe(options: SubscriberOptions): Promise<Subscribers> {
  const { port, connections, lanes, laneEvents, script, progressFile, readyWithinMs, zlib = false } = options;
  const program = launch({
    core: cores.client,
    command: compiled(zlib ? "wsload-zlib" : "wsload"),
    args: [
      ["-p", String(port), "-n", String(connections), "-e", "0", "--idle", "1000000", "--timeout", "100000"],
      ["--lanes", String(lanes), "--lane-events", String(laneEvents), "--progress", progressFile],
      ["--ready-timeout", String(readyWithinMs / 1_000)],
      script,
    ].flat(),
  });
  const [, ready] = await untilWritten(program, /READY (\d+)/, readyWithinMs + 5_000);
  if (Number(ready) !== connections) {
    await program.stop();
    throw new Error(`only ${ready} of ${connections} clients connected:\n${program.output()}`);
  }
  const file = openSync(progressFile, "r");
  return {
    delivered: () => readCount(file),
    running: program.running,
    async mark() {
      program.signal("SIGUSR1");
      await untilWritten(program, /MARK/, 5_000);
    },
    async finish() {
      program.signal("SIGTERM");
      await endedWell(program, "wsload");
      closeSync(file);
      return receivedOf(lastLine(program));
    },
    stop: () => program.stop(),
  };
}

function readCount(file: number): number {
  const bytes = Buffer.alloc(8);
  readSync(file, bytes, 0, 8, 0);
  return Number(bytes.readBigUInt64LE());
}

function receivedOf(line: Record<string, unknown>): Received {
  const number = (name: string): number => Number(line[name]);
  return {
    messages: number("messages"),
    unique: number("unique"),
    missing: number("missing"),
    duplicate: number("duplicate"),
    disordered: number("out_of_order"),
    closed: number("closed_by_server") + number("failed"),
    bytes: number("bytes"),
    reads: number("reads"),
    latencyMs: quantiles(line["latency_us"]),
    clientCpuSeconds: number("client_cpu_s"),
    deflateRefused: number("deflate_refused"),
  };
}

/** What wspost saw. */
export interface Published {
  readonly sent: number;
  readonly refused: number;
  readonly perSecond: number;
  readonly elapsedSeconds: number;
  readonly answerMs: Quantiles;
  /** How much later than due it was sent. */
  readonly lateMs: Quantiles;
}

export interface PublishOptions {
  readonly port: number;
  readonly connections: number;
  readonly lanes: number;
  readonly tokens?: number;
  /** The peer's own part: path, secret. */
  readonly script: readonly string[];
  /** In all; absent: until `seconds` are over. */
  readonly events?: number;
  readonly seconds?: number;
  /** Events a second; absent: as fast as answers and window allow. */
  readonly rate?: number;
  /** So many are due together. */
  readonly burst?: number;
  /** The time stamp is that of sending, even if that is later than due. */
  readonly stampSent?: boolean;
  readonly window?: { readonly events: number; readonly progressFile: string; readonly perEvent: number };
  /** Nothing of it is counted by the subscribers. */
  readonly warmUp?: boolean;
}

export async function publish(options: PublishOptions): Promise<Published> {
  const { port, connections, lanes, tokens = 1, script, events, seconds, rate } = options;
  const { burst, stampSent, window, warmUp } = options;
  const program = launch({
    core: cores.client,
    command: compiled("wspost"),
    args: [
      ["-p", String(port), "-c", String(connections), "--lanes", String(lanes), "--tokens", String(tokens)],
      events === undefined ? [] : ["-e", String(events)],
      seconds === undefined ? [] : ["--seconds", String(seconds)],
      rate === undefined ? [] : ["--rate", String(rate)],
      window === undefined
        ? []
        : [
            "--window",
            String(window.events),
            "--progress",
            window.progressFile,
            "--per-event",
            String(window.perEvent),
          ],
      ["--timeout", String((seconds ?? (events ?? 0) / (rate ?? 1_000)) * 3 + 30)],
      burst === undefined ? [] : ["--burst", String(burst)],
      stampSent === true ? ["--stamp-sent"] : [],
      warmUp === true ? ["--marker", "w"] : [],
      script,
    ].flat(),
  });
  await endedWell(program, "wspost");
  const line = lastLine(program);
  if (Number(line["refused"]) > 0) process.stderr.write(`${program.output().split("{")[0]}\n`);
  return {
    sent: Number(line["sent"]),
    refused: Number(line["refused"]),
    perSecond: Number(line["per_s"]),
    elapsedSeconds: Number(line["elapsed_s"]),
    answerMs: quantiles(line["answer_us"]),
    lateMs: quantiles(line["late_us"]),
  };
}

/** Waits until all is delivered, or nothing more comes. */
export async function untilDelivered(
  subscribers: Subscribers,
  deliveries: number,
  patienceMs: number,
): Promise<void> {
  let last = subscribers.delivered();
  let since = Date.now();
  while (last < deliveries && subscribers.running()) {
    await sleep(5);
    const now = subscribers.delivered();
    if (now !== last) since = Date.now();
    else if (Date.now() - since > patienceMs) return;
    last = now;
  }
}

function quantiles(value: unknown): Quantiles {
  const { p50 = 0, p99 = 0 } = (value ?? {}) as { readonly p50?: number; readonly p99?: number };
  return { p50: p50 / 1_000, p99: p99 / 1_000 };
}

/** The figures of a load client that has ended. */
export function lastLine(program: Program): Record<string, unknown> {
  const line = program.stdout().trimEnd().split("\n").at(-1) ?? "";
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch (error) {
    throw new Error(`a load client wrote no figures:\n${program.output()}`, { cause: error });
  }
}
