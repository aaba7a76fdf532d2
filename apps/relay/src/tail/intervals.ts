/** A range of sequences from which single ones and ranges are taken out. Pure. */
import type { Sequence } from "@sharmo-relay/protocol";

/** (`from`, `to`] */
type Interval = readonly [from: Sequence, to: Sequence];

export class Intervals {
  #left: Interval[];

  constructor(from: Sequence, to: Sequence) {
    this.#left = from < to ? [[from, to]] : [];
  }

  remove(sequence: Sequence): void {
    this.removeRange(sequence - 1, sequence);
  }

  removeRange(from: Sequence, to: Sequence): void {
    this.#left = this.#left.flatMap(([start, end]): Interval[] => {
      if (to <= start || from >= end) return [[start, end]];
      const before: Interval[] = from > start ? [[start, from]] : [];
      return to < end ? [...before, [to, end]] : before;
    });
  }

  /** What is left, in order; as one interval if it would be more than `most`. */
  atMost(most: number): readonly Interval[] {
    const first = this.#left[0];
    const last = this.#left.at(-1);
    if (first === undefined || last === undefined || this.#left.length <= most) return this.#left;
    return [[first[0], last[1]]];
  }
}
