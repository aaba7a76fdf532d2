/**
 * Keeps this node in step with the log: the shell around `Tail`. It asks for epoch and head once a second and after
 * every interruption, one question in flight; fills holes; puts what this node accepts into its own memory before
 * the sender is answered; and says whether the node is fit to serve.
 *
 *     starting ──first answer──▶ following ──▶ closed
 *                                │   ▲
 *                          answer missing or a hole that stays open: not in step, readiness says why
 */
import { type Epoch, formatCursor, type Position, type Sequence } from "@sharmo-relay/protocol";
import type {
  Accepted,
  Announcement,
  Entry,
  EventLog,
  Known,
  LatestValues as LatestInLog,
  LogRange,
  LogState,
  Lost,
  NewEvent,
  Retention,
} from "../log/event-log.ts";
import { LogError, maxRange } from "../log/event-log.ts";
import type { LatestTable } from "../log/latest.ts";
import { runningEpoch } from "../log/lineage.ts";
import { Bus } from "./bus.ts";
import { EpochWatch } from "./epoch-watch.ts";
import { LatestValues } from "./latest-values.ts";
import { type MemoryLimits, memoryLimits } from "./memory.ts";
import { Pages } from "./pages.ts";
import { type Placed, placeOf } from "./place.ts";
import { Repair } from "./repair.ts";
import { type Fork, Tail } from "./tail.ts";

export interface FollowerListener {
  /** An entry takes its place: fan it out. */
  applied(entry: Entry): void;
  forked(fork: Fork): void;
  restarted(from: Sequence): void;
  /** Entries whose announcements did not come were read from the log. */
  holeFilled(): void;
  /** Something that is no announcement came on the bus. */
  junk(): void;
  /** The first answer of the log, or the node is in step again. */
  ready(): void;
  /** So many events that a failover had lost are in the log again. */
  putBack(count: number): void;
  /** Events that a failover lost are known to no node. */
  lost(lost: Lost): void;
  /** Something went wrong that a person should see; `code` is closed, `message` holds no data. */
  trouble(code: "log_error" | "announcements_lost" | "blocked", message: string): void;
}

export interface Reason {
  readonly code: string;
  readonly message: string;
}

export interface FollowerOptions {
  readonly log: EventLog;
  readonly listener: FollowerListener;
  readonly memory: Omit<MemoryLimits, "maxAgeMs">;
  readonly latestMax: number;
  readonly compareMs?: number;
  /** Default 20,000. */
  readonly replacedMs?: number;
}

/** A node that heard nothing of the log for this long refuses handshakes. */
const outOfStepMs = 5_000;
/** How long other nodes have after an epoch change to tell the log of branches they know. */
const unknownEpochGraceMs = 5_000;

export class Follower {
  readonly #log: EventLog;
  readonly #listener: FollowerListener;
  readonly #options: FollowerOptions;
  readonly #epochs: EpochWatch;
  readonly #compareMs: number;
  readonly pages: Pages;
  readonly #latest: LatestValues;
  readonly #bus: Bus;
  readonly #repair: Repair;
  #tail: Tail | undefined;
  #lastState: LogState | undefined;
  #lastAnswerAt = Number.NEGATIVE_INFINITY;
  #lastError: Reason = { code: "starting", message: "the log has not answered yet" };
  #blocked: string | undefined;
  #inFlight: Promise<boolean> | undefined;
  #filling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #early: Announcement[] = [];
  #closed = false;

  constructor(options: FollowerOptions) {
    this.#log = options.log;
    this.#listener = options.listener;
    this.#options = options;
    this.#epochs = new EpochWatch(options.replacedMs);
    this.#compareMs = options.compareMs ?? 1_000;
    this.#latest = new LatestValues(options.latestMax);
    this.#bus = new Bus(options.log, {
      announced: (announcement) => this.#hear(announcement, false),
      junk: () => this.#listener.junk(),
      interrupted: () => void this.compare(),
      dead: () =>
        this.#listener.trouble(
          "announcements_lost",
          "events are stored but not announced to this node; listening anew",
        ),
      failed: (error) => this.#failed(error),
    });
    this.#repair = new Repair({
      log: options.log,
      known: () => this.#tail?.known(),
      hear: (announcement) => this.#hear(announcement, true),
      caughtUp: () => this.#caughtUp(),
      listener: {
        putBack: (count) => this.#listener.putBack(count),
        lost: (lost) => this.#listener.lost(lost),
        failed: (error) => this.#failed(error),
      },
    });
    this.pages = new Pages((after, through) => this.#log.readRange(after, through, this.#tail?.known()));
  }

  /** Resolves after the first try; the node becomes ready whenever the log answers. */
  async start(): Promise<void> {
    this.#bus.listen(0);
    await this.compare();
    this.#schedule();
  }

  get tail(): Tail | undefined {
    return this.#tail;
  }

  known(): Known | undefined {
    return this.#tail?.known();
  }

  /** The log's own answer to the last compare. */
  get state(): LogState | undefined {
    return this.#lastState;
  }

  /** Accepts through the log; what is new is in this node's memory before this resolves (M). */
  async accept(event: NewEvent): Promise<Accepted> {
    // memory begins at the head of the first answer: what is accepted before it would not be in it
    if (this.#tail === undefined && !(await this.compare()))
      throw new LogError("unavailable", "the event log has not answered yet");
    const accepted = await this.#log.accept(event, this.#tail?.known());
    if (accepted.status === "accepted" && this.#hasLeft(accepted.epoch)) {
      // it goes with the master that was replaced: the one that is the master now is offered it
      this.#repair.orphaned(accepted.entry, formatCursor(accepted.epoch, accepted.entry.sequence));
      throw replaced();
    }
    if (accepted.status === "accepted") {
      this.#hear({ epoch: accepted.epoch, sequence: accepted.entry.sequence, entry: accepted.entry }, true);
    }
    // who had it accepted may be dead, and its announcement lost: the sender is answered once it is here too (M)
    if (accepted.status === "duplicate") await this.#reach(accepted);
    return accepted;
  }

  /** Rejects unless the node has come as far, on the log as it is now. */
  async #reach({
    epoch,
    sequence,
  }: Pick<Accepted & { status: "duplicate" }, "epoch" | "sequence">): Promise<void> {
    const isThere = (): boolean => this.#tail?.epoch === epoch && this.#position >= sequence;
    if (isThere()) return;
    await this.compare();
    await this.#filling;
    if (!isThere())
      throw new LogError("unavailable", "the event is stored, and this node has not read it yet");
  }

  get #position(): Sequence {
    return this.#tail?.position ?? 0;
  }

  /** The latest values at exactly the node's position; undefined while they are read anew. */
  latestNow(): LatestTable | undefined {
    return this.#tail === undefined ? undefined : this.#latest.at(this.#tail.position);
  }

  /** True if the node may answer for what clients are allowed to see and have seen. */
  inStep(): boolean {
    return (
      this.#tail !== undefined &&
      this.#tail.block === undefined &&
      performance.now() - this.#lastAnswerAt < outOfStepMs
    );
  }

  /** Why the node is not ready; empty if it is. */
  reasons(): Reason[] {
    const tail = this.#tail;
    if (tail === undefined) return [this.#lastError];
    const reasons: Reason[] = [];
    if (tail.block !== undefined) reasons.push(tail.block);
    if (performance.now() - this.#lastAnswerAt > 2 * this.#compareMs + 500) reasons.push(this.#lastError);
    for (const w of this.#lastState?.warnings ?? [])
      if (w.blocking) reasons.push({ code: w.code, message: w.message });
    if (tail.heard - tail.position > maxRange) {
      reasons.push({
        code: "behind",
        message: `this node is ${tail.heard - tail.position} events behind the log`,
      });
    }
    return reasons;
  }

  /** Finds the place of a client's cursor, after asking the log where only it can tell. */
  async place(cursor: Position): Promise<Placed> {
    const placed = this.placeNow(cursor);
    if (placed.kind === "at") return placed;
    // a head from before the client came may lie below its cursor
    if (!(await this.#compareAnew())) return { kind: "unavailable" };
    const again = this.placeNow(cursor);
    if (again.kind !== "unknown_epoch" || this.#log.alone) return again;
    return this.#epochs.ageMs(this.#lastState?.epochAgeMs ?? 0) >= unknownEpochGraceMs
      ? again
      : { kind: "unavailable" };
  }

  /** As `place`, from what is known now. */
  placeNow(cursor: Position): Placed {
    const tail = this.#tail;
    if (tail === undefined) return { kind: "unavailable" };
    return placeOf(tail, [...(this.#lastState?.branches ?? []), ...this.#repair.dead], cursor);
  }

  /** Asks the log for epoch and head; true if an answer was taken over. One question in flight. */
  compare(): Promise<boolean> {
    this.#inFlight ??= this.#compare().finally(() => {
      this.#inFlight = undefined;
    });
    return this.#inFlight;
  }

  /** As `compare`, but the question is asked after this call. */
  async #compareAnew(): Promise<boolean> {
    await this.#inFlight;
    return this.compare();
  }

  /** True once this node has read all that the log held when this was called. */
  async #caughtUp(): Promise<boolean> {
    if (!(await this.#compareAnew())) return false;
    const { head = 0 } = this.#lastState ?? {};
    await this.#filling;
    return this.#position >= head;
  }

  /** The log's clock, by which retention goes: that of this machine may be set. */
  #logTime(): number {
    if (this.#lastState === undefined) return 0;
    return this.#lastState.time + (performance.now() - this.#lastAnswerAt);
  }

  async #compare(): Promise<boolean> {
    for (let attempt = 0; attempt < 3 && !this.#closed; attempt++) {
      const { connection } = this.#bus;
      try {
        if (this.#tail === undefined || this.#latest.stale) await this.#loadLatest();
        const state = await this.#notLeft(await this.#log.state(this.#tail?.known()));
        // asked on an earlier connection, perhaps of a demoted master: ask again (M)
        if (connection !== this.#bus.connection) continue;
        this.#takeOver(state);
        return true;
      } catch (error) {
        this.#failed(error);
        return false;
      }
    }
    return false;
  }

  #hasLeft(epoch: Epoch): boolean {
    return this.#repair.dead.some((branch) => branch.epoch === epoch);
  }

  /** Rejects while a master answers that was replaced; if it stays, what it gives out gets a name of its own. */
  async #notLeft(state: LogState): Promise<LogState> {
    const { epoch } = runningEpoch(state.history);
    switch (this.#epochs.judge(this.#hasLeft(epoch))) {
      case "running":
        return state;
      case "replaced":
        throw replaced();
      case "returned":
        return this.#log.state({ epoch, sequence: state.head + 1 });
    }
  }

  #takeOver(state: LogState): void {
    const wasOut = !this.inStep();
    this.#lastState = state;
    this.#lastAnswerAt = performance.now();
    const tail = this.#tail;
    if (tail === undefined) return;
    tail.takeOver(state.history, state.head);
    this.#epochs.running(tail.epoch);
    this.#repair.compared(state);
    this.#bus.compared(tail, state.head);
    tail.tryAgain();
    if (wasOut && this.inStep()) this.#listener.ready();
    this.#settle();
  }

  /** The table and the position it belongs to, from one look. */
  async #loadLatest(): Promise<void> {
    const values = await this.#log.readLatest(this.#tail?.known());
    if (this.#closed) return;
    if (this.#tail !== undefined) return this.#latest.reload(values, this.#tail);
    const { retention } = await this.#log.state(undefined);
    this.#begin(values, retention);
  }

  #begin(values: LatestInLog, retention: Retention): void {
    this.#latest.begin(values);
    const tail = new Tail(
      { history: values.history, head: values.head },
      memoryLimits(this.#options.memory, retention),
      {
        applied: (entry) => this.#applied(entry),
        forked: (fork) => this.#forked(fork),
        orphaned: (entry, was) => this.#repair.orphaned(entry, was),
        restarted: (from) => this.#restarted(from),
      },
      () => this.#logTime(),
    );
    this.#tail = tail;
    for (const announcement of this.#early.splice(0)) tail.hear(announcement);
  }

  #applied(entry: Entry): void {
    this.#latest.apply(entry);
    this.#repair.passed(entry);
    this.#listener.applied(entry);
  }

  #forked(fork: Fork): void {
    this.pages.forget();
    this.#latest.forget();
    this.#bus.forked();
    this.#repair.forked(fork);
    this.#listener.forked(fork);
  }

  #restarted(from: Sequence): void {
    this.#latest.forget();
    this.#listener.restarted(from);
  }

  #hear(announcement: Announcement, own: boolean): void {
    if (this.#tail === undefined) {
      if (this.#early.length < maxEarly) this.#early.push(announcement);
      return;
    }
    this.#tail.hear(announcement, own);
    this.#settle();
  }

  /** Does what the tail needs next: asks, or fills its hole. */
  #settle(): void {
    const need = this.#tail?.need();
    if (need === undefined || need.kind === "nothing" || this.#closed) return;
    if (need.kind === "ask") {
      void this.compare();
    } else {
      this.#filling ??= this.#fill().finally(() => {
        this.#filling = undefined;
      });
    }
  }

  async #fill(): Promise<void> {
    // announcements come one behind the other: give the one that is missing a moment before the log is asked
    await new Promise((resolve) => setTimeout(resolve, holePatienceMs));
    for (;;) {
      const tail = this.#tail;
      const need = tail?.need();
      if (tail === undefined || need?.kind !== "fill" || this.#closed) return;
      let range: LogRange;
      try {
        range = await this.#log.readRange(
          need.after,
          Math.min(need.through, need.after + maxRange),
          tail.known(),
        );
      } catch (error) {
        this.#failed(error);
        return;
      }
      if (range.epoch !== tail.epoch) {
        void this.compare();
        return;
      }
      // the hole may have closed by itself meanwhile, then the answer does not fit and is not needed
      if (tail.position === need.after && tail.fill(range)) {
        if (tail.position === need.after) return this.#sayBlocked(tail);
        this.#listener.holeFilled();
      }
      this.#sayBlocked(tail);
    }
  }

  /** Once for each reason, though it is asked again every second. */
  #sayBlocked({ block }: Tail): void {
    if (block !== undefined && block.message !== this.#blocked)
      this.#listener.trouble("blocked", block.message);
    this.#blocked = block?.message;
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    const message = error instanceof Error ? error.message : "unknown error";
    const code =
      error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "log_error";
    if (this.#lastError.message !== message || this.inStep()) this.#listener.trouble("log_error", message);
    this.#lastError = { code, message };
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(
      () => {
        this.#tail?.memory.expire(this.#logTime());
        void this.compare().finally(() => {
          this.#settle();
          this.#schedule();
        });
      },
      this.#compareMs * (0.9 + Math.random() * 0.2),
    );
  }

  /** What a failover lost and this node knows is offered to the log now: nobody else may know it. */
  finish(): Promise<void> {
    return this.#repair.finish();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#bus.close();
    await this.#repair.close();
    await this.#inFlight;
    await this.#filling;
  }
}

function replaced(): LogError {
  return new LogError("unavailable", "the server that answers was replaced as the master of the event log");
}

const maxEarly = 1_024;
const holePatienceMs = 5;
