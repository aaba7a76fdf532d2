/** The Redis log behind real Sentinels. */
import { describe, expect, it } from "vitest";
import { failoverTests } from "./redis-failover.test-suite.ts";
import { accepted, endWithTest, lines, open, refusal, start } from "./redis-log.test-harness.ts";
import { masterName, startSentinel } from "./redis-sentinel.test-helper.ts";
import { freePort } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

endWithTest();

describe("Redis behind Sentinels", () => {
  failoverTests(() => startSentinel());

  it("is found with passwords for both, through one Sentinel of which the others are learned", {
    timeout: 60_000,
  }, async () => {
    const group = await startSentinel({ replicas: 1, password: "data:p@ss", sentinelPassword: "watch/p@ss" });
    try {
      const [first, ...others] = group.sentinels;
      if (first === undefined) return;
      const login = `:${encodeURIComponent("data:p@ss")}@`;
      const query = `sentinel_password=${encodeURIComponent("watch/p@ss")}`;
      const log = await open(`redis+sentinel://${login}127.0.0.1:${first.port}/${masterName}?${query}`, {
        commandTimeoutMs: 1_500,
      });
      await accepted(log);
      // the one that is named in the URL is gone: those that were learned tell of the failover
      await until(async () => (await clientsOf(others)).every((count) => count > 0));
      await first.kill();
      const old = await group.master();
      await old.kill();
      await group.failedOver(old);
      await accepted(log);
      expect(lines.join("\n")).not.toMatch(/p@ss|p%40ss/);
    } finally {
      await group.stop();
    }
  });
});

async function clientsOf(
  sentinels: readonly { cli(...args: string[]): Promise<string> }[],
): Promise<number[]> {
  const lists = await Promise.all(sentinels.map((one) => one.cli("CLIENT", "LIST")));
  return lists.map((list) => list.match(/name=sharmo-relay-guide/g)?.length ?? 0);
}

describe("Sentinels that do not help", () => {
  it("and are not there: the error says where they should be, and they are found once they are", async () => {
    const port = await freePort();
    const log = await open(`redis+sentinel://:secret@127.0.0.1:${port}/main`, { commandTimeoutMs: 700 });
    const error = await refusal(log.state(undefined));
    expect(error).toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        new RegExp(
          `^Redis of the Sentinels at 127.0.0.1:${port} \\(REDIS_URL\\) cannot be reached .*ECONNREFUSED`,
        ),
      ),
    });
    expect(lines.join("\n")).not.toContain("secret");
    const server = await start({ password: "secret" });
    await start({ port, sentinel: `sentinel monitor main 127.0.0.1 ${server.port} 1\n` });
    await accepted(log);
  });
});
