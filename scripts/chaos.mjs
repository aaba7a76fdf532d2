// `npm run chaos` once everything is built: the run itself, and what a Ctrl-C means for it.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { root, toolEnvironment } from "./steps.mjs";

const program = ["--conditions=sharmo-source", "--import", "tsx", "test/chaos/main.ts"];

/** Answers its exit code. `onSignal(handler)` takes the signals over: a run that is ended early still judges. */
export function chaos(args, onSignal) {
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
      process.stdout.write(`test/chaos: ${error.message}\n`);
      done(1);
    });
    child.once("exit", (code, signal) => done(code ?? 128 + constants.signals[signal]));
  });
}
