/** `npm run chaos`: the command line, a sign of life, the table, the exit code. */
import { rm, writeFile } from "node:fs/promises";
import { Lives } from "./lives.ts";
import { parseOptions, usage } from "./options.ts";
import { progressLine, reportOf } from "./report.ts";
import { type Outcome, type Progress, runChaos } from "./run.ts";

/** In the file; of all others it says what and where. */
const mostLives = 500;

const parsed = parseOptions(process.argv.slice(2));
switch (parsed.kind) {
  case "help":
    process.stdout.write(usage);
    break;
  case "wrong":
    process.stderr.write(`${parsed.message}\n\n${usage}`);
    process.exitCode = 2;
    break;
  case "run": {
    const { options } = parsed;
    // every child and every connection wants to know of the end
    process.setMaxListeners(100);
    const ended = new AbortController();
    process.on("SIGINT", () => {
      // the second one means now: what was started ends with this process
      if (ended.signal.aborted) process.exit(130);
      ended.abort();
    });
    const { seed, log, nodes, minutes } = options;
    process.stdout.write(`chaos: seed ${seed}, ${log}, ${nodes} relay(s), ${minutes} min\n`);
    const outcome = await runChaos(options, { signal: ended.signal, onProgress: signOfLife() });
    if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
    process.stdout.write(`\n${reportOf(outcome)}`);
    if (options.json !== undefined) await writeFile(options.json, jsonOf(outcome));
    const clean = outcome.verdict.violations.length === 0;
    if (clean && options.output === undefined) await rm(outcome.outputDir, { recursive: true, force: true });
    // whatever a run that went wrong may have left open
    process.stdout.write("", () => process.exit(clean ? 0 : 1));
  }
}

/** On a terminal a line that is written anew; elsewhere a line every ten seconds. */
function signOfLife(): (progress: Progress) => void {
  let last = 0;
  return (progress) => {
    if (process.stdout.isTTY) {
      process.stdout.write(`\r\x1b[K${progressLine(progress).slice(0, process.stdout.columns - 1)}`);
    } else if (progress.elapsedMs - last >= 10_000) {
      last = progress.elapsedMs;
      process.stdout.write(`${progressLine(progress)}\n`);
    }
  };
}

function jsonOf({ options, plan, faults, verdict, history, brokenMs, restMs }: Outcome): string {
  const { figures, violations } = verdict;
  const lives = new Lives(history);
  const told = violations.map((violation, index) => ({
    ...violation,
    ...(index < mostLives ? { life: lives.of(violation).split("\n") } : {}),
  }));
  return `${JSON.stringify({ options, brokenMs, restMs, faults, figures, violations: told, plan }, undefined, 2)}\n`;
}
