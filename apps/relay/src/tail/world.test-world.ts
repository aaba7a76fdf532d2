/**
 * A sender, two nodes and their clients around a log that fails over: what the steps of the property do, and what must
 * hold when no step is left.
 */
import type { Epoch } from "@sharmo-relay/protocol";
import { expect, vi } from "vitest";
import { topic } from "../fanout/recorder.test-sink.ts";
import type { NewEvent } from "../log/event-log.ts";
import { WorldClient } from "./world.test-client.ts";
import { calm, type Luck, luckOf, type Weather, wait } from "./world.test-link.ts";
import { Ever, Server } from "./world.test-log.ts";
import { WorldNode } from "./world.test-node.ts";

export const types = ["token.price_changed", "token.created", "user.registered"] as const;

/** Lets everything go on that waits for no timer. */
const turn = globalThis.setImmediate;
function turned(): Promise<void> {
  return new Promise((resolve) => turn(resolve));
}

export interface FailOver {
  readonly lost: number;
  /** The old master goes on serving those who have not noticed. */
  readonly lives: boolean;
  /** For each node, after which time it talks to the new master, and hears it. Milliseconds. */
  readonly noticed: readonly (readonly [calls: number, bus: number])[];
}

export class World {
  readonly ever = new Ever();
  readonly servers: Server[] = [];
  readonly nodes: readonly WorldNode[];
  readonly clients: readonly WorldClient[];
  readonly #luck: Luck;
  readonly #remembers: number;
  readonly #answered = new Set<string>();
  #posted = 0;
  #posting = 0;
  #forks = 0;

  constructor(seed: number, remembers: number) {
    this.#luck = luckOf(seed);
    this.#remembers = remembers;
    const random = luckOf(seed ^ 0x5bd1e995);
    vi.spyOn(Math, "random").mockImplementation(random);
    this.servers.push(new Server(this.ever, 0, undefined, (server, a) => this.#announce(server, a)));
    const options = { current: () => this.current, luck: this.#luck, remembers };
    this.nodes = [new WorldNode(options), new WorldNode(options)];
    const witness = {
      ever: this.ever,
      forks: () => this.#forks,
      someNodeKnew: (epoch: Epoch) => this.#someNodeKnew(epoch),
    };
    const both = [topic(types[0]), topic(types[1])];
    this.clients = [new WorldClient(both, witness), new WorldClient([topic(types[0])], witness)];
  }

  get current(): Server {
    return this.servers.at(-1) as Server;
  }

  #announce(server: Server, announcement: Parameters<Server["announced"]>[0]): void {
    for (const { link } of this.nodes) link?.announce(server, announcement);
  }

  #someNodeKnew(epoch: Epoch): boolean {
    return this.nodes.some((node) => node.thereFor > 3_000 && node.epochs.has(epoch));
  }

  /** Time passes; after each thing that happens the clients look at what they have got. */
  async pass(ms: number): Promise<void> {
    let over = false;
    setTimeout(() => {
      over = true;
    }, ms);
    do {
      vi.advanceTimersToNextTimer();
      await turned();
      for (const client of this.clients) client.read();
      for (const node of this.nodes) node.look();
    } while (!over);
  }

  /** The sender posts to this node, and again to any until it is answered. */
  post(type: string, to: number): void {
    const id = `evt_${++this.#posted}`;
    const event: NewEvent = {
      id,
      type,
      createdAt: this.#posted,
      filters: [{ key: "token_id", value: "tok_1" }],
      entity: "tok_1",
      body: Buffer.from(`{"id":"${id}"}`),
    };
    this.#posting++;
    void this.#deliver(event, to).finally(() => this.#posting--);
  }

  async #deliver(event: NewEvent, to: number): Promise<void> {
    for (let node = to; ; node = Math.floor(this.#luck() * this.nodes.length)) {
      try {
        await this.nodes[node]?.accept(event);
        this.#answered.add(event.id);
        return;
      } catch {
        await wait(300 + this.#luck() * 1_500);
      }
    }
  }

  failOver({ lost, lives, noticed }: FailOver): void {
    const old = this.current;
    const copy = old.copy(lost);
    const server = new Server(this.ever, this.servers.length, copy, (s, a) => this.#announce(s, a));
    for (const one of this.servers) one.alive = lives && one === old;
    this.servers.push(server);
    this.#forks++;
    for (const [index, node] of this.nodes.entries()) {
      const { link } = node;
      const [calls, bus] = noticed[index] ?? [0, 0];
      if (link === undefined) continue;
      setTimeout(() => {
        link.reconnect();
        setTimeout(() => link.reconnectBus(), bus);
      }, calls);
    }
  }

  die(index: number): void {
    const node = this.nodes[index];
    for (const client of this.clients) if (client.node === node) client.disconnect();
    node?.die();
  }

  start(index: number): void {
    this.nodes[index]?.start();
  }

  hold(index: number, ms: number): void {
    const link = this.nodes[index]?.link;
    if (link !== undefined) link.heldUntil = performance.now() + ms;
  }

  weather(index: number, weather: Weather): void {
    const link = this.nodes[index]?.link;
    if (link !== undefined) link.weather = weather;
  }

  connect(client: number, to: number): void {
    const node = this.nodes[to];
    if (node?.serves === true) this.clients[client]?.connect(node);
  }

  /**
   * Retention takes what is far older than any memory and any repair (M), and than what a slow client waits for: until
   * then the world is quiet.
   */
  async trim(type: string): Promise<void> {
    for (const client of this.clients) client.stalls = false;
    for (const index of this.nodes.keys()) this.weather(index, calm);
    await this.pass(20_000);
    const { current } = this;
    const up = this.nodes.map((node) => node.follower?.tail).filter((tail) => tail !== undefined);
    const inStep = up.every(
      ({ position, epoch }) => epoch === current.epoch && position === current.entries.length,
    );
    if (inStep) current.trim(type, Math.min(current.entries.length, ...up.map(({ memory }) => memory.start)));
  }

  /** All goes well from here on; then nothing may be missing. */
  async end(): Promise<void> {
    for (const [index, node] of this.nodes.entries()) {
      if (node.link !== undefined) node.link.heldUntil = 0;
      this.start(index);
      this.weather(index, calm);
    }
    for (let second = 0; second < 60; second++) {
      for (const node of this.nodes) {
        node.link?.reconnect();
        node.link?.reconnectBus();
      }
      for (const [index, client] of this.clients.entries()) {
        client.stalls = false;
        if (client.node === undefined) this.connect(index, index % this.nodes.length);
      }
      await this.pass(1_000);
      if (second > 12 && this.#quiet()) break;
    }
    this.#check();
    for (const client of this.clients) client.disconnect();
    for (const index of this.nodes.keys()) this.die(index);
  }

  #quiet(): boolean {
    const { current } = this;
    return (
      this.#posting === 0 &&
      this.clients.every((client) => client.tails) &&
      this.nodes.every(({ follower }) => follower?.tail?.position === current.entries.length)
    );
  }

  #check(): void {
    const { current } = this;
    expect(this.#posting, "posts that were never answered").toBe(0);
    for (const { follower } of this.nodes) {
      const at = [follower?.tail?.epoch, follower?.tail?.position];
      expect(at, "a node that is not where the log is").toEqual([current.epoch, current.entries.length]);
    }
    for (const client of this.clients) expect(client.tails, "a client never tails again").toBe(true);
    for (const id of this.#answered) this.#checkAnswered(id);
  }

  #checkAnswered(id: string): void {
    const { current } = this;
    const stored = current.find(id);
    const known = this.nodes.some((node) => node.knows.has(id));
    if (stored === undefined && !known) return;
    const named = current.namesLost(id);
    if (stored === undefined) {
      const least = this.#remembers > 100;
      expect(named && !least, `${id} was answered, a node knows it, and it is not in the log`).toBe(true);
    }
    for (const client of this.clients) {
      const event = stored ?? this.ever.find(id);
      if (event === undefined || !client.wants(event)) continue;
      expect(client.missesNothingOf(id), `a client never got ${id}, which was answered`).toBe(true);
    }
  }
}
