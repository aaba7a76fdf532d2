/**
 * How announcements reach this node: listens, counts interruptions, and listens anew when the way they come has
 * turned out to be dead without anybody saying so - perhaps it still leads to a demoted master.
 */
import type { Sequence } from "@sharmo-relay/protocol";
import type { Announcement, EventLog } from "../log/event-log.ts";
import type { Tail } from "./tail.ts";

export interface BusListener {
  announced(announcement: Announcement): void;
  /** Something that is no announcement. */
  junk(): void;
  /** Announcements may have been lost: compare heads. */
  interrupted(): void;
  /** Events are stored and not announced; the bus listens anew. */
  dead(): void;
  failed(error: unknown): void;
}

export class Bus {
  readonly #log: Pick<EventLog, "listen" | "alone">;
  readonly #listener: BusListener;
  #stop: (() => Promise<void>) | undefined;
  #connection = 0;
  #unannounced = 0;
  #since: Sequence = 0;
  #headBefore: Sequence | undefined;
  #closed = false;

  constructor(log: Pick<EventLog, "listen" | "alone">, listener: BusListener) {
    this.#log = log;
    this.#listener = listener;
  }

  /** Another number after each interruption: what was asked before it does not count (M). */
  get connection(): number {
    return this.#connection;
  }

  /** Begins to listen, in place of whatever listens now. `heard`: the highest sequence known without it. */
  listen(heard: Sequence): void {
    const stop = this.#stop;
    this.#stop = undefined;
    this.#since = heard;
    this.#connection++;
    this.#replace(stop).catch((error: unknown) => {
      if (!this.#closed) this.#listener.failed(error);
    });
  }

  async #replace(stop: (() => Promise<void>) | undefined): Promise<void> {
    await stop?.();
    if (this.#closed) return;
    const stopNew = await this.#log.listen({
      announced: (announcement) => this.#listener.announced(announcement),
      ignored: () => this.#listener.junk(),
      reconnected: () => {
        this.#connection++;
        this.#listener.interrupted();
      },
    });
    if (this.#closed) await stopNew();
    else this.#stop = stopNew;
  }

  /** A compare found this head. Two running that find what was never announced: the bus is dead. */
  compared(tail: Tail, head: Sequence): void {
    const before = this.#headBefore;
    this.#headBefore = head;
    if (before === undefined || this.#log.alone) return;
    this.#unannounced = tail.announced < before && before > this.#since ? this.#unannounced + 1 : 0;
    // while it is still being set up it goes on by itself
    if (this.#unannounced < 2 || this.#stop === undefined) return;
    this.#unannounced = 0;
    this.#listener.dead();
    this.listen(tail.heard);
  }

  /** The log is another one: its head says nothing about the last one's. */
  forked(): void {
    this.#headBefore = undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#stop?.();
  }
}
