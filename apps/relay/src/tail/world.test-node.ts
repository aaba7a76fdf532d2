/** A node of the world under test: the real tail, repair and fan-out; it can die, and start with nothing. */
import type { Epoch } from "@sharmo-relay/protocol";
import { Gathering } from "../fanout/gathering.ts";
import { Hub } from "../fanout/hub.ts";
import { silent } from "../fanout/recorder.test-sink.ts";
import { fanoutNode } from "../fanout-node.ts";
import type { Accepted, NewEvent } from "../log/event-log.ts";
import { epochAt } from "../log/lineage.ts";
import { Follower } from "./follower.ts";
import { Link, type Luck } from "./world.test-link.ts";
import type { Server } from "./world.test-log.ts";

export interface NodeOptions {
  readonly current: () => Server;
  readonly luck: Luck;
  /** Most events in the node's memory. */
  readonly remembers: number;
}

export class WorldNode {
  readonly #options: NodeOptions;
  link: Link | undefined;
  follower: Follower | undefined;
  hub: Hub | undefined;
  /** Events this node has had in its hands since it started. */
  knows = new Set<string>();
  #thereSince = 0;
  /** Epochs it has followed since it started. */
  readonly epochs = new Set<Epoch>();
  /** What it named as lost, or had trouble with, for a person who reads a counterexample. */
  readonly notes: string[] = [];

  constructor(options: NodeOptions) {
    this.#options = options;
    this.start();
  }

  start(): void {
    if (this.follower !== undefined) return;
    const { current, luck, remembers } = this.#options;
    const link = new Link(current, luck, ({ epoch, sequence, entry }) => {
      const tail = this.follower?.tail;
      // before the log's first answer nothing is kept, and nobody is answered; nor what lies before memory begins
      if (entry?.kind !== "event" || tail === undefined) return;
      const isBefore = sequence <= tail.memory.start && epochAt(tail.history, sequence) === epoch;
      if (!isBefore) this.knows.add(entry.id);
    });
    const follower = new Follower({
      log: link,
      memory: { maxEntries: remembers, maxBytes: 1e9 },
      latestMax: 100,
      listener: {
        applied: (entry) => {
          if (entry.kind === "event") this.knows.add(entry.id);
          hub.applied(entry);
        },
        forked: (fork) => hub.forked(fork),
        restarted: (from) => hub.restarted(from),
        ready: () => hub.ready(),
        holeFilled: () => undefined,
        junk: () => undefined,
        putBack: () => undefined,
        lost: (lost) => this.notes.push(`lost ${lost.epoch} ${lost.from} ${lost.to}`),
        trouble: (code, message) => this.notes.push(`${code}: ${message}`),
      },
    });
    const hub = new Hub(fanoutNode(follower), silent, new Gathering(0));
    this.link = link;
    this.follower = follower;
    this.hub = hub;
    void follower.start();
  }

  /** What it knew dies with it. */
  die(): void {
    this.link?.cut();
    this.hub?.close();
    void this.follower?.close();
    this.link = undefined;
    this.follower = undefined;
    this.hub = undefined;
    this.knows = new Set();
    this.epochs.clear();
  }

  /** Fit to serve clients. */
  get serves(): boolean {
    return this.follower?.inStep() ?? false;
  }

  async accept(event: NewEvent): Promise<Accepted> {
    const { follower } = this;
    if (follower === undefined) throw new Error("the node is dead");
    const accepted = await follower.accept(event);
    // of what is older than its memory a node can only say that it is lost
    const begins = follower.tail?.memory.start ?? 0;
    const remembered = accepted.status === "duplicate" && accepted.sequence > begins;
    if (follower === this.follower && (accepted.status === "accepted" || remembered))
      this.knows.add(event.id);
    return accepted;
  }

  /** Notes which epochs it follows, and since when it is where the log is. */
  look(): void {
    const tail = this.follower?.tail;
    for (const { epoch } of tail?.history ?? []) this.epochs.add(epoch);
    const now = performance.now();
    const current = this.#options.current();
    const there = this.link?.server === current && tail?.epoch === current.epoch;
    if (!there || (this.link?.heldUntil ?? 0) > now) this.#thereSince = now;
  }

  /** For so long it has followed the log that is the master's now, in milliseconds. */
  get thereFor(): number {
    return performance.now() - this.#thereSince;
  }
}
