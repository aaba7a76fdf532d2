/** Waits for a condition, never for a time. */

export interface UntilOptions {
  /** Longest wait, in milliseconds. */
  readonly within?: number;
  /** Pause between looks, in milliseconds. */
  readonly every?: number;
  /** What is waited for, for the message. */
  readonly what?: string;
}

/** Resolves with the first answer that is not false or undefined; what is thrown counts as "not yet". */
export async function until<T>(
  holds: () => T | Promise<T>,
  { within = 10_000, every = 10, what = "a condition" }: UntilOptions = {},
): Promise<Exclude<T, false | undefined>> {
  const deadline = Date.now() + within;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await holds();
      if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) throw new Error(`waited ${within} ms for ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}
