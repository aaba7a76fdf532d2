import type { Browser, Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { launchChromium } from "../support/chromium.ts";
import { leftovers } from "../support/leftovers.ts";
import { live, openPage, postPrice as price, row, shown } from "../support/page.ts";
import { startRelay, type TestRelay } from "../support/relay.ts";
import { token } from "../support/test-token.ts";

const ended = leftovers();
let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
  ended(() => browser.close());
});

describe("in production", () => {
  const env = {
    NODE_ENV: "production",
    JWT_SECRET: "a-secret-for-tests-that-is-at-least-32-bytes-long",
    SHARMO_WEBHOOK_SECRETS: "whsec_test0123456789abcdef",
  };
  let strict: TestRelay;

  beforeAll(async () => {
    strict = await startRelay({ env });
    ended(async () => void (await strict.stop()));
  });

  async function signIn(page: Page, token: string): Promise<void> {
    await page.getByLabel("Access token").fill(token);
    await page.getByRole("button", { name: "Show live events" }).click();
  }

  it("shows prices, and names what the token does not grant", async () => {
    const { page, trouble } = await openPage(browser, strict.url);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    const given = await token({ secret: strict.secrets.jwt });
    await signIn(page, given);
    await live(page);
    await page.getByText("Your token does not grant transaction.*").waitFor();
    await price(strict, "public", 42);
    await shown(row(page, "public"), "42.00");

    const kept: string = await page.evaluate(
      "JSON.stringify([localStorage, sessionStorage, document.cookie])",
    );
    expect(kept).not.toContain(given);
    expect(page.url()).not.toContain(given);
    expect(trouble).toEqual([]);
    await page.reload();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  it("says why a token will not do", async () => {
    const { page } = await openPage(browser, strict.url);
    const problem = page.getByRole("alert");
    await signIn(page, "not a token");
    await shown(problem, "This is not a JWT");
    await signIn(page, await token({ secret: strict.secrets.jwt, lifetime: -60 }));
    await shown(problem, "This token expired");
    await signIn(page, await token({ secret: "another-secret-that-the-relay-does-not-know" }));
    await shown(problem, "The relay does not accept this token");
    await signIn(page, await token({ secret: strict.secrets.jwt }));
    await live(page);
  });
});
