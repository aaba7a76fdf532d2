import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../scripts/size.mjs", import.meta.url));

test("what a browser loads stays small", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  // much less would mean that something is not in the bundle
  expect(Number.parseInt(stdout, 10)).toBeGreaterThan(14_000);
});
