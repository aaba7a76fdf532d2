/** Opens the log that the settings name. Only the engine in use is loaded: the other's native parts need not even be installed. */
import type { Config } from "./config.ts";
import type { EventLog, LogSettings } from "./log/event-log.ts";
import type { Logger } from "./observe/logger.ts";

const maxTypes = 1_000;
const commandTimeoutMs = 1_500;

export function logSettings({ log }: Pick<Config, "log">): LogSettings {
  return {
    ...(log.retention === undefined ? {} : { retention: log.retention }),
    dedupeMs: log.dedupeMs,
    latestMax: log.latestMax,
    maxTypes,
    commandTimeoutMs,
  };
}

export async function openLog(config: Config, logger: Logger): Promise<EventLog> {
  const settings = logSettings(config);
  if (config.redisUrl !== undefined) {
    const { openRedisLog } = await import("./log/redis-log.ts");
    const { minReplicas } = config.log;
    return openRedisLog({ url: config.redisUrl, settings, minReplicas, logger });
  }
  const { openEmbeddedLog } = await import("./log/embedded-log.ts");
  return openEmbeddedLog({ dir: config.dataDir, settings });
}
