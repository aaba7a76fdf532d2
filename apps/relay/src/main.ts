/** The server as a process, or as several on one port: environment in, signals, exit codes. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { type Config, type ConfigResult, loadConfig } from "./config.ts";
import type { DevSecrets } from "./dev-secrets.ts";
import { type EventLog, LogError } from "./log/event-log.ts";
import { createLogger, type Logger } from "./observe/logger.ts";
import { createMetrics } from "./observe/metrics.ts";
import { logSettings, openLog } from "./open-log.ts";
import type { Relay, RelayOptions } from "./relay.ts";
import { Trimmer } from "./tail/trimmer.ts";
import { workersOf } from "./workers/count.ts";
import { Primary, workerNumber } from "./workers/worker.ts";

type Loaded = Extract<ConfigResult, { ok: true }>;

/** The built dashboard, seen from `src/` and `dist/` alike. */
const page = fileURLToPath(new URL("../../dashboard/dist", import.meta.url));
const signals = ["SIGINT", "SIGTERM"] as const;

const loaded = loadConfig(process.env);
if (loaded.ok) await run(loaded);
else fail(loaded.message);

function run(settings: Loaded): Promise<void> {
  const worker = workerNumber(process.env);
  if (worker !== undefined) return runWorker(settings, worker);
  const workers = workersOf(settings.config, availableParallelism());
  return workers === 1 ? runAlone(settings) : runPrimary(settings, workers);
}

/** What serves is loaded only where something is served. */
async function start(config: Config, options: RelayOptions): Promise<Relay> {
  const { startRelay } = await import("./relay.ts");
  return startRelay(config, options);
}

async function runAlone({ config, notes, development }: Loaded): Promise<void> {
  const logger = createLogger({ level: config.logLevel, production: config.production });
  let relay: Relay;
  try {
    relay = await start(config, { development, page, logger });
  } catch (error) {
    return fail(startError(error, config));
  }
  announce(config, relay.port, development);
  for (const note of notes) logger.warn(note);
  let stopping = false;
  for (const signal of signals) {
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

async function runPrimary({ config, notes, development }: Loaded, workers: number): Promise<void> {
  const logger = createLogger({ level: config.logLevel, production: config.production });
  let log: EventLog | undefined;
  try {
    log = config.redisUrl === undefined ? await openLog(config, logger) : undefined;
  } catch (error) {
    return fail(startError(error, config));
  }
  const trimmer =
    log === undefined
      ? undefined
      : new Trimmer(log, (error) => logger.warn({ err: error }, "old events could not be removed"));
  const { runWorkers } = await import("./workers/primary.ts");
  const { code, message } = await runWorkers({
    workers,
    log,
    logger,
    announce: (port) => {
      announce(config, port, development, workers);
      for (const note of notes) logger.warn(note);
    },
  });
  await closeLog(log, trimmer, logger);
  if (message !== undefined) process.stderr.write(`${message}\n`);
  process.exit(code);
}

async function closeLog(
  log: EventLog | undefined,
  trimmer: Trimmer | undefined,
  logger: Logger,
): Promise<void> {
  try {
    await trimmer?.close();
    await log?.close();
  } catch (error) {
    logger.warn({ err: error }, "the event log could not be closed");
  }
}

async function runWorker({ config, development }: Loaded, worker: number): Promise<void> {
  const logger = createLogger({ level: config.logLevel, production: config.production, worker });
  const primary = new Primary();
  let signalled = false;
  for (const signal of signals) {
    process.on(signal, () => {
      if (signalled) process.exit(1);
      signalled = true;
      primary.leave();
    });
  }
  let relay: Relay;
  try {
    relay = await start(config, {
      development,
      page,
      logger,
      metrics: primary.together(createMetrics()),
      ...(config.redisUrl === undefined ? { sharedLog: primary.openLog(logSettings(config)) } : {}),
    });
  } catch (error) {
    await primary.refused(startError(error, config));
    process.exit(1);
  }
  primary.started(relay.port, () => {
    relay
      .stop()
      .then(() => primary.lastFigures())
      .then(
        () => process.exit(0),
        () => process.exit(1),
      );
  });
}

function announce(config: Config, port: number, development: Partial<DevSecrets>, workers = 1): void {
  const address = `http://${hostName(config.host)}:${port}`;
  const log = config.redisUrl === undefined ? `embedded, in ${config.dataDir}` : "Redis, at REDIS_URL";
  const lines = [
    "Sharmo Relay is running",
    `  page      ${address}/`,
    `  webhooks  POST ${address}${config.webhook.path}`,
    `  log       ${log}`,
    ...(workers === 1 ? [] : [`  workers   ${workers} processes on this port`]),
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
