/** A client made with the SDK: a handler for each topic, or a stream that is read slowly. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  createRelay,
  type EventFor,
  type GapInfo,
  type Relay,
  type RelayError,
  type SubscribeOptions,
  type Untyped,
  untyped,
} from "@sharmo-relay/client";
import { type Client, type ClientOptions, Notes, Seat, tokenOf } from "./client.ts";
import type { DeliveredAs } from "./history.ts";
import { hashOf, type SeenEvent } from "./sender.ts";

export interface SdkOptions extends ClientOptions {
  /** Reads its subscriptions as streams, an event at a time with so many milliseconds between. */
  readonly readEveryMs?: number;
}

/** What a handler of an untyped topic gets. */
type Delivered = EventFor<Untyped>;

/** One handler over all lives of the client. */
interface Handler {
  readonly topic: string;
  readonly snapshot: boolean;
  readonly notes: Notes;
  /** How far it got in this life; undefined before it began. */
  cursor: () => string | undefined;
  /** What is kept for the next life. */
  kept: string | undefined;
}

export class SdkClient implements Client {
  readonly name: string;
  readonly seat: Seat;
  readonly followers: readonly Notes[];
  readonly #options: SdkOptions;
  readonly #handlers: readonly Handler[];
  #relay: Relay | undefined;
  #hurries = false;

  private constructor(options: SdkOptions, seat: Seat) {
    this.name = options.name;
    this.seat = seat;
    this.#options = options;
    this.#handlers = options.subscriptions.map(({ topic, snapshot = false }) => ({
      topic,
      snapshot,
      notes: new Notes(options, [topic], "handler"),
      cursor: () => undefined,
      kept: undefined,
    }));
    this.followers = this.#handlers.map(({ notes }) => notes);
  }

  static async take(options: SdkOptions): Promise<SdkClient> {
    return new SdkClient(options, await Seat.take(options));
  }

  start(): void {
    const relay = createRelay({ url: this.seat.wire.url, token: () => tokenOf(this.#options.claims) });
    this.#relay = relay;
    let was = false;
    let said = "";
    relay.onStatus(({ state, message }) => {
      const at = Date.now();
      const says = `${state}: ${message}`;
      // the seconds to the next attempt are in it: one line for each attempt
      if (says !== said)
        for (const { notes } of this.#handlers) notes.add({ kind: "status", at, state: says });
      said = says;
      const is = state === "live" || state === "catching_up";
      if (is === was) return;
      was = is;
      for (const { notes } of this.#handlers) {
        if (is) notes.add({ kind: "connected", at, node: this.seat.node });
        else notes.add({ kind: "lost", at, why: message });
      }
    });
    for (const handler of this.#handlers) {
      if (this.#options.readEveryMs === undefined) this.#listen(relay, handler);
      else void this.#read(relay, handler, this.#options.readEveryMs);
    }
  }

  restart(node: number): void {
    for (const handler of this.#handlers) {
      handler.kept = handler.cursor() ?? handler.kept;
      handler.cursor = () => undefined;
    }
    this.#relay?.close();
    this.seat.node = node;
    for (const { notes, kept } of this.#handlers)
      notes.add({ kind: "restarted", at: Date.now(), cursor: kept });
    this.start();
  }

  hurry(): void {
    this.#hurries = true;
  }

  close(): void {
    this.#relay?.close();
  }

  #listen(relay: Relay, handler: Handler): void {
    const { topic, notes } = handler;
    const { name, filter } = partsOf(topic);
    const options: SubscribeOptions = { ...this.#beginning(handler), ...told(notes) };
    const handle = (event: Delivered): void => note(notes, event);
    const sub =
      filter === undefined
        ? relay.on(untyped(name), handle, options)
        : relay.on(untyped(name), filter, handle, options);
    handler.cursor = () => sub.cursor;
    sub.ready.then(
      ({ cursor }) => notes.add({ kind: "began", at: Date.now(), cursor }),
      () => undefined,
    );
  }

  async #read(relay: Relay, handler: Handler, everyMs: number): Promise<void> {
    const { topic, notes } = handler;
    const { name, filter } = partsOf(topic);
    const { onGap } = told(notes);
    const options = { ...this.#beginning(handler), onGap, buffer: 200 };
    const stream =
      filter === undefined
        ? relay.stream(untyped(name), options)
        : relay.stream(untyped(name), filter, options);
    let cursor: string | undefined;
    handler.cursor = () => cursor;
    stream.ready.then(
      (ready) => {
        cursor ??= ready.cursor;
        notes.add({ kind: "began", at: Date.now(), cursor: ready.cursor });
      },
      () => undefined,
    );
    try {
      for await (const event of stream) {
        // what waits in the buffer when the client ends was never handled
        if (this.#relay !== relay) return;
        note(notes, event);
        cursor = event.cursor ?? cursor;
        if (!this.#hurries) await sleep(everyMs);
        if (this.#relay !== relay) return;
      }
    } catch (error) {
      if (this.#relay === relay) ended(notes, error as RelayError);
    }
  }

  #beginning({ kept, snapshot }: Handler): { readonly since?: string; readonly snapshot?: boolean } {
    return kept === undefined ? { snapshot } : { since: kept };
  }
}

function told(notes: Notes): Required<Pick<SubscribeOptions, "onGap" | "onError">> {
  return {
    onGap: ({ reason, certain, topics, from, to }: GapInfo) =>
      notes.add({ kind: "gap", at: Date.now(), reason, certain, topics, from, to }),
    onError: (error) => ended(notes, error),
  };
}

function ended(notes: Notes, { code, message }: RelayError): void {
  notes.add({ kind: "ended", at: Date.now(), code, message });
}

function note(notes: Notes, event: Delivered): void {
  notes.add({
    kind: "event",
    at: Date.now(),
    id: event.id,
    cursor: event.cursor,
    as: event.delivery as DeliveredAs,
    eventHash: hashOf(event as SeenEvent),
    handled: true,
  });
}

function partsOf(topic: string): { name: string; filter: { address: string } | undefined } {
  const [name = "", narrow] = topic.split("?");
  if (narrow === undefined) return { name, filter: undefined };
  const [key = "", value = ""] = narrow.split("=");
  // any one key will do; the type wants to be told which
  return { name, filter: { [key]: value } as unknown as { address: string } };
}
