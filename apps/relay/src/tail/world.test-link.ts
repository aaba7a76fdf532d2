/** What lies between a node and the log in the world under test: calls and announcements that are late, lost or repeated. */
import {
  type Accepted,
  type Announcement,
  type Appended,
  type DeadBranch,
  type EventEntry,
  type EventLog,
  type Known,
  type LatestValues,
  LogError,
  type LogListener,
  type LogRange,
  type LogState,
  type Lost,
  type NewEvent,
  type Quarantine,
} from "../log/event-log.ts";
import type { Server } from "./world.test-log.ts";

/** Numbers in [0, 1) that are the same whenever the seed is. */
export type Luck = () => number;

export function luckOf(seed: number): Luck {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Weather {
  /** Which share of announcements is lost. */
  readonly lost: number;
  /** Longest delay of an announcement, in milliseconds; each has its own, so they overtake one another. */
  readonly late: number;
  /** Which share of calls is done and never answered. */
  readonly unanswered: number;
  /** Longest way of a call, there and back each, in milliseconds. */
  readonly far: number;
}

export const calm: Weather = { lost: 0, late: 2, unanswered: 0, far: 2 };

const timeoutMs = 1_500;

interface Way {
  server: Server;
  readonly listener: LogListener;
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export class Link implements EventLog {
  readonly engine = "redis";
  readonly alone = false;
  weather: Weather = calm;
  /** Nothing comes through before this time. */
  heldUntil = 0;
  #server: Server;
  readonly #current: () => Server;
  readonly #luck: Luck;
  /** Told of each announcement that reaches the node. */
  readonly #heard: (announcement: Announcement) => void;
  readonly #ways = new Set<Way>();
  #cut = false;

  constructor(current: () => Server, luck: Luck, heard: (announcement: Announcement) => void) {
    this.#server = current();
    this.#current = current;
    this.#luck = luck;
    this.#heard = heard;
  }

  get quarantine(): Quarantine {
    throw new Error("nothing is put in quarantine here");
  }
  get server(): Server {
    return this.#server;
  }

  /** Calls go to the current master from here on. */
  reconnect(): void {
    this.#server = this.#current();
  }

  /** And its announcements come. */
  reconnectBus(): void {
    for (const way of this.#ways) {
      if (way.server === this.#server) continue;
      way.server = this.#server;
      way.listener.reconnected();
    }
  }

  /** The node is dead. */
  cut(): void {
    this.#cut = true;
    this.#ways.clear();
  }

  async #call<T>(script: (server: Server) => T): Promise<T> {
    const server = this.#server;
    await wait(this.#luck() * this.weather.far);
    if (this.#cut) throw new LogError("closed", "the node is dead");
    if (!server.alive || server !== this.#server) {
      await wait(this.#luck() < 0.3 ? timeoutMs : 0);
      throw new LogError("unavailable", "the server is gone");
    }
    const result = script(server);
    const back = this.#luck() * this.weather.far + Math.max(0, this.heldUntil - performance.now());
    const answered = back < timeoutMs && this.#luck() >= this.weather.unanswered;
    await wait(answered ? back : timeoutMs);
    if (this.#cut) throw new LogError("closed", "the node is dead");
    if (!answered) throw new LogError("unavailable", "no answer");
    return result;
  }

  announce(server: Server, { epoch, sequence, entry }: Announcement): void {
    const carries = entry !== undefined && this.#luck() > 0.1;
    const announcement = carries ? { epoch, sequence, entry } : { epoch, sequence };
    for (const way of this.#ways) {
      if (way.server !== server || this.#luck() < this.weather.lost) continue;
      for (let copies = this.#luck() < 0.1 ? 2 : 1; copies > 0; copies--) this.#deliver(way, announcement);
    }
  }

  #deliver(way: Way, announcement: Announcement): void {
    const held = Math.max(0, this.heldUntil - performance.now());
    setTimeout(
      () => {
        if (!this.#ways.has(way)) return;
        this.#heard(announcement);
        way.listener.announced(announcement);
      },
      held + this.#luck() * this.weather.late,
    );
  }

  accept(event: NewEvent, known: Known | undefined): Promise<Accepted> {
    return this.#call((server) => server.accept(event, known));
  }
  state(known: Known | undefined): Promise<LogState> {
    return this.#call((server) => server.state(known));
  }
  readRange(after: number, through: number, known: Known | undefined): Promise<LogRange> {
    return this.#call((server) => server.range(after, through, known));
  }
  readLatest(known: Known | undefined): Promise<LatestValues> {
    return this.#call((server) => server.latest(known));
  }
  readEvent(id: string): Promise<EventEntry | undefined> {
    return this.#call((server) => server.find(id));
  }
  unknownIds(ids: readonly string[], known: Known | undefined): Promise<ReadonlySet<string>> {
    return this.#call((server) => server.unknownIds(ids, known));
  }
  appendLost(lost: Lost, known: Known | undefined): Promise<Appended> {
    return this.#call((server) => server.appendLost(lost, known));
  }
  recordBranches(branches: readonly DeadBranch[], known: Known | undefined): Promise<void> {
    return this.#call((server) => server.recordBranches(branches, known));
  }

  async listen(listener: LogListener): Promise<() => Promise<void>> {
    await wait(this.#luck() * this.weather.far);
    const way: Way = { server: this.#current(), listener };
    if (!this.#cut) this.#ways.add(way);
    return async () => {
      this.#ways.delete(way);
    };
  }

  trim(): Promise<number> {
    throw new Error("the world trims");
  }
  async close(): Promise<void> {}
}
