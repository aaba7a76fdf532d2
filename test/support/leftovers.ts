/** What a test file started and must not leave behind: ended after all of its tests, the last one first. */
import { afterAll } from "vitest";

/** To be called once at the top of a test file; answers the function that takes what is to be ended. */
export function leftovers(): (end: () => void | Promise<void>) => void {
  const ends: (() => void | Promise<void>)[] = [];
  afterAll(async () => {
    const failures: unknown[] = [];
    for (const end of ends.splice(0).reverse()) {
      try {
        await end();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "some leftovers could not be ended");
  });
  return (end) => {
    ends.push(end);
  };
}
