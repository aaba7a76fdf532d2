import { describe, expect, it } from "vitest";
import { LogError } from "./event-log.ts";
import { retryDelay } from "./redis-connection.ts";
import { explain, textOf } from "./redis-errors.ts";
import { parseRedisUrl } from "./redis-url.ts";

describe("REDIS_URL", () => {
  it.each([
    ["redis://cache", { host: "cache", port: 6379, db: 0 }],
    ["redis://10.0.0.7:6380/", { host: "10.0.0.7", port: 6380, db: 0 }],
    ["redis://:p%40ss%2Fw@cache:6380/12", { host: "cache", port: 6380, db: 12, password: "p@ss/w" }],
    [
      "redis://relay:secret@cache",
      { host: "cache", port: 6379, db: 0, username: "relay", password: "secret" },
    ],
    ["rediss://cache:6390", { host: "cache", port: 6390, db: 0, tls: {} }],
    ["redis://[::1]:7000", { host: "::1", port: 7000, db: 0 }],
  ])("%s", (url, options) => {
    expect(parseRedisUrl(url).options).toEqual(options);
  });

  it("is spoken of without user and password", () => {
    expect(parseRedisUrl("redis://relay:secret@cache:6380/3").label).toBe("Redis at cache:6380 (REDIS_URL)");
  });

  it.each(["", "cache:6379", "http://cache", "redis://", "redis://:secret@cache/x", "redis://:%zz@cache"])(
    "is refused without being quoted: %s",
    (url) => {
      expect(() => parseRedisUrl(url)).toThrow(LogError);
      expect(() => parseRedisUrl(url)).toThrow(/^REDIS_URL is not of the form redis:\/\/[^%]*$/);
      expect(() => parseRedisUrl(url)).not.toThrow(/secret/);
    },
  );
});

describe("what Redis says", () => {
  it.each([
    ["READONLY You can't write against a read only replica. script: 7f, on @user_script:44.", "not_writable"],
    [
      "OOM command not allowed when used memory > 'maxmemory'. script: 7f, on @user_script:44.",
      "not_writable",
    ],
    ["ERR Error running script (call to f_7f): @user_script:44: -OOM command not allowed", "not_writable"],
    ["MISCONF Redis is configured to save RDB snapshots", "not_writable"],
    ["NOREPLICAS Not enough good replicas to write.", "not_writable"],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", "unusable"],
    ["SHARMO_FORMAT 2", "unusable"],
    ["NOAUTH Authentication required.", "unavailable"],
    ["WRONGPASS invalid username-password pair or user is disabled.", "unavailable"],
    ["LOADING Redis is loading the dataset in memory", "unavailable"],
    ["BUSY Redis is busy running a script.", "unavailable"],
    ["MASTERDOWN Link with MASTER is down", "unavailable"],
    ["TRYAGAIN Multiple keys request during rehashing of slot", "unavailable"],
    ["ERR max number of clients reached", "unavailable"],
    ["connect ECONNREFUSED 127.0.0.1:6379", "unavailable"],
  ])("%s", (text, code) => {
    expect(explain(new Error(text), "Redis")).toMatchObject({
      code,
      message: expect.stringMatching(/^Redis /),
    });
  });

  it("is repeated without the arguments of a command", () => {
    const error = new Error("ERR unknown command 'EVALSHA', with args beginning with: 'secret' '1'\nmore");
    const explained = explain(
      Object.assign(error, { command: { name: "evalsha", args: ["secret"] } }),
      "Redis",
    );
    expect(JSON.stringify([explained.message, explained.cause, String(explained.cause)])).not.toContain(
      "secret",
    );
    expect(explained.cause).not.toHaveProperty("command");
  });

  it("is found in an error that holds one for each address", () => {
    const error = new AggregateError([new Error("connect ECONNREFUSED ::1:6379")], "");
    expect(textOf(error)).toBe("connect ECONNREFUSED ::1:6379");
  });
});

describe("the time before the next attempt", () => {
  it("is anything up to a ceiling that doubles, from 50 ms to 2 s", () => {
    for (let attempt = 1; attempt < 40; attempt++) {
      expect(retryDelay(attempt, () => 0)).toBe(50);
      expect(retryDelay(attempt, () => 0.999_999)).toBeLessThanOrEqual(Math.min(2_000, 50 * 2 ** attempt));
    }
    expect(retryDelay(30, () => 0.999_999)).toBe(1_999);
  });
});
