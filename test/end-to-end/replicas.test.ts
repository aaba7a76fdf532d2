/** A relay behind Sentinels that waits for a replica, through the loss of its master. */
import { expect, test } from "vitest";
import { loseWrites } from "../../apps/relay/src/log/redis-group.test-helper.ts";
import { startSentinel } from "../../apps/relay/src/log/redis-sentinel.test-helper.ts";
import { endWithTest } from "../support/cleanup.ts";
import { startNode } from "../support/node.ts";
import { until } from "../support/until.ts";
import { makeEvent, postTo } from "../support/webhook.ts";

test("a webhook is answered 200 only when a replica has its event, and then a failover does not lose it", async () => {
  const group = await startSentinel({ replicas: 1 });
  endWithTest(() => group.stop());
  const node = await startNode({ env: { REDIS_URL: group.url, RELAY_MIN_REPLICAS: "1" } });
  const kept = makeEvent("property.updated", { id: "p_1", property_id: "p_1" });
  const late = makeEvent("property.updated", { id: "p_2", property_id: "p_2" });
  expect(await postTo(node.url, kept)).toMatchObject({ status: 200, body: { status: "accepted" } });

  const { old } = await loseWrites(group, async () => {
    const asked = performance.now();
    const answer = await postTo(node.url, late);
    expect(answer).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    expect(answer.headers.get("retry-after")).not.toBeNull();
    expect(performance.now() - asked).toBeLessThan(2_000);
    const readiness = await until(async () => {
      const response = await fetch(`${node.url}/readyz`);
      return response.status === 503 && response.text();
    });
    expect(readiness).toContain("has 0 of 1 replicas (RELAY_MIN_REPLICAS)");
  });
  await group.failedOver(old);
  await old.restart({ keepData: false });
  await until(async () => (await fetch(`${node.url}/readyz`)).ok, { within: 20_000 });
  expect(await postTo(node.url, kept)).toMatchObject({ status: 200, body: { status: "duplicate" } });
  expect(await postTo(node.url, late)).toMatchObject({ status: 200 });
});
