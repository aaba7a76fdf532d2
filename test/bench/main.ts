/** `npm run bench`: the command line, a sign of life, the tables, the exit code. */
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { panelsOf, svgOf } from "./chart.ts";
import { compressionScenario } from "./compression.ts";
import { fanoutScenario } from "./fanout.ts";
import { faultOf } from "./figures.ts";
import { foreignSystems } from "./foreign.ts";
import { idleScenario } from "./idle.ts";
import { ingestScenario } from "./ingest.ts";
import { benchLacks, type LoadProgram } from "./load.ts";
import { type BenchOptions, parseOptions, type ScenarioName, usage } from "./options.ts";
import { cores, pin } from "./processes.ts";
import { recoveryScenario } from "./recovery.ts";
import { markdownOf, progressLine, textOf } from "./report.ts";
import { roomsScenario } from "./rooms.ts";
import { type Measured, machine, measure, type Progress } from "./run.ts";
import type { Scenario } from "./scenario.ts";
import { naiveSystem, rawWsSystem, relaySystem, type System } from "./systems.ts";

const parsed = parseOptions(process.argv.slice(2));
switch (parsed.kind) {
  case "help":
    process.stdout.write(usage);
    break;
  case "wrong":
    process.stderr.write(`${parsed.message}\n\n${usage}`);
    process.exitCode = 2;
    break;
  case "run":
    process.exitCode = await bench(parsed.options);
}

async function bench(options: BenchOptions): Promise<number> {
  const lacks = benchLacks(clientsOf(options.scenarios));
  if (lacks !== undefined) {
    process.stderr.write(`${lacks}\n`);
    return 1;
  }
  pin(process.pid, cores.client);
  process.setMaxListeners(100);
  const ended = new AbortController();
  process.on("SIGINT", () => {
    // the second one means now: what was started ends with this process
    if (ended.signal.aborted) process.exit(130);
    ended.abort();
  });
  // whoever exits takes along what was started
  process.on("SIGTERM", () => process.exit(143));
  process.on("SIGHUP", () => process.exit(129));
  const systems = systemsOf(options);
  const scenarios = options.scenarios.map((name) => scenarioOf(name, options, systems));
  const context = `Medians of ${options.rounds} rounds in turns (lowest–highest); ${machine()}; servers on one core, clients on another; the relay's log: ${options.log}.`;
  process.stdout.write(`bench: ${context}\n`);
  for (const { what, system } of foreignSystems()) {
    if (system === undefined)
      process.stdout.write(`left out: ${what} is not installed here; --install-peers installs it\n`);
  }
  const measured = await measure(scenarios, {
    rounds: options.rounds,
    signal: ended.signal,
    onProgress: signOfLife(),
    onFailure: (what) => process.stderr.write(`${process.stdout.isTTY ? "\r\x1b[K" : ""}${what}\n`),
  });
  if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
  process.stdout.write(`\n${textOf(measured)}`);
  await writeFiles(options, measured, context);
  const clean = measured.every(({ rows }) => rows.every(({ samples }) => faultOf(samples) === undefined));
  return clean ? 0 : 1;
}

function clientsOf(scenarios: readonly ScenarioName[]): LoadProgram[] {
  return [
    "wsload",
    "wspost",
    ...(scenarios.includes("recovery") ? ["wsstorm" as const] : []),
    ...(scenarios.includes("compression") ? ["wsload-zlib" as const] : []),
  ];
}

function systemsOf({ log, relay, against, env, systems }: BenchOptions): System[] {
  const all = [
    relaySystem({ name: "relay", log, env, ...(relay === undefined ? {} : { tree: relay }) }),
    ...(against === undefined ? [] : [relaySystem({ name: "before", tree: against, log, env })]),
    naiveSystem(),
    rawWsSystem(),
    ...foreignSystems().flatMap(({ system }) => system ?? []),
  ];
  const wanted: readonly string[] | undefined = systems;
  return all.filter(({ name }) => wanted === undefined || wanted.includes(name) || name === "before");
}

function scenarioOf(name: ScenarioName, options: BenchOptions, systems: readonly System[]): Scenario {
  switch (name) {
    case "fanout":
      return fanoutScenario(options, systems);
    case "rooms":
      return roomsScenario(options, systems);
    case "idle":
      return idleScenario(options, systems);
    case "ingest":
      return ingestScenario(options, systems);
    case "recovery":
      return recoveryScenario(options, systems);
    case "compression":
      return compressionScenario(options, systems);
  }
}

/** On a terminal a line that is written anew; elsewhere a line for each measurement. */
function signOfLife(): (progress: Progress) => void {
  return (progress) => {
    const line = progressLine(progress);
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line.slice(0, process.stdout.columns - 1)}`);
    else process.stdout.write(`${line}\n`);
  };
}

async function writeFiles(
  options: BenchOptions,
  measured: readonly Measured[],
  context: string,
): Promise<void> {
  const { json, markdown } = options;
  const svg = options.svg ?? markdown?.replace(/(\.md)?$/, ".svg");
  const panels = panelsOf(measured);
  if (json !== undefined) await writeFile(json, jsonOf(options, measured));
  if (svg !== undefined && panels.length > 0) await writeFile(svg, svgOf(panels));
  if (markdown !== undefined) {
    const chart = panels.length > 0 && svg !== undefined ? basename(svg) : undefined;
    await writeFile(markdown, markdownOf(measured, context, chart));
  }
}

function jsonOf(options: BenchOptions, measured: readonly Measured[]): string {
  const scenarios = measured.map(({ scenario, rows }) => ({
    name: scenario.name,
    title: scenario.title,
    rows,
  }));
  return `${JSON.stringify({ machine: machine(), options, scenarios }, undefined, 2)}\n`;
}
