/** What a newcomer does: clone, `npm start`, look at the page, Ctrl-C, `npm start` again. Clones the last commit. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { launchChromium } from "../support/chromium.ts";
import { leftovers } from "../support/leftovers.ts";
import { openPage } from "../support/page.ts";
import { until } from "../support/until.ts";

const root = resolve(import.meta.dirname, "../..");
const ended = leftovers();
let browser: Browser;
let clone: string;

beforeAll(async () => {
  browser = await launchChromium();
  ended(() => browser.close());
  clone = await mkdtemp(join(tmpdir(), "sharmo-relay-clone-"));
  ended(() => rm(clone, { recursive: true, force: true }));
  execFileSync("git", ["clone", "--quiet", root, clone]);
});

interface Started {
  readonly url: string;
  readonly output: () => string;
  /** Ctrl-C; answers the exit code and how long it took, in milliseconds. */
  interrupt(): Promise<{ code: number | null; ms: number }>;
}

async function npmStart(...args: string[]): Promise<Started> {
  const port = await freePort();
  const names = Object.keys(process.env).filter((name) =>
    /^(RELAY_|WEBHOOK_|JWT_|SHARMO_|REDIS_URL$|NODE_|VITEST|npm_)/.test(name),
  );
  const env = {
    ...process.env,
    ...Object.fromEntries(names.map((name) => [name, undefined])),
    PORT: String(port),
  };
  const child: ChildProcess = spawn("npm", ["start", "--", ...args], {
    cwd: clone,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exit = once(child, "exit") as Promise<[number | null]>;
  ended(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exit;
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await until(async () => (await fetch(`${url}/readyz`)).ok, {
      within: 100_000,
      every: 100,
      what: "npm start",
    });
  } catch (cause) {
    throw new Error(`npm start did not come up; it wrote:\n${output}`, { cause });
  }
  return {
    url,
    output: () => output,
    async interrupt() {
      const before = performance.now();
      child.kill("SIGINT");
      const [code] = await exit;
      return { code, ms: performance.now() - before };
    },
  };
}

describe("a fresh clone", () => {
  it("shows live events after npm start, ends with Ctrl-C, and shows what it stored when started again", {
    timeout: 180_000,
  }, async () => {
    const first = await npmStart();
    const { page } = await openPage(browser, first.url);
    await page.locator("tr[data-token]").first().waitFor({ timeout: 60_000 });
    const stopped = await first.interrupt();
    expect(stopped.code, first.output()).toBe(0);
    expect(stopped.ms).toBeLessThan(3_000);
    await page.close();

    const second = await npmStart("--no-simulator");
    const again = await openPage(browser, second.url);
    await again.page.locator("tr[data-token]").first().waitFor({ timeout: 30_000 });
    expect(await again.page.getByText("Events received").locator("xpath=../dd").textContent()).toBe("0");
    expect((await second.interrupt()).code).toBe(0);

    const changed = execFileSync("git", ["status", "--porcelain"], { cwd: clone, encoding: "utf8" });
    expect(changed, "the working tree stays clean").toBe("");
  });
});
