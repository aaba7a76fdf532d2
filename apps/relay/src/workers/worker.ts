/** A worker's way to its primary: the log that the primary holds, the figures of all, when to end. */
import { unavailable } from "../api/errors.ts";
import type { LogSettings } from "../log/event-log.ts";
import { SharedLog } from "../log/shared-log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { type FromWorker, placeVariable, type ToWorker } from "./messages.ts";

/** How long whoever scrapes waits for the figures of all, in milliseconds. */
const scrapeMs = 2_000;

/** The number of this worker, from 1; undefined if this process is none of a relay. */
export function workerNumber(env: NodeJS.ProcessEnv): number | undefined {
  const text = env[placeVariable];
  return process.send === undefined || text === undefined ? undefined : Number(text);
}

/** Without its primary a worker has no log, no new connections and nobody who replaces it: Node ends it then at once. */
export class Primary {
  readonly #scrapes = new Map<number, (answer: Extract<ToWorker, { kind: "counted" }>) => void>();
  #asked = 0;
  #log: SharedLog | undefined;
  #metrics: Metrics | undefined;
  #drain: (() => void) | undefined;
  #draining = false;

  constructor() {
    process.on("message", (message) => this.#hear(message as ToWorker));
  }

  openLog({ commandTimeoutMs }: LogSettings): SharedLog {
    this.#log = new SharedLog({
      commandTimeoutMs,
      send: (calls) => void this.#tell({ kind: "calls", calls }),
    });
    return this.#log;
  }

  /** The same figures; whoever asks for them gets those of all workers. */
  together(metrics: Metrics): Metrics {
    this.#metrics = metrics;
    return { ...metrics, render: () => this.#scrape() };
  }

  /** Calls `drain` once: when the primary says so, or a signal came before. */
  started(port: number, drain: () => void): void {
    void this.#tell({ kind: "started", port });
    this.#drain = drain;
    if (this.#draining) drain();
  }

  refused(message: string): Promise<void> {
    return this.#tell({ kind: "refused", message });
  }

  /** A signal came to this worker, perhaps to it alone: it drains as if told to. */
  leave(): void {
    void this.#tell({ kind: "leaving" });
    this.#startDraining();
  }

  /** What this worker counted is not to be lost with it. */
  async lastFigures(): Promise<void> {
    if (this.#metrics !== undefined)
      await this.#tell({ kind: "figures", figures: await this.#metrics.figures() });
  }

  #hear(message: ToWorker): void {
    switch (message.kind) {
      case "drain":
        this.#startDraining();
        break;
      case "count":
        void this.#count(message.scrape);
        break;
      case "counted":
        this.#scrapes.get(message.id)?.(message);
        break;
      case "said":
        this.#log?.hear(message.said);
        break;
    }
  }

  #startDraining(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#drain?.();
  }

  async #count(scrape: number): Promise<void> {
    const figures = (await this.#metrics?.figures()) ?? [];
    await this.#tell({ kind: "figures", figures, scrape });
  }

  #scrape(): ReturnType<Metrics["render"]> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      const over = (): void => {
        clearTimeout(timer);
        this.#scrapes.delete(id);
      };
      const timer = setTimeout(() => {
        over();
        reject(unavailable("the figures of all workers cannot be had now; try again", 2));
      }, scrapeMs);
      this.#scrapes.set(id, ({ contentType, body }) => {
        over();
        resolve({ contentType, body });
      });
      void this.#tell({ kind: "scrape", id });
    });
  }

  /** Resolves when the system has it, or the primary is gone: then this process ends too. */
  #tell(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      process.send?.(message, undefined, undefined, () => resolve());
    });
  }
}
