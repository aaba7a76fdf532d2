/** The figures of all workers as one: asked for together, those of ended ones kept. */
import { createPrimaryMetrics, type Figures, lastingOf, renderTogether } from "../observe/metrics.ts";

/** A worker that has not answered by then counts as it was, in milliseconds. */
const answerMs = 1_000;

export class Scrapes {
  readonly #own = createPrimaryMetrics();
  /** What each worker said last. */
  readonly #last = new Map<number, Figures>();
  /** Of workers that ended. */
  #ended: Promise<Figures> = Promise.resolve([]);
  readonly #waiting = new Map<number, (worker: number) => void>();
  #scrapes = 0;

  /** A worker takes the place of one that ended. */
  replaced(): void {
    this.#own.replaced();
  }

  counted(worker: number, figures: Figures, scrape: number | undefined): void {
    this.#last.set(worker, figures);
    if (scrape !== undefined) this.#waiting.get(scrape)?.(worker);
  }

  gone(worker: number): void {
    const last = this.#last.get(worker);
    this.#last.delete(worker);
    if (last !== undefined) this.#ended = this.#ended.then((ended) => lastingOf([ended, last]));
    for (const answered of this.#waiting.values()) answered(worker);
  }

  /** `ask`: to be answered with `counted`. */
  async render(
    workers: readonly number[],
    ask: (worker: number, scrape: number) => void,
  ): ReturnType<typeof renderTogether> {
    const scrape = ++this.#scrapes;
    const missing = new Set(workers);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, answerMs);
      this.#waiting.set(scrape, (worker) => {
        missing.delete(worker);
        if (missing.size > 0) return;
        clearTimeout(timer);
        resolve();
      });
      for (const worker of workers) ask(worker, scrape);
    });
    this.#waiting.delete(scrape);
    const own = await this.#own.figures(workers.length);
    return renderTogether([own, await this.#ended, ...this.#last.values()]);
  }
}
