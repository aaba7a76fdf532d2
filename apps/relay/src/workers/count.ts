/** How many processes serve the port. */
import type { Config } from "../config.ts";

/**
 * `auto` is one for each core; with the embedded log one less, since the process that holds it writes every event and
 * hands it to all workers. Where that leaves one, a process of its own for the log would only cost.
 */
export function workersOf(
  { workers, redisUrl }: Pick<Config, "workers" | "redisUrl">,
  cores: number,
): number {
  if (workers !== "auto") return workers;
  return Math.max(1, Math.min(64, redisUrl === undefined ? cores - 1 : cores));
}
