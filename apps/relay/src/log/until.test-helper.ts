/** Waiting for a condition, never for a time. */
import { setTimeout as sleep } from "node:timers/promises";

/** Resolves with what `check` gives as soon as that is neither false nor undefined and does not throw. */
export async function until<T>(
  check: () => T | Promise<T>,
  options: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<Exclude<T, false | undefined>> {
  const { timeoutMs = 10_000, everyMs = 10 } = options;
  const end = performance.now() + timeoutMs;
  for (;;) {
    let problem: unknown = new Error(`not so after ${timeoutMs} ms`);
    try {
      const value = await check();
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
    } catch (error) {
      problem = error;
    }
    if (performance.now() > end) throw problem;
    await sleep(everyMs);
  }
}
