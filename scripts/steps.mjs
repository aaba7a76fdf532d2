// Runs commands as named steps: one line per step, a sign of life for slow ones, full output of failed ones.
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** What every tool is run with. NODE_ENV is left out: with `production`, pnpm would not install the tools. */
export function toolEnvironment() {
  const { NODE_ENV: _, ...env } = process.env;
  return {
    ...env,
    PATH: `${join(root, "node_modules/.bin")}${delimiter}${env.PATH ?? ""}`,
    TURBO_TELEMETRY_DISABLED: "1",
    DO_NOT_TRACK: "1",
  };
}

/** Ends the whole run; its output has been shown already. */
export class StepFailed extends Error {}

const running = new Map();
const children = new Set();
const terminal = process.stdout.isTTY === true;
const firstSign = 2_000;
const betweenSigns = terminal ? 1_000 : 5_000;
let lastSign = 0;
let stopping = false;
let clock;

function seconds(since) {
  const elapsed = (Date.now() - since) / 1_000;
  return elapsed < 10 ? `${elapsed.toFixed(1)} s` : `${Math.round(elapsed)} s`;
}

function clearSign() {
  if (terminal) process.stdout.write("\r\x1b[K");
}

function sign() {
  const slow = [...running].filter(([, since]) => Date.now() - since >= firstSign);
  if (slow.length === 0 || Date.now() - lastSign < betweenSigns - 50) return;
  lastSign = Date.now();
  const text = slow
    .map(([name, since]) => `${name} … ${Math.round((Date.now() - since) / 1_000)} s`)
    .join(", ");
  if (terminal) process.stdout.write(`\r\x1b[K  ${text}`);
  else process.stdout.write(`  ${text}\n`);
}

function begin(name) {
  running.set(name, Date.now());
  clock ??= setInterval(sign, 500).unref();
}

function end(name, text) {
  running.delete(name);
  if (running.size === 0) {
    clearInterval(clock);
    clock = undefined;
  }
  clearSign();
  process.stdout.write(text);
}

/** Runs one command quietly; on failure shows all it said and throws StepFailed. */
export async function step(name, command, args, env = toolEnvironment()) {
  begin(name);
  const since = Date.now();
  const said = [];
  const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  child.stdout.on("data", (chunk) => said.push(chunk));
  child.stderr.on("data", (chunk) => said.push(chunk));
  const problem = await outcome(child);
  if (problem === undefined) {
    end(name, `✓ ${name} ${seconds(since)}\n`);
    return;
  }
  end(name, `✗ ${name} failed after ${seconds(since)} (${problem}): ${command} ${args.join(" ")}\n`);
  const text = Buffer.concat(said).toString().trimEnd();
  if (text !== "") process.stdout.write(`${text}\n`);
  throw new StepFailed(name);
}

/** Runs one command that talks to the person itself; answers its exit code. */
export async function show(command, args) {
  const child = spawn(command, args, { cwd: root, env: toolEnvironment(), stdio: "inherit" });
  children.add(child);
  const problem = await outcome(child);
  if (problem === undefined) return 0;
  if (child.exitCode === null) process.stdout.write(`✗ ${command}: ${problem}\n`);
  return child.exitCode || 1;
}

/** Runs every step to its end, then fails if any of them did. */
export async function together(...steps) {
  const results = await Promise.allSettled(steps);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

function outcome(child) {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      children.delete(child);
      resolve(error.code === "ENOENT" ? "command not found" : error.message);
    });
    child.once("close", (code, signal) => {
      children.delete(child);
      // Once stopped, nothing follows: stopSteps ends the process.
      if (!stopping) resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`));
    });
  });
}

/** Passes a signal on to the commands under way and leaves with `code` once they have ended. */
export function stopSteps(code) {
  stopping = true;
  clearSign();
  for (const child of children) child.kill("SIGTERM");
  const leave = () => {
    for (const child of children) child.kill("SIGKILL");
    process.exit(code);
  };
  setTimeout(leave, 1_800);
  setInterval(() => children.size === 0 && leave(), 20);
}
