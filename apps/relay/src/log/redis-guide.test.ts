/** Real Sentinels that do not agree: each watches a master of its own, under one name, with an epoch of its own. */
import { afterEach, describe, expect, it } from "vitest";
import { Guide } from "./redis-guide.ts";
import { type RedisServer, startRedis } from "./redis-server.test-helper.ts";
import { until } from "./until.test-helper.ts";

const name = "main";
const leftovers: (() => unknown)[] = [];
afterEach(async () => {
  for (const leave of leftovers.splice(0).reverse()) await leave();
});

/** What it says of the master need not be there. */
async function sentinel(masterPort: number, epoch: number): Promise<RedisServer> {
  const server = await startRedis({
    sentinel: [
      `sentinel monitor ${name} 127.0.0.1 ${masterPort} 1`,
      `sentinel config-epoch ${name} ${epoch}`,
      "",
    ].join("\n"),
  });
  leftovers.push(() => server.stop());
  return server;
}

function guideOf(...servers: readonly RedisServer[]): Guide {
  const hosts = servers.map(({ port }) => ({ host: "127.0.0.1", port }));
  const guide = new Guide({ kind: "sentinel", hosts, name, login: {} }, undefined);
  const follower = { follow: () => undefined };
  guide.join(follower);
  leftovers.push(() => guide.leave(follower));
  return guide;
}

describe("Sentinels that do not agree", () => {
  it("are believed by the epoch of what they say, in whatever order they answer", async () => {
    const [older, newer] = [await sentinel(4_001, 3), await sentinel(4_002, 5)];
    for (const guide of [guideOf(older, newer), guideOf(newer, older)]) {
      expect(await guide.find()).toEqual({ host: "127.0.0.1", port: 4_002 });
    }
  });

  it("do not lead back to a master that was replaced, once they told of it", async () => {
    const older = [await sentinel(4_001, 3), await sentinel(4_001, 3)];
    const newer = await sentinel(4_002, 5);
    const guide = guideOf(newer, ...older);
    // Nothing was seen yet: what most say is taken, whatever it is.
    const first = await guide.find();
    expect([4_001, 4_002]).toContain(first.port);
    const findsNewer = async () => (await guide.find()).port === 4_002;
    await until(findsNewer);
    newer.pause();
    leftovers.push(() => newer.resume());
    await expect(guide.find()).rejects.toThrow(/nobody tells who the master is: .* old/);
    newer.resume();
    await until(findsNewer);
  });

  it("are passed over when they hang, as long as one answers", async () => {
    const [first, second] = [await sentinel(4_001, 3), await sentinel(4_001, 3)];
    const guide = guideOf(first, second);
    first.pause();
    leftovers.push(() => first.resume());
    expect(await guide.find()).toMatchObject({ port: 4_001 });
  });

  it("say so when they know no master of that name", async () => {
    const server = await sentinel(4_001, 3);
    const hosts = [{ host: "127.0.0.1", port: server.port }];
    const guide = new Guide({ kind: "sentinel", hosts, name: "other", login: {} }, undefined);
    await expect(guide.find()).rejects.toThrow(/knows no master of that name/);
    const follower = { follow: () => undefined };
    guide.join(follower);
    guide.leave(follower);
  });
});
