/** Judges one follower: what it was owed, what it got, in which order, and what it was told is missing. */
import { Course, type Place, placeOf } from "./cursors.ts";
import type { Follower, Posted, Sight, Stored } from "./history.ts";
import { matchesAny } from "./topics.ts";
import type { Violation, ViolationKind } from "./verdict.ts";

export interface World {
  readonly posted: ReadonlyMap<string, Posted>;
  readonly stored: readonly Stored[];
  /** Where each id is stored. */
  readonly places: ReadonlyMap<string, string>;
  readonly forks: boolean;
  /** The sequence in the log that a cursor stands at. */
  readonly locate: (cursor: string) => number;
  /** Every cursor ever seen, and its event. */
  readonly named: ReadonlyMap<string, string>;
}

interface Counts {
  owed: number;
  live: number;
  recovered: number;
  snapshot: number;
  reported: number;
  dropped: number;
  again: number;
}

export interface FollowerVerdict {
  readonly violations: readonly Violation[];
  readonly counts: Readonly<Counts>;
  readonly gaps: Readonly<Record<string, number>>;
}

type EventSight = Extract<Sight, { kind: "event" }>;
type GapSight = Extract<Sight, { kind: "gap" }>;

export function judgeFollower(follower: Follower, world: World): FollowerVerdict {
  return new Judge(follower, world).judge();
}

class Judge {
  readonly #follower: Follower;
  readonly #world: World;
  readonly #violations: Violation[] = [];
  readonly #counts: Counts = {
    owed: 0,
    live: 0,
    recovered: 0,
    snapshot: 0,
    reported: 0,
    dropped: 0,
    again: 0,
  };
  readonly #gapCounts: Record<string, number> = {};
  readonly #gaps: GapSight[] = [];
  /** Told on the connection that stands. */
  #standing: GapSight[] = [];
  /** The first handling of each id. */
  readonly #handled = new Map<string, { readonly cursor: string | undefined; readonly life: number }>();
  readonly #onWire = new Set<string>();
  readonly #course = new Course();
  #life = 0;
  #begin: string | undefined;
  #wasRefused = false;

  constructor(follower: Follower, world: World) {
    this.#follower = follower;
    this.#world = world;
  }

  judge(): FollowerVerdict {
    for (const sight of this.#follower.sights) this.#see(sight);
    for (const gap of this.#gaps) this.#judgeGap(gap);
    this.#settle();
    return { violations: this.#violations, counts: this.#counts, gaps: this.#gapCounts };
  }

  #blame(kind: ViolationKind, detail: string, id?: string): void {
    const follower = this.#follower.name;
    this.#violations.push({ kind, follower, detail, ...(id === undefined ? {} : { id }) });
  }

  #see(sight: Sight): void {
    switch (sight.kind) {
      case "began":
        this.#begin ??= sight.cursor;
        return;
      case "connected":
      case "lost":
        this.#standing = [];
        return;
      case "status":
        return;
      case "restarted":
        this.#standing = [];
        this.#life += 1;
        return;
      case "gap":
        this.#gaps.push(sight);
        this.#standing.push(sight);
        this.#gapCounts[sight.reason] = (this.#gapCounts[sight.reason] ?? 0) + 1;
        return;
      case "ended":
        this.#wasRefused = sight.code === "forbidden";
        if (this.#wasRefused && this.#follower.refused) return;
        this.#blame("ended", `${sight.code}: ${sight.message}`);
        return;
      case "event":
        this.#seeEvent(sight);
    }
  }

  #seeEvent(sight: EventSight): void {
    const { id, cursor, as } = sight;
    const { forks, locate, places, posted } = this.#world;
    const event = posted.get(id);
    if (event === undefined) return this.#blame("never_posted", `delivered ${as} with ${cursor}`, id);
    if (event.eventHash !== sight.eventHash) this.#blame("other_content", `as ${as} with ${cursor}`, id);
    if (!matchesAny(this.#follower.grants, event)) this.#blame("not_granted", `${event.type} as ${as}`, id);
    if (!matchesAny(this.#follower.topics, event)) this.#blame("not_asked", `${event.type} as ${as}`, id);

    if (cursor === undefined) {
      if (as !== "snapshot") this.#blame("out_of_order", `delivered ${as} without a cursor`, id);
    } else {
      this.#seeCursor(sight, cursor);
      const place = places.get(id);
      if (!forks && place !== undefined && place !== cursor) {
        this.#blame("moved", `delivered as ${cursor}, stored under ${place}`, id);
      }
      if (!forks && this.#begin !== undefined && locate(cursor) <= locate(this.#begin)) {
        this.#blame("out_of_order", `${cursor} lies before ${this.#begin}, where the subscription began`, id);
      }
    }
    if (sight.handled) this.#handle(sight);
    else if (as !== "snapshot") this.#counts.dropped += 1;
  }

  /** Order, and what the wire must not carry again. */
  #seeCursor({ id, handled }: EventSight, cursor: string): void {
    if (this.#follower.sees === "wire") {
      const frame = this.#world.forks ? `${id} ${cursor}` : id;
      if (this.#onWire.has(frame)) this.#blame("sent_twice", `with ${cursor}`, id);
      this.#onWire.add(frame);
    }
    const wrong = this.#course.next(cursor);
    // what is dropped must not count, or a repeat is blamed for its order too
    if (wrong !== undefined && handled) this.#blame("out_of_order", wrong, id);
    const gap = this.#standing.find((told) => this.#tellsMissing(told, id, cursor));
    if (gap !== undefined) this.#blame("after_gap", `${cursor} lies in ${gap.from} to ${gap.to}`, id);
  }

  /** What retention left of a type follows its gap; of what was lost nothing can. */
  #tellsMissing(gap: GapSight, id: string, cursor: string): boolean {
    const event = this.#world.posted.get(id);
    if (!gap.certain || gap.reason === "retention" || event === undefined) return false;
    return matchesAny(gap.topics, event) && within(gap, cursor);
  }

  #handle({ id, cursor, as }: EventSight): void {
    const first = this.#handled.get(id);
    if (first === undefined) {
      this.#handled.set(id, { cursor, life: this.#life });
      this.#counts[as === "catch_up" ? "recovered" : as] += 1;
      return;
    }
    const putBack = this.#world.forks && first.life < this.#life && first.cursor !== cursor;
    if (putBack) this.#counts.again += 1;
    else this.#blame("twice", `first with ${first.cursor}, then with ${cursor} as ${as}`, id);
  }

  /** Nothing is ever trimmed in a run, and every cursor that a client holds is of this log. */
  #judgeGap(gap: GapSight): void {
    const what = `${gap.reason} of ${gap.topics.join(" ")} from ${gap.from} to ${gap.to}`;
    if (gap.reason !== "log_lost" || !this.#world.forks) return this.#blame("false_gap", what);
    if (!gap.certain) return;
    for (const [cursor, id] of this.#world.named) {
      const event = this.#world.posted.get(id);
      if (event === undefined || !within(gap, cursor) || this.#handled.has(id)) continue;
      if (matchesAny(gap.topics, event)) return;
    }
    this.#blame("false_gap", what);
  }

  /** What stood before the beginning when the subscription began; it may have been lost and put back behind it. */
  #before(begin: Place): ReadonlySet<string> {
    const before = new Set<string>();
    if (!this.#world.forks) return before;
    for (const [cursor, id] of this.#world.named) {
      const { epoch, sequence } = placeOf(cursor);
      if (epoch === begin.epoch && sequence <= begin.sequence) before.add(id);
    }
    return before;
  }

  /** What is stored behind the beginning, against what was handled or reported. */
  #settle(): void {
    const { stored, posted, locate } = this.#world;
    if (this.#follower.refused) {
      if (!this.#wasRefused) this.#blame("not_granted", "it was never refused");
      return;
    }
    if (this.#begin === undefined) return this.#blame("never_began", "nothing was owed to it");
    const begin = locate(this.#begin);
    const before = this.#before(placeOf(this.#begin));
    const told = this.#gaps.map((gap) => ({
      topics: gap.topics,
      from: locate(gap.from),
      to: locate(gap.to),
    }));
    for (const { id, cursor } of stored) {
      const event = posted.get(id);
      const { sequence } = placeOf(cursor);
      if (
        event === undefined ||
        sequence <= begin ||
        before.has(id) ||
        !matchesAny(this.#follower.topics, event)
      )
        continue;
      this.#counts.owed += 1;
      if (this.#handled.has(id)) continue;
      const gap = told.some(
        ({ topics, from, to }) => sequence > from && sequence <= to && matchesAny(topics, event),
      );
      if (gap) this.#counts.reported += 1;
      else this.#blame("missing", `stored under ${cursor}; began at ${this.#begin}`, id);
    }
  }
}

/** Whether a cursor of the gap's own epoch lies in it; of another epoch nothing is known. */
function within({ from, to }: GapSight, cursor: string): boolean {
  const place = placeOf(cursor);
  const [first, last] = [placeOf(from), placeOf(to)];
  if (place.epoch !== last.epoch) return false;
  return place.sequence <= last.sequence && (first.epoch !== last.epoch || place.sequence > first.sequence);
}
