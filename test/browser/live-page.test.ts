import { mkdtemp, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { launchChromium } from "../support/chromium.ts";
import { leftovers } from "../support/leftovers.ts";
import { live, openPage, postPrice as price, received, row, rows, shown } from "../support/page.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { startSimulator } from "../support/simulator.ts";
import { makeEvent, postWebhook, send } from "../support/webhook.ts";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const ended = leftovers();
let browser: Browser;
let relay: TestRelay;

beforeAll(async () => {
  browser = await launchChromium();
  ended(() => browser.close());
  relay = await startRelay();
  ended(async () => void (await relay.stop()));
});

const sale = (to: TestRelay, token: string, amount: number) =>
  send(to, "transaction.completed", {
    transaction_id: `txn_${amount}`,
    transaction_type: "purchase",
    token_id: token,
    amount,
    price_per_token: 10,
    total_amount: amount * 10,
    buyer_address: "0x52908400098527886E0F7030069857D2E4169EE7",
    seller_address: "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    timestamp: new Date().toISOString(),
    status: "completed",
  });

describe("the first page", () => {
  it("waits for the first event, and shows it live when it is posted to the real endpoint", async () => {
    const empty = await startRelay();
    ended(async () => void (await empty.stop()));
    const { page, trouble } = await openPage(browser, empty.url);
    await live(page);
    await page.getByText("Waiting for the first event").waitFor();
    await page.getByText(`npm run sim -- run --url ${empty.url}/api/sharmo-webhooks`).waitFor();

    const first = makeEvent("token.price_changed", {
      token_id: "tok_1",
      symbol: "ONE",
      current_price: 101.5,
    });
    const answer = await postWebhook(empty, first, { scheme: "timestamped" });
    expect(answer).toMatchObject({ status: 200, body: { status: "accepted", id: first.id } });
    await shown(row(page, "tok_1"), "101.50");
    await shown(received(page), /^1$/);
    expect(await row(page, "tok_1").textContent()).not.toContain("NaN");
    expect(trouble).toEqual([]);
  });

  it("flashes a price up and down, and says by how much it changed", async () => {
    const { page } = await openPage(browser, relay.url);
    await live(page);
    await price(relay, "flash", 100);
    await shown(row(page, "flash"), "100.00");
    expect(await row(page, "flash").locator("[data-flash]").count()).toBe(0);

    await price(relay, "flash", 102);
    await row(page, "flash").locator('[data-flash="up"]').filter({ hasText: "102.00" }).waitFor();
    await shown(row(page, "flash"), "▲+2.00%");
    await price(relay, "flash", 51);
    const down = row(page, "flash").locator('[data-flash="down"]');
    await down.filter({ hasText: "51.00" }).waitFor();
    await shown(row(page, "flash"), "▼−50.00%");
    expect(await down.evaluate((value) => getComputedStyle(value, "::before").animationName)).toContain(
      "flash-down",
    );
  });

  it("gives colour instead of movement to those who want none", async () => {
    const { page } = await openPage(browser, relay.url, { reducedMotion: "reduce" });
    await live(page);
    await price(relay, "calm", 100);
    await price(relay, "calm", 102);
    const value = row(page, "calm").locator('[data-flash="up"]');
    await value.waitFor();
    const plain = await page.locator("body").evaluate((body) => getComputedStyle(body).color);
    const style = await value.evaluate((element) => {
      const { color } = getComputedStyle(element);
      const { animationName } = getComputedStyle(element, "::before");
      return { animationName, color };
    });
    expect(style.animationName).toBe("none");
    expect(style.color).not.toBe(plain);
  });

  it("shows the stored values after a reload, before any new event", async () => {
    await price(relay, "kept_b", 20.25);
    await price(relay, "kept_a", 10.5);
    const { page } = await openPage(browser, relay.url);
    for (let visit = 0; visit < 2; visit++) {
      await shown(row(page, "kept_a"), "10.50");
      await shown(row(page, "kept_b"), "20.25");
      expect(await received(page).textContent()).toBe("0");
      expect(await row(page, "kept_a").locator("[data-flash]").count()).toBe(0);
      const order = await page
        .locator("tr[data-token]")
        .evaluateAll((list) => list.map((tr) => tr.dataset["token"]));
      expect(order.indexOf("kept_a")).toBeLessThan(order.indexOf("kept_b"));
      await page.reload();
    }
  });

  it("shows a dash for a price that an event does not name", async () => {
    await send(relay, "token.price_changed", { token_id: "nameless" });
    const { page } = await openPage(browser, relay.url);
    await row(page, "nameless").waitFor();
    expect(await row(page, "nameless").locator("td").first().textContent()).toBe("—");
    expect(await page.locator("body").textContent()).not.toContain("NaN");
  });

  it("lists transactions and transfers, the newest on top", async () => {
    const { page } = await openPage(browser, relay.url);
    await live(page);
    await price(relay, "sold", 10);
    await sale(relay, "sold", 12.5);
    await send(relay, "token.transferred", {
      token_id: "sold",
      from_address: "0x52908400098527886E0F7030069857D2E4169EE7",
      to_address: "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
      amount: 12.5,
      transaction_id: "txn_12.5",
    });
    await shown(rows(page).first(), "Transfer");
    await shown(rows(page).nth(1), "Purchase");
    const text = (await rows(page).nth(1).textContent()) ?? "";
    for (const part of ["Completed", "12.5", "SOLD", "125.00", "0x8617…070D", "0x5290…9EE7"]) {
      expect(text).toContain(part);
    }
  });

  it("holds the list while it is pointed at, and shows what is new on demand", async () => {
    const { page } = await openPage(browser, relay.url);
    await live(page);
    await sale(relay, "held", 1);
    await shown(rows(page).first(), /HELD|held/);
    const before = await rows(page).first().getAttribute("data-event");
    await rows(page).first().hover();
    await sale(relay, "held", 2);
    await sale(relay, "held", 3);
    const button = page.getByRole("button", { name: "2 new" });
    await button.waitFor();
    expect(await rows(page).first().getAttribute("data-event")).toBe(before);
    await button.click();
    await shown(rows(page).first(), "30.00");
  });

  it("has no serious accessibility violations, in light, dark and narrow", async () => {
    await price(relay, "seen", 10);
    await sale(relay, "seen", 4);
    for (const options of [
      { colorScheme: "light" },
      { colorScheme: "dark" },
      { colorScheme: "dark", viewport: { width: 360, height: 640 } },
    ] as const) {
      // axe is put into the page, which the page's own policy rightly forbids.
      const { page } = await openPage(browser, relay.url, { ...options, bypassCSP: true });
      await live(page);
      await price(relay, "seen", 11);
      await price(relay, "seen", 10);
      await row(page, "seen").locator("[data-flash]").waitFor();
      // While it flashes, letters stand on a colour for a moment; contrast is judged at rest.
      await page.waitForTimeout(1_600);
      expect(await violations(page)).toEqual([]);
    }
  });
});

async function violations(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: axe });
  const found: unknown = await page.evaluate(
    "axe.run().then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact))" +
      ".map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' ')))",
  );
  return found as string[];
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sharmo-page-test-"));
  ended(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The page comes back by itself, but up to 20 s later; perhaps it is back already. */
async function tryNow(page: Page): Promise<void> {
  await page
    .getByRole("button", { name: "Try now" })
    .click({ timeout: 2_000 })
    .catch(() => {});
}

describe("when the relay goes away", () => {
  it("says so in words, and goes on with what was missed when it is back", async () => {
    const first = await startRelay();
    ended(async () => void (await first.kill()));
    const { page, trouble } = await openPage(browser, first.url);
    await live(page);
    await price(first, "back", 1);
    await shown(row(page, "back"), "1.00");

    // Its folder is removed with it: the one that follows has another log and another secret.
    await first.kill();
    await page
      .getByRole("status")
      .filter({ hasText: /^Reconnecting/ })
      .waitFor();
    await page.getByText(/The page tries again by itself/).waitFor();

    const second = await startRelay({ port: first.port });
    ended(async () => void (await second.stop()));
    await tryNow(page);
    await price(second, "back", 2);
    await page.getByText(/^Some price changes.* between .* missing: the relay’s log/).waitFor();
    await price(second, "back", 3);
    await shown(row(page, "back"), "3.00");

    await page.getByRole("button", { name: "Reload values" }).click();
    await page.getByText(/Some price changes/).waitFor({ state: "detached" });
    await live(page);
    expect(trouble).toEqual([]);
  });

  it("takes up the same log without a gap", async () => {
    const dataDir = await temporaryFolder();
    const first = await startRelay({ dataDir });
    ended(async () => void (await first.kill()));
    const { page } = await openPage(browser, first.url);
    await live(page);
    await price(first, "same", 1);
    await shown(row(page, "same"), "1.00");
    await first.kill();
    const second = await startRelay({ dataDir, port: first.port });
    ended(async () => void (await second.stop()));
    await tryNow(page);
    await price(second, "same", 2);
    await shown(row(page, "same"), "2.00");
    await live(page);
    expect(await page.getByText("missing:").count()).toBe(0);
  });
});

/** The README's picture; made only on demand, since it differs each time. */
if (process.env["UPDATE_PICTURE"] === "1") {
  it("has its picture taken in a busy market", { timeout: 300_000 }, async () => {
    const market = await startRelay();
    ended(async () => void (await market.stop()));
    const { page } = await openPage(browser, market.url);
    await live(page);
    // Long enough for every token to be listed and every line to be drawn.
    const simulator = startSimulator(market, ["--tokens", "16", "--rate", "18"]);
    ended(() => simulator.stop());
    await page.waitForTimeout(90_000);
    const path = resolve(import.meta.dirname, "../../docs/live-page.png");
    await page.screenshot({ path });
    expect((await stat(path)).size).toBeLessThan(250_000);
  });
}
