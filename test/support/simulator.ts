/** The simulated market as a child process, posting to a relay. */
import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import type { TestRelay } from "./relay.ts";

const root = resolve(import.meta.dirname, "../..");

export interface TestSimulator {
  /** Its exit code; with `--count` it ends by itself. */
  readonly ended: Promise<number | null>;
  readonly stop: () => Promise<void>;
}

/** For a relay with development secrets. `args`: as for `sharmo-simulator run`. */
export function startSimulator(
  relay: Pick<TestRelay, "url" | "dataDir">,
  args: readonly string[],
): TestSimulator {
  const program = ["--conditions=sharmo-source", "--import", "tsx", "packages/simulator/src/cli.ts"];
  const target = ["--url", `${relay.url}/api/sharmo-webhooks`];
  const secret = ["--secret-file", join(relay.dataDir, "dev-secrets.json")];
  const child = spawn(process.execPath, [...program, "run", ...target, ...secret, "--quiet", ...args], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise<number | null>((done, fail) => {
    child.once("error", fail);
    child.once("exit", (code) => done(code));
  });
  return {
    ended,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
