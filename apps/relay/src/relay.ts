/**
 * One relay: its log, its place in the log's order, and the doors to it. Puts the parts together, starts them, and
 * ends them in the order that loses nothing.
 */
import { createServer } from "node:http";
import { formatCursor } from "@sharmo-relay/protocol";
import { createApi } from "./api/app.ts";
import type { Condition, Readiness, RetryOutcome } from "./api/deps.ts";
import { loadStatic } from "./api/static.ts";
import { authenticate } from "./auth/bearer.ts";
import { createDevTokens } from "./auth/dev-token.ts";
import { createTokenVerifier } from "./auth/tokens.ts";
import type { Config } from "./config.ts";
import type { DevSecrets } from "./dev-secrets.ts";
import { Gathering } from "./fanout/gathering.ts";
import { Hub } from "./fanout/hub.ts";
import type { Writing } from "./fanout/socket-writer.ts";
import { StallWatch } from "./fanout/stalls.ts";
import { apiNode, fanoutNode } from "./fanout-node.ts";
import { type Handle, listen, portOf, route } from "./http.ts";
import { clientAddress, networksOf } from "./ingest/address.ts";
import { retryQuarantined } from "./ingest/retry.ts";
import { createWebhookHandler } from "./ingest/webhook.ts";
import type { EventLog } from "./log/event-log.ts";
import { createLogger, type Logger } from "./observe/logger.ts";
import { createMetrics, type Metrics } from "./observe/metrics.ts";
import { openLog } from "./open-log.ts";
import { DegradedNotice } from "./realtime/degraded.ts";
import { drainClients } from "./realtime/drain.ts";
import { serveSocketIo } from "./realtime/socket-io.ts";
import { createSseHandler } from "./realtime/sse.ts";
import { Follower } from "./tail/follower.ts";
import { Trimmer } from "./tail/trimmer.ts";

export interface RelayOptions {
  /** Development secrets in use; none in production. */
  readonly development?: Partial<DevSecrets>;
  /** Folder of the built dashboard; none is served if it holds no page. */
  readonly page?: string;
  readonly logger?: Logger;
  /** Default: figures of its own. */
  readonly metrics?: Metrics;
  /** A log that another process holds, which also removes what is old. Default: the one that the settings name. */
  readonly sharedLog?: EventLog;
}

export interface Relay {
  readonly port: number;
  readonly engine: EventLog["engine"];
  /**
   * Takes nobody new, lets webhooks that are being received be answered, sends clients elsewhere a few at a time, and
   * closes everything: at once if nobody is connected, within ten seconds at the latest.
   */
  stop(): Promise<void>;
}

/** How long webhooks that are being received, and what a failover lost just before, may take once it is to stop. */
const finishMs = 5_000;
/** How long the parts may take to close: whoever ends the process will not wait for more than ten seconds in all. */
const closeMs = 1_000;

/**
 * Starts a relay. Rejects with a `LogError` if the log cannot be used, or with the listener's own error if the port
 * cannot be had; then nothing is left running.
 */
export async function startRelay(config: Config, options: RelayOptions = {}): Promise<Relay> {
  const logger = options.logger ?? createLogger({ level: config.logLevel, production: config.production });
  const metrics = options.metrics ?? createMetrics();
  const log = options.sharedLog ?? (await openLog(config, logger));
  const closers: (() => Promise<void> | void)[] = [() => log.close()];
  try {
    const page = options.page === undefined ? undefined : await loadStatic(options.page);
    const follower = createFollower(config, log, logger, metrics, () => hub);
    const gathering = new Gathering(config.realtime.gatherMs);
    const hub = new Hub(fanoutNode(follower), metrics.fanout, gathering);
    closers.push(
      () => follower.close(),
      () => hub.close(),
      () => gathering.close(),
    );
    metrics.watch({
      head: () => follower.tail?.heard ?? 0,
      position: () => follower.tail?.position ?? 0,
      subscriptions: () => hub.countStates(),
      logSize: () => log.size?.(),
    });
    if (options.sharedLog === undefined) {
      const trimmer = new Trimmer(log, (error) =>
        logger.warn({ err: error }, "old events could not be removed"),
      );
      closers.push(() => trimmer.close());
    }

    const tokens = createTokenVerifier(config.auth, {
      onKeysUnavailable: (error) =>
        logger.warn({ err: error }, "the keys of JWT_JWKS_URL could not be fetched"),
    });
    const webhooks = new Set<Promise<void>>();
    let draining = false;
    const stalls = new StallWatch({
      connections: () => hub.connections,
      limitMs: config.realtime.stallLimitMs,
      stalled: ({ principal: { subject } }, waiting) => {
        metrics.realtime.stalled();
        logger.warn({ sub: subject, waiting }, "a client took nothing for RELAY_STALL_LIMIT and is closed");
      },
    });
    const degraded = new DegradedNotice(hub, () => follower.inStep());
    closers.push(
      () => stalls.close(),
      () => degraded.close(),
    );
    const http = createServer();
    const realtime = {
      settings: config.realtime,
      hub,
      writing: writing(config, gathering, logger),
      tokens,
      inStep: () => follower.inStep(),
      draining: () => draining,
      overloaded: () => metrics.realtime.overloaded(),
      failed: (error: unknown) => logger.error({ err: error }, "a request of a client failed"),
    };
    const doors = route(http, config, logger, {
      webhook: ingest(config, follower, log, logger, metrics, webhooks),
      stream: createSseHandler({ ...realtime, authorize: (request) => authenticate(request, tokens) }),
      rest: createApi({
        log,
        node: apiNode(follower),
        verifier: tokens,
        retryQuarantined: (id) => retry(id, follower, log),
        readiness: () => readiness(config, follower, draining),
        metrics,
        logger,
        page,
        devToken: devToken(config, options.development),
      }).callback(),
    });
    const io = serveSocketIo(http, realtime);
    await listen(http, config);
    // in the background: without its log the relay is up, answers 503, and becomes ready when the log does
    void follower.start();
    const port = portOf(http);
    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      draining = true;
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      doors.lastAnswers();
      const answered = Promise.race([settled(webhooks), pause(finishMs)]);
      const repaired = Promise.race([follower.finish(), pause(finishMs)]);
      await drainClients(hub);
      await answered;
      await repaired;
      io.close().catch((error: unknown) => logger.warn({ err: error }, "sockets could not be closed"));
      doors.cutAll();
      await closed;
      await Promise.race([closeAll(closers, logger), pause(closeMs)]);
    };
    return {
      port,
      engine: log.engine,
      stop: () => {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    await closeAll(closers, logger);
    throw error;
  }
}

function writing(config: Config, gathering: Gathering, logger: Logger): Writing {
  let told = false;
  return {
    gathering,
    direct: config.realtime.directWrites,
    unexpected: () => {
      if (!told) logger.warn("Engine.IO or ws is not as this relay knows it; frames take the slower way");
      told = true;
    },
  };
}

function createFollower(
  config: Config,
  log: EventLog,
  logger: Logger,
  metrics: Metrics,
  hub: () => Hub,
): Follower {
  return new Follower({
    log,
    memory: { maxEntries: config.realtime.memoryEvents, maxBytes: config.realtime.memoryBytes },
    latestMax: config.log.latestMax,
    listener: {
      applied: (entry) => hub().applied(entry),
      forked: (fork) => {
        const { at, before } = fork;
        logger.warn(
          { fork: at, applied: before.through },
          "the log is another one from here on; positions after it fall back to it",
        );
        hub().forked(fork);
      },
      putBack: (count) => {
        logger.info({ count }, "events that a failover had lost are in the log again");
        metrics.tail.putBack(count);
      },
      lost: (lost) => {
        logger.error(lost, "events that a failover lost are known to no node; clients are told of a gap");
        metrics.tail.lost(lost.to - lost.from);
      },
      restarted: (from) => hub().restarted(from),
      junk: () => metrics.tail.junkAnnouncement(),
      holeFilled: () => metrics.tail.holeFilled(),
      ready: () => {
        logger.info({ engine: log.engine }, "in step with the event log");
        hub().ready();
      },
      trouble: (code, message) => {
        logger.warn({ code }, message);
        if (code === "announcements_lost") metrics.tail.announcementsLost(1);
      },
    },
  });
}

function ingest(
  config: Config,
  follower: Follower,
  log: EventLog,
  logger: Logger,
  metrics: Metrics,
  underWay: Set<Promise<void>>,
): Handle {
  const trusted = networksOf(config.trustProxy);
  const handle = createWebhookHandler({
    settings: config.webhook,
    accept: (event) => follower.accept(event),
    quarantine: log.quarantine,
    clientAddress: (request) => clientAddress(request, trusted),
    observe: {
      outcome: (outcome) => metrics.ingest.answered(outcome),
      acceptTook: (seconds) => metrics.ingest.acceptTook(seconds),
      schemaProblem: () => metrics.ingest.schemaProblem(),
      idReused: (type, id) => {
        logger.warn({ id, type }, "an event id came again with other content; it is in quarantine");
      },
      failed: (code, error) => {
        if (code !== "timeout" && code !== "unexpected") metrics.log.failed(code);
        logger.warn({ code, err: error }, "a webhook could not be stored; the sender will try again");
      },
    },
  });
  return (request, response) => {
    const work = handle(request, response);
    const over = (): void => void underWay.delete(work);
    underWay.add(work);
    void work.then(over, over);
    return work;
  };
}

async function retry(id: string, follower: Follower, log: EventLog): Promise<RetryOutcome> {
  const item = await log.quarantine.get(id);
  if (item === undefined) return { status: "not_found" };
  const result = await retryQuarantined(item, {
    accept: (event) => follower.accept(event),
    quarantine: log.quarantine,
  });
  switch (result.status) {
    case "accepted": {
      const { epoch, entry } = result.accepted;
      return { status: "accepted", id: entry.id, cursor: formatCursor(epoch, entry.sequence) };
    }
    case "duplicate":
      return { status: "duplicate", id: result.id };
    case "invalid":
      return { status: "refused", reason: item.reason, message: result.message };
  }
}

function readiness(config: Config, follower: Follower, draining: boolean): Readiness {
  const warnings: Condition[] = (follower.state?.warnings ?? [])
    .filter((warning) => !warning.blocking)
    .map(({ code, message }) => ({ code, message }));
  if (config.webhook.secrets.length === 0) {
    const message = "SHARMO_WEBHOOK_SECRETS is not set: webhooks are answered 503 until it is";
    warnings.push({ code: "not_configured", message });
  }
  const reasons: Condition[] = follower.reasons();
  if (draining) reasons.push({ code: "draining", message: "this node is about to stop" });
  return { reasons, warnings };
}

function devToken(
  config: Config,
  development: Partial<DevSecrets> | undefined,
): ReturnType<typeof createDevTokens> | undefined {
  const secret = config.production ? undefined : development?.jwtSecret;
  return secret === undefined ? undefined : createDevTokens(secret, config.auth);
}

/** Also what comes in on a connection that stood already. */
async function settled(underWay: ReadonlySet<Promise<void>>): Promise<void> {
  while (underWay.size > 0) await Promise.allSettled(underWay);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

/** The other way round than they were opened; one that fails does not keep the others open. */
async function closeAll(closers: (() => Promise<void> | void)[], logger: Logger): Promise<void> {
  for (const close of closers.reverse()) {
    try {
      await close();
    } catch (error) {
      logger.warn({ err: error }, "a part could not be closed");
    }
  }
}
