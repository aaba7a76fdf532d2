// The programs that the tests and the bench use and npm does not bring: a Redis server, a Chromium, other relays.
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { StepFailed, step, toolEnvironment } from "./steps.mjs";

const needs = [
  { what: "Redis", programs: ["redis-server"], apt: "redis-server", brew: "redis" },
  {
    what: "Chromium",
    variable: "CHROMIUM_PATH",
    programs: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    apt: "chromium",
    brew: "--cask chromium",
  },
];

/** What `npm run bench` compares with where it is there; installed only when asked for. */
const benchPeers = [
  {
    what: "nginx with nchan",
    files: ["/usr/lib/nginx/modules/ngx_nchan_module.so"],
    programs: ["nginx"],
    apt: "libnginx-mod-nchan",
    brew: "nginx",
  },
  { what: "nats-server", programs: ["nats-server"], apt: "nats-server", brew: "nats-server" },
];
export const benchPeerNames = benchPeers.map((need) => need.what);

function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function onPath(program) {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .some((folder) => folder !== "" && executable(join(folder, program)));
}

function isThere(need) {
  if (need.variable && process.env[need.variable]) return executable(process.env[need.variable]);
  return need.programs.some(onPath) && (need.files ?? []).every(existsSync);
}

/** Installs what is missing where that is allowed; otherwise says what to run and throws StepFailed. */
export async function systemNeeds(wanted = needs.map((need) => need.what)) {
  const missing = [...needs, ...benchPeers].filter((need) => wanted.includes(need.what) && !isThere(need));
  if (missing.length === 0) return;
  const names = missing.map((need) => need.what).join(" and ");
  const packages = missing.map((need) => need.apt);
  const install = ["-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", ...packages];

  if (!onPath("apt-get")) {
    const brew = missing.map((need) => `brew install ${need.brew}`).join(" && ");
    process.stdout.write(`✗ This needs ${names}. Install with: ${brew} (or your system's packages)\n`);
    throw new StepFailed("system packages");
  }
  if (process.getuid?.() !== 0) {
    process.stdout.write(
      `✗ This needs ${names}. Run: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(" ")}\n`,
    );
    throw new StepFailed("system packages");
  }
  const env = { ...toolEnvironment(), DEBIAN_FRONTEND: "noninteractive" };
  await step("package lists", "apt-get", ["-o", "DPkg::Lock::Timeout=300", "update"], env);
  await step(packages.join(" and "), "apt-get", install, env);
  const still = missing.filter((need) => !isThere(need));
  if (still.length > 0) {
    process.stdout.write(
      `✗ ${still.map((need) => need.what).join(" and ")} not found after the installation.\n`,
    );
    throw new StepFailed("system packages");
  }
}
