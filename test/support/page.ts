/** The relay's page in a fresh browser context, with an eye on what must never happen in it. */
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { onTestFinished } from "vitest";
import type { TestRelay } from "./relay.ts";
import { send } from "./webhook.ts";

interface OpenPage {
  readonly page: Page;
  /** Uncaught errors and violations of the page's policy so far. */
  readonly trouble: readonly string[];
}

/** Closes the context when the test ends. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const trouble: string[] = [];
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && /Content Security Policy|Refused to|Uncaught/.test(text))
      trouble.push(text);
  });
  await page.goto(url);
  return { page, trouble };
}

export const row = (page: Page, token: string): Locator => page.locator(`tr[data-token="${token}"]`);
export const rows = (page: Page): Locator => page.locator("li[data-event]");
export const received = (page: Page): Locator => page.getByText("Events received").locator("xpath=../dd");

/** Exactly `Live`: no other word of the badge begins like it. */
export async function live(page: Page): Promise<void> {
  await page
    .getByRole("status")
    .filter({ hasText: /^Live\./ })
    .waitFor();
}

/** Until the relay has delivered to this page. */
export async function shown(locator: Locator, text: string | RegExp): Promise<void> {
  await locator.filter({ hasText: text }).waitFor();
}

export const postPrice = (to: TestRelay, token: string, value: number): Promise<unknown> =>
  send(to, "token.price_changed", { token_id: token, symbol: token.toUpperCase(), current_price: value });
