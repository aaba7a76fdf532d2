import { expect, it } from "vitest";
import { requestsIn } from "./recovery.ts";

it("counts what was asked of Redis, not what its scripts did within", () => {
  const stats = [
    "# Commandstats",
    "cmdstat_hset:calls=80,usec=5,usec_per_call=0.06,rejected_calls=0,failed_calls=0",
    "cmdstat_evalsha:calls=21,usec=900,usec_per_call=42.86,rejected_calls=0,failed_calls=0",
    "cmdstat_eval:calls=3,usec=300,usec_per_call=100.00,rejected_calls=0,failed_calls=0",
    "cmdstat_client|setname:calls=2,usec=3,usec_per_call=1.50,rejected_calls=0,failed_calls=0",
    "cmdstat_info:calls=4,usec=100,usec_per_call=25.00,rejected_calls=0,failed_calls=0",
  ].join("\r\n");
  expect(requestsIn(stats)).toBe(28);
  expect(requestsIn("")).toBe(0);
});
