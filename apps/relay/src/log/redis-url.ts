/** `REDIS_URL`: where Redis is, and how to speak of it without its password. */
import type { RedisOptions } from "ioredis";
import { LogError } from "./event-log.ts";

export interface RedisAddress {
  readonly options: Pick<RedisOptions, "host" | "port" | "username" | "password" | "db" | "tls">;
  readonly db: number;
  /** For messages: `Redis at <host>:<port> (REDIS_URL)`. */
  readonly label: string;
}

const redisUrlForm = "redis://[user:password@]host:port[/database], or rediss:// for TLS";

/** Throws `LogError` `unusable` if it is not one; the message never quotes it. */
export function parseRedisUrl(text: string): RedisAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const db = /^\/?([0-9]{0,4})$/.exec(url?.pathname ?? "no");
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === "" || db === null) {
    throw malformed();
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? 6379 : Number(url.port);
  const number = Number(db[1] ?? 0);
  return {
    options: {
      host,
      port,
      db: number,
      ...(url.username === "" ? {} : { username: decode(url.username) }),
      ...(url.password === "" ? {} : { password: decode(url.password) }),
      ...(url.protocol === "rediss:" ? { tls: {} } : {}),
    },
    db: number,
    label: `Redis at ${url.hostname}:${port} (REDIS_URL)`,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed();
  }
}

function malformed(): LogError {
  return new LogError("unusable", `REDIS_URL is not of the form ${redisUrlForm}; its value is not shown`);
}
