/** What a node has seen of epochs: for how long the running one runs, and for how long an ended one has answered. */
import type { Epoch } from "@sharmo-relay/protocol";

/** How long a master that was replaced has to learn of it, in milliseconds. */
const defaultReplacedMs = 20_000;

export class EpochWatch {
  readonly #replacedMs: number;
  /** The running epoch: when this node met it, and whether it was the first it met. */
  #seen: { readonly epoch: Epoch; readonly at: number; readonly first: boolean } | undefined;
  /** Since when a master answers that was replaced. */
  #endedSince: number | undefined;

  constructor(replacedMs: number = defaultReplacedMs) {
    this.#replacedMs = replacedMs;
  }

  running(epoch: Epoch): void {
    if (this.#seen?.epoch === epoch) return;
    this.#seen = { epoch, at: performance.now(), first: this.#seen === undefined };
  }

  /** For how long the running epoch has run, at least; by no clock that can be set, if this node saw it begin. */
  ageMs(ageInLogMs: number): number {
    if (this.#seen === undefined) return 0;
    const here = performance.now() - this.#seen.at;
    return this.#seen.first ? Math.max(here, ageInLogMs) : here;
  }

  /**
   * A failover begins a new epoch. Whoever answers with one that this node saw end (`hasEnded`) is a master that was
   * replaced and does not know it yet; if it stays, it is the master again.
   */
  judge(hasEnded: boolean): "running" | "replaced" | "returned" {
    if (!hasEnded) {
      this.#endedSince = undefined;
      return "running";
    }
    this.#endedSince ??= performance.now();
    return performance.now() - this.#endedSince < this.#replacedMs ? "replaced" : "returned";
  }
}
