/**
 * The contract of `event-log.ts` as tests. Every implementation runs all of them:
 *
 *     eventLogContract("embedded", { shared: false, create: async (settings) => … });
 */
import { describe } from "vitest";
import { acceptContract } from "./contract.test-accept.ts";
import { announcementContract } from "./contract.test-announcements.ts";
import { disposing, type LogHarness } from "./contract.test-harness.ts";
import { latestContract } from "./contract.test-latest.ts";
import { lifeContract, sharingContract } from "./contract.test-life.ts";
import { quarantineContract } from "./contract.test-quarantine.ts";
import { readContract } from "./contract.test-read.ts";
import { repairContract } from "./contract.test-repair.ts";
import { retentionContract } from "./contract.test-retention.ts";
import { togetherContract } from "./contract.test-together.ts";

export function eventLogContract(name: string, harness: LogHarness): void {
  describe(`the ${name} log`, () => {
    const create = disposing(harness);
    acceptContract(create);
    togetherContract(create);
    readContract(create);
    announcementContract(create);
    lifeContract(create);
    if (harness.shared) sharingContract(create);
    repairContract(create);
    retentionContract(create);
    latestContract(create);
    quarantineContract(create);
  });
}
