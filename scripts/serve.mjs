// `npm start` once everything is built: the relay, and beside it the simulator when there is no real sender.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { constants } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "./steps.mjs";

const grace = 1_800;
const eventsPerSecond = "2";

/** Runs until the relay ends or a signal comes; answers the exit code. `onSignal(handler)` takes the signals over. */
export async function serve(args, onSignal) {
  const env = { ...process.env };
  env.RELAY_DATA_DIR ||= "./data";
  const address = addressOf(env);
  const silent = await whyNoSimulator(args, env, address);

  // Own process groups: a Ctrl-C in the terminal reaches them once, through here.
  const relay = start("apps/relay/dist/main.js", [], env, "inherit");
  const children = [relay];
  let stopping = false;

  const stop = async () => {
    if (stopping) return;
    stopping = true;
    const alive = children.filter((child) => child.ended === undefined);
    for (const child of alive) child.process.kill("SIGTERM");
    const late = setTimeout(() => {
      for (const child of alive) if (child.ended === undefined) child.process.kill("SIGKILL");
    }, grace);
    await Promise.all(alive.map((child) => child.end));
    clearTimeout(late);
  };

  const signalled = new Promise((done) => onSignal(() => done(0)));
  if (silent === undefined) {
    void simulate(relay, address, env, children, () => stopping);
  } else if (silent !== "") {
    process.stdout.write(`simulator: off, ${silent}\n`);
  }
  const code = await Promise.race([signalled, relay.end]);
  await stop();
  return code;
}

function start(script, args, env, output) {
  const child = spawn(process.execPath, [join(root, script), ...args], {
    cwd: root,
    env,
    stdio: ["ignore", output, "inherit"],
    detached: true,
  });
  const started = { process: child, ended: undefined, end: exitCode(child, script) };
  void started.end.then((code) => {
    started.ended = code;
  });
  return started;
}

function exitCode(child, script) {
  return new Promise((done) => {
    child.once("error", (error) => {
      process.stdout.write(`${script}: ${error.message}\n`);
      done(1);
    });
    child.once("exit", (code, signal) => done(code ?? 128 + constants.signals[signal]));
  });
}

function addressOf(env) {
  const port = Number(env.PORT || 3000);
  const host = env.HOST && !["0.0.0.0", "::", "::0"].includes(env.HOST) ? env.HOST : "127.0.0.1";
  return { host, port, url: `http://${host.includes(":") ? `[${host}]` : host}:${port}` };
}

/** The reason to print, "" for a reason the relay prints itself, undefined when the simulator is wanted. */
async function whyNoSimulator(args, env, address) {
  if (args.includes("--no-simulator")) return "--no-simulator was given";
  if (env.SHARMO_WEBHOOK_SECRETS) return "SHARMO_WEBHOOK_SECRETS is set";
  if (env.NODE_ENV === "production") return "NODE_ENV=production";
  if (!Number.isInteger(address.port) || address.port < 0 || address.port > 65_535) return "";
  if (address.port === 0) return "PORT=0 leaves the address open";
  return (await answers(address)) ? "" : undefined;
}

/** Whether anything listens there; if so, the port is taken and the relay is about to say so. */
async function answers({ host, port }) {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function healthy({ url }) {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function simulate(relay, address, env, children, stopping) {
  while (!(await healthy(address))) {
    if (relay.ended !== undefined || stopping()) return;
    await sleep(100);
  }
  if (relay.ended !== undefined || stopping()) return;
  const endpoint = `${address.url}/api/sharmo-webhooks`;
  const secretFile = join(resolve(root, env.RELAY_DATA_DIR), "dev-secrets.json");
  const args = ["run", "--url", endpoint, "--secret-file", secretFile, "--rate", eventsPerSecond];
  // Its progress line would run through the relay's own lines.
  const simulator = start("packages/simulator/dist/cli.js", args, env, "ignore");
  children.push(simulator);
  process.stdout.write(`simulator: ${eventsPerSecond} events a second to ${endpoint}\n`);
  const code = await simulator.end;
  if (!stopping()) process.stdout.write(`simulator: ended with code ${code}; the relay goes on\n`);
}
