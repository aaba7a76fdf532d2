// `npm run chaos` and `npm run bench` once everything is built: the run itself, and what a Ctrl-C means for it.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { root, toolEnvironment } from "./steps.mjs";

/**
 * Runs `test/<name>/main.ts` and answers its exit code. `onSignal(handler)` takes the signals over: a run that is ended
 * early still judges, and shows what it has.
 */
export function longRun(name, args, onSignal) {
  const program = ["--conditions=sharmo-source", "--import", "tsx", `test/${name}/main.ts`];
  // Its own process group: a Ctrl-C in the terminal reaches it once, through here.
  const child = spawn(process.execPath, [...program, ...args], {
    cwd: root,
    env: toolEnvironment(),
    stdio: "inherit",
    detached: true,
  });
  onSignal(() => child.kill("SIGINT"));
  return new Promise((done) => {
    child.once("error", (error) => {
      process.stdout.write(`test/${name}: ${error.message}\n`);
      done(1);
    });
    child.once("exit", (code, signal) => done(code ?? 128 + constants.signals[signal]));
  });
}
