/** What the tests of a Redis in trouble share. What they start ends with the test. */
import { afterEach, expect } from "vitest";
import { contractSettings, type LogHarness, newEvent } from "./contract.test-harness.ts";
import { type Accepted, type EventLog, LogError, type LogSettings } from "./event-log.ts";
import { openRedisLog, type RedisLog, type RedisLogOptions } from "./redis-log.ts";
import { type RedisServer, type RedisServerOptions, startRedis } from "./redis-server.test-helper.ts";
import { startProxy, type TcpProxy } from "./tcp-proxy.test-helper.ts";
import { until } from "./until.test-helper.ts";

const leftovers: (() => Promise<void>)[] = [];

/** What the logs told a person. */
export const lines: string[] = [];

/** Call it once in a file. */
export function endWithTest(): void {
  afterEach(async () => {
    lines.length = 0;
    for (const leave of leftovers.splice(0).reverse()) await leave();
  });
}

export async function start(options?: RedisServerOptions): Promise<RedisServer> {
  const server = await startRedis(options);
  leftovers.push(() => server.stop());
  return server;
}

export async function proxyTo(server: RedisServer): Promise<TcpProxy> {
  const proxy = await startProxy(server.port);
  leftovers.push(() => proxy.close());
  return proxy;
}

const logger = {
  info: (line: string): void => void lines.push(line),
  warn: (line: string): void => void lines.push(line),
};

export async function open(
  url: string,
  settings: Partial<LogSettings> = {},
  options: Pick<RedisLogOptions, "minReplicas"> = {},
): Promise<RedisLog> {
  const log = await openRedisLog({
    url,
    settings: { ...contractSettings, ...settings },
    ...options,
    logger,
  });
  leftovers.push(() => log.close());
  return log;
}

/** For the contract's tests: logs in one Redis, which is emptied for each. */
export function redisHarness(redis: { url(): string; empty(): Promise<unknown> }): LogHarness {
  return {
    shared: true,
    create: async (settings) => {
      await redis.empty();
      const logs: RedisLog[] = [];
      const openOne = async (changed?: typeof settings) => {
        const log = await openRedisLog({
          url: redis.url(),
          settings: { ...contractSettings, ...settings, ...changed },
        });
        logs.push(log);
        return log;
      };
      let log = await openOne();
      return {
        log,
        reopen: async (changed) => {
          await log.close();
          log = await openOne(changed);
          return log;
        },
        second: openOne,
        dispose: async () => {
          await Promise.all(logs.map((one) => one.close()));
        },
      };
    },
  };
}

/** Every call that needs Redis. */
export function calls(log: EventLog): Record<string, () => Promise<unknown>> {
  return {
    accept: () => log.accept(newEvent(), undefined),
    state: () => log.state(undefined),
    readRange: () => log.readRange(0, 10, undefined),
    readLatest: () => log.readLatest(undefined),
    readEvent: () => log.readEvent("evt"),
    trim: () => log.trim(10),
    put: () => log.quarantine.put({ id: "q", reason: "schema", message: "m", body: Buffer.from("{}") }),
    list: () => log.quarantine.list(1),
    remove: () => log.quarantine.remove("q"),
  };
}

/** The error that a call rejects with. */
export async function refusal(call: Promise<unknown>): Promise<LogError> {
  const error: unknown = await call.then(
    () => new Error("it was not refused"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof LogError)) throw error;
  return error;
}

/** Codes of the warnings; `!` marks one that blocks. */
export async function warningsOf(log: EventLog): Promise<string[]> {
  return (await log.state(undefined)).warnings.map(({ code, blocking }) => (blocking ? `${code}!` : code));
}

/** The first event that is accepted, as soon as one is. */
export function accepted(log: EventLog): Promise<Extract<Accepted, { status: "accepted" }>> {
  return until(async () => {
    const answer = await log.accept(newEvent(), undefined);
    return answer.status === "accepted" && answer;
  });
}

/** Every key with its serialised value. */
export async function contents(server: RedisServer): Promise<Record<string, string>> {
  const keys = (await server.cli("KEYS", "*")).split("\n").filter((key) => key !== "");
  const values = await Promise.all(keys.map(async (key) => [key, await server.cli("DUMP", key)] as const));
  expect(values.length).toBeGreaterThan(0);
  return Object.fromEntries(values.sort());
}
