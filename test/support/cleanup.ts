/** What a test starts, ends with it: in the other order, and each even if another fails. */
import { onTestFinished } from "vitest";

export function endWithTest(end: () => Promise<unknown> | unknown): void {
  onTestFinished(async () => {
    await end();
  });
}
