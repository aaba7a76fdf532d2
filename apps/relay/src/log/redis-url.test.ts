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

  it("may have an @ in its password", () => {
    expect(parseRedisUrl("redis://:p@ss@cache").options).toMatchObject({ host: "cache", password: "p@ss" });
  });

  it("is spoken of without user and password", () => {
    expect(parseRedisUrl("redis://relay:secret@cache:6380/3").label).toBe("Redis at cache:6380 (REDIS_URL)");
  });

  it.each([
    ["", "begins with none of"],
    ["cache:6379", "begins with none of"],
    ["http://cache", "begins with none of"],
    ["redis+ring://cache", "begins with none of"],
    ["redis://", "names no host"],
    ["redis://:secret@cache:0", "names no host, or one that is none"],
    ["redis://:secret@cache:99999", "names no host, or one that is none"],
    ["redis://:secret@cache/x", "has a path that is no database number"],
    ["redis://:secret@cache/1/2", "has a path that is no database number"],
    ["redis://:%zzsecret@cache", "has a user or a password that is not URI-encoded"],
    ["redis://:secret@a:1,b:2", "names several hosts"],
    ["redis://:secret@cache?db=1", "has something after a ?"],
    ["redis+sentinel://:secret@a:1,b:2", "does not name the master"],
    ["redis+sentinel://:secret@a:1,b:2/", "does not name the master"],
    ["redis+sentinel://:secret@a,,b/main", "names no host, or one that is none"],
    ["redis+sentinel://:secret@a/main/x", "has a path that is no database number"],
    ["redis+sentinel://:secret@a/main?password=secret", "other than sentinel_user and sentinel_password"],
    ["redis+cluster://:secret@a:1,b:2/3", "names a database, and a Cluster has only one"],
    ["redis+cluster://:secret@a:1?sentinel_password=secret", "has something after a ?"],
  ])("is refused without being quoted: %s", (url, problem) => {
    expect(() => parseRedisUrl(url)).toThrow(LogError);
    expect(() => parseRedisUrl(url)).toThrow(problem);
    expect(() => parseRedisUrl(url)).toThrow(
      "redis+sentinel://[user:password@]host:port[,host:port…]/<master name>",
    );
    expect(() => parseRedisUrl(url)).not.toThrow(/secret/);
  });
});

describe("REDIS_URL of several servers", () => {
  const hosts = [
    { host: "a", port: 26_380 },
    { host: "10.0.0.2", port: 26_379 },
    { host: "::1", port: 26_381 },
  ];

  it("names Sentinels, the master they watch, and what logs in to whom", () => {
    const url =
      "redis+sentinel://relay:s3cret@a:26380,10.0.0.2,[::1]:26381/main/2?sentinel_user=w&sentinel_password=w%2Fp";
    expect(parseRedisUrl(url)).toEqual({
      options: { db: 2, username: "relay", password: "s3cret" },
      guides: { kind: "sentinel", hosts, name: "main", login: { username: "w", password: "w/p" } },
      db: 2,
      label: "Redis of the Sentinels at a:26380,10.0.0.2:26379,[::1]:26381 (REDIS_URL)",
    });
  });

  it("names nodes of a Cluster, and one login for all", () => {
    expect(parseRedisUrl("rediss+cluster://:s3cret@a:7000,b")).toEqual({
      options: { db: 0, password: "s3cret", tls: {} },
      guides: {
        kind: "cluster",
        hosts: [
          { host: "a", port: 7_000 },
          { host: "b", port: 6_379 },
        ],
        login: { password: "s3cret" },
      },
      db: 0,
      label: "Redis Cluster at a:7000,b:6379 (REDIS_URL)",
    });
  });
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
    ["UNBLOCKED force unblock from blocking operation, instance state changed", "not_writable"],
    ["MOVED 10684 127.0.0.1:7001", "unavailable"],
    ["nobody tells who the master is: a:26379: it knows no master of that name", "unavailable"],
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
