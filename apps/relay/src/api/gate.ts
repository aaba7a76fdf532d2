/** At most so many at once: each read may hold megabytes, and a client may ask for many. */
import { ApiError } from "./errors.ts";

export function createGate(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  return async (work) => {
    if (running >= most) {
      throw new ApiError(
        429,
        "rate_limit_exceeded",
        `at most ${most} reads at once; try again`,
        {},
        { "Retry-After": "1" },
      );
    }
    running++;
    try {
      return await work();
    } finally {
      running--;
    }
  };
}
