/** `REDIS_URL`: where Redis is, and how to speak of it without its password. */
import type { RedisOptions } from "ioredis";
import { LogError } from "./event-log.ts";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

interface Login {
  readonly username?: string;
  readonly password?: string;
}

/** Who is asked which server is the master, where that is not said in the URL. */
export type Guides =
  | {
      readonly kind: "sentinel";
      readonly hosts: readonly HostPort[];
      readonly name: string;
      readonly login: Login;
    }
  | { readonly kind: "cluster"; readonly hosts: readonly HostPort[]; readonly login: Login };

export interface RedisAddress {
  /** Of the server that holds the log; host and port are absent where `guides` name them. */
  readonly options: Pick<RedisOptions, "host" | "port" | "username" | "password" | "db" | "tls">;
  readonly guides?: Guides;
  readonly db: number;
  /** For messages: `Redis at <host>:<port> (REDIS_URL)`. */
  readonly label: string;
}

export type RedisUrl =
  | { readonly ok: true; readonly address: RedisAddress }
  /** `problem` completes "REDIS_URL …" and quotes nothing of it. */
  | { readonly ok: false; readonly problem: string };

export const redisUrlForm: string =
  "redis://[user:password@]host:port[/database], " +
  "redis+sentinel://[user:password@]host:port[,host:port…]/<master name>[/database]" +
  "[?sentinel_user=…&sentinel_password=…], " +
  "redis+cluster://[user:password@]host:port[,host:port…], or rediss… for TLS";

/** Throws `LogError` `unusable` if it is not one; the message never quotes it. */
export function parseRedisUrl(text: string): RedisAddress {
  const read = readRedisUrl(text);
  if (read.ok) return read.address;
  throw new LogError(
    "unusable",
    `REDIS_URL ${read.problem}: it is of the form ${redisUrlForm}; its value is not shown`,
  );
}

const urlShape =
  /^(?<scheme>rediss?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<login>[^/?#]*)@)?(?<hosts>[^@/?#]*)(?<path>[^?#]*)(?:\?(?<query>[^#]*))?$/i;

export function readRedisUrl(text: string): RedisUrl {
  const parts = urlShape.exec(text)?.groups;
  if (parts === undefined) {
    const known = /^rediss?(\+(sentinel|cluster))?:\/\//i.test(text);
    return refused(
      known ? "cannot be read" : "begins with none of redis://, redis+sentinel://, redis+cluster://",
    );
  }
  const kind = parts["kind"]?.toLowerCase();
  const login = readLogin(parts["login"]);
  if (login === undefined) return refused("has a user or a password that is not URI-encoded");
  const hosts = readHosts(parts["hosts"] ?? "", kind === "sentinel" ? 26_379 : 6_379);
  if (hosts === undefined) return refused("names no host, or one that is none");
  const path = (parts["path"] ?? "").replace(/\/$/, "").split("/").slice(1);
  const tls = parts["scheme"]?.toLowerCase() === "rediss" ? { tls: {} } : {};
  const where = hosts.map(print).join(",");

  if (kind === "sentinel") {
    const [name = "", database, ...rest] = path;
    const master = decode(name);
    const db = readDatabase(database);
    if (master === undefined || master === "")
      return refused("does not name the master that the Sentinels watch");
    if (db === undefined || rest.length > 0) return refused(noDatabase);
    const sentinelLogin = readSentinelLogin(parts["query"]);
    if (sentinelLogin === undefined) {
      return refused("has after the ? something other than sentinel_user and sentinel_password");
    }
    return {
      ok: true,
      address: {
        options: { db, ...login, ...tls },
        guides: { kind, hosts, name: master, login: sentinelLogin },
        db,
        label: `Redis of the Sentinels at ${where} (REDIS_URL)`,
      },
    };
  }
  if (parts["query"] !== undefined)
    return refused("has something after a ?, which only redis+sentinel:// takes");
  if (kind === "cluster") {
    if (path.length > 0 && path.join("/") !== "0")
      return refused("names a database, and a Cluster has only one");
    return {
      ok: true,
      address: {
        options: { db: 0, ...login, ...tls },
        guides: { kind, hosts, login },
        db: 0,
        label: `Redis Cluster at ${where} (REDIS_URL)`,
      },
    };
  }
  const [host, another] = hosts;
  const db = readDatabase(path[0]);
  if (host === undefined || another !== undefined) {
    return refused("names several hosts, which only redis+sentinel:// and redis+cluster:// take");
  }
  if (db === undefined || path.length > 1) return refused(noDatabase);
  return {
    ok: true,
    address: { options: { ...host, db, ...login, ...tls }, db, label: `Redis at ${where} (REDIS_URL)` },
  };
}

const noDatabase = "has a path that is no database number";

function refused(problem: string): RedisUrl {
  return { ok: false, problem };
}

function readLogin(text: string | undefined): Login | undefined {
  if (text === undefined) return {};
  const [, user = "", password = ""] = /^([^:]*):?(.*)$/s.exec(text) ?? [];
  return loginOf(decode(user), decode(password));
}

function readSentinelLogin(query: string | undefined): Login | undefined {
  const given = new URLSearchParams(query);
  for (const name of given.keys()) {
    if (name !== "sentinel_user" && name !== "sentinel_password") return undefined;
  }
  return loginOf(given.get("sentinel_user") ?? "", given.get("sentinel_password") ?? "");
}

function loginOf(username: string | undefined, password: string | undefined): Login | undefined {
  if (username === undefined || password === undefined) return undefined;
  return { ...(username === "" ? {} : { username }), ...(password === "" ? {} : { password }) };
}

function readHosts(text: string, defaultPort: number): HostPort[] | undefined {
  const hosts: HostPort[] = [];
  for (const one of text.split(",")) {
    const [, bracketed, plain, digits] =
      /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s%]+))(?::([0-9]{1,5}))?$/i.exec(one) ?? [];
    const host = bracketed ?? plain;
    const port = digits === undefined ? defaultPort : Number(digits);
    if (host === undefined || port < 1 || port > 65_535) return undefined;
    hosts.push({ host, port });
  }
  return hosts;
}

export function print({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function readDatabase(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return 0;
  return /^[0-9]{1,4}$/.test(text) ? Number(text) : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
