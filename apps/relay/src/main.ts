/** The server as a process: environment in, signals, exit codes. */
import { fileURLToPath } from "node:url";
import { type Config, loadConfig } from "./config.ts";
import type { DevSecrets } from "./dev-secrets.ts";
import { LogError } from "./log/event-log.ts";
import { createLogger } from "./observe/logger.ts";
import { type Relay, startRelay } from "./relay.ts";

/** The built dashboard, seen from `src/` and `dist/` alike. */
const page = fileURLToPath(new URL("../../dashboard/dist", import.meta.url));

const loaded = loadConfig(process.env);
if (loaded.ok) await run(loaded.config, loaded.notes, loaded.development);
else fail(loaded.message);

async function run(
  config: Config,
  notes: readonly string[],
  development: Partial<DevSecrets>,
): Promise<void> {
  const logger = createLogger({ level: config.logLevel, production: config.production });
  let relay: Relay;
  try {
    relay = await startRelay(config, { development, page, logger });
  } catch (error) {
    return fail(startError(error, config));
  }
  announce(config, relay, development);
  for (const note of notes) logger.warn(note);
  let stopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      // the second one means now
      if (stopping) process.exit(1);
      stopping = true;
      relay.stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}

function announce(config: Config, relay: Relay, development: Partial<DevSecrets>): void {
  const address = `http://${hostName(config.host)}:${relay.port}`;
  const log = relay.engine === "redis" ? "Redis, at REDIS_URL" : `embedded, in ${config.dataDir}`;
  const lines = [
    "Sharmo Relay is running",
    `  page      ${address}/`,
    `  webhooks  POST ${address}${config.webhook.path}`,
    `  log       ${log}`,
    // in development only: whoever tries things out needs it to sign
    ...(development.webhookSecret === undefined
      ? []
      : [`  secret    ${development.webhookSecret} signs the webhooks`]),
    "  Ctrl-C ends it",
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function hostName(host: string | undefined): string {
  if (host === undefined || host === "0.0.0.0" || host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}

/** One line each for what goes wrong at start, with what to do. */
function startError(error: unknown, config: Config): string {
  if (error instanceof LogError) return error.message;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    return `port ${config.port} is in use by another program: end that, or choose another port, for example PORT=${config.port + 1}`;
  }
  if (code === "EACCES") {
    return `port ${config.port} may not be opened by this user: choose one above 1023, for example PORT=3000`;
  }
  if (code === "EADDRNOTAVAIL") {
    return `HOST ${config.host ?? ""} is no address of this machine: leave HOST out to listen on all, or use 127.0.0.1`;
  }
  return `the relay could not start: ${error instanceof Error ? error.message : String(error)}`;
}

function fail(message: string): void {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
