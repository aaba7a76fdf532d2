// What `npm start`, `npm test`, `npm run chaos`, `bench`, `build` and `check` call: brings what is needed, does what changed.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root, StepFailed, show, step, stopSteps, together, toolEnvironment } from "./steps.mjs";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stdout.write(`Sharmo Relay needs Node 20.19 or newer; this is ${process.versions.node}.\n`);
  process.exit(1);
}

const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
let onSignal = (signal) => stopSteps(codes[signal]);
for (const signal of Object.keys(codes)) {
  let seen = false;
  process.on(signal, () => {
    // A terminal and npm may both pass the same one on.
    if (!seen) onSignal(signal);
    seen = true;
  });
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8"));
  } catch {
    return undefined;
  }
}

async function dependencies() {
  const wanted = readJson("package.json").devDependencies.pnpm;
  const install = ["install", "--frozen-lockfile"];
  const env = { ...toolEnvironment(), CI: "true" };
  if (readJson("node_modules/pnpm/package.json")?.version === wanted) {
    await step("dependencies", "pnpm", install, env);
  } else {
    await step("dependencies", "npx", ["--yes", `pnpm@${wanted}`, ...install], env);
  }
}

async function build() {
  await step("build", "turbo", ["run", "build", "--output-logs=errors-only"]);
}

async function check() {
  // Two at a time; oxlint reads the declarations that tsc writes.
  await together(
    step("types", "tsc", ["-b"]),
    step("format and lint", "biome", ["check", "--error-on-warnings", "."]),
  );
  await together(
    step("promises", "oxlint", ["--type-aware", "--deny-warnings"]),
    step("unused code", "knip", ["--no-progress"]),
  );
}

const commands = {
  async start(args) {
    await dependencies();
    await build();
    const { serve } = await import("./serve.mjs");
    return serve(args, (handler) => {
      onSignal = handler;
    });
  },
  async test(args) {
    await dependencies();
    if (args.length === 0) {
      const { systemNeeds } = await import("./needs.mjs");
      await systemNeeds();
    }
    await build();
    if (args.length === 0) await check();
    return show("vitest", ["run", ...args]);
  },
  async chaos(args) {
    await dependencies();
    if (args.some((arg) => /redis|sentinel|cluster/.test(arg))) {
      const { systemNeeds } = await import("./needs.mjs");
      await systemNeeds(["Redis"]);
    }
    await build();
    const { longRun } = await import("./long-run.mjs");
    return longRun("chaos", args, (handler) => {
      onSignal = handler;
    });
  },
  async bench(args) {
    await dependencies();
    const { benchPeerNames, systemNeeds } = await import("./needs.mjs");
    if (args.includes("--install-peers")) {
      await systemNeeds(benchPeerNames);
      return 0;
    }
    await systemNeeds(["Redis"]);
    // another tree's relay is measured as it was built there
    if (!args.some((arg) => arg === "--relay" || arg.startsWith("--relay="))) await build();
    const { longRun } = await import("./long-run.mjs");
    return longRun("bench", args, (handler) => {
      onSignal = handler;
    });
  },
  async build() {
    await dependencies();
    await build();
    return 0;
  },
  async check() {
    await dependencies();
    await check();
    return 0;
  },
};

const [name = "", ...args] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  process.stdout.write(`Usage: node scripts/run.mjs ${Object.keys(commands).join("|")}\n`);
  process.exit(1);
}
try {
  process.exit(await command(args));
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  process.exit(1);
}
