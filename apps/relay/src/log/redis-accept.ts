/**
 * Accepts that come in the same turn of the event loop run in one script: they share its round trip, and what it has
 * to ask first. Each has an answer of its own, and one that is refused takes no other with it; only what befalls the
 * script as a whole (no connection, no answer in time) befalls all of them.
 */
import { hash } from "node:crypto";
import { type Epoch, groupOf, primaryKeyOf, type Sequence } from "@sharmo-relay/protocol";
import type { Known, NewEvent } from "./event-log.ts";
import { keyOf, removingType } from "./latest.ts";
import { asEpoch, asList, asNumber, asText, strange } from "./redis-reply.ts";
import { shortHash } from "./short-hash.ts";

/** Redis does nothing else while a script runs: with so many, or so large ones, one or two milliseconds. */
const maxEvents = 64;
const maxBytes = 1024 * 1024;

/** What the script says of one event. */
export interface ScriptAnswer {
  readonly status: "accepted" | "late" | "duplicate" | "reused" | "refused";
  readonly epoch: Epoch;
  /** The log's time, in milliseconds since 1970. */
  readonly at: number;
  /** 0 for one that was refused. */
  readonly sequence: Sequence;
}

export interface AcceptScript {
  run(known: Known | undefined, packed: readonly Buffer[]): Promise<unknown>;
  /** Of what Redis said about one event. */
  errorOf(text: string): Error;
}

interface Waiter {
  answered(answer: ScriptAnswer): void;
  failed(error: unknown): void;
}

interface Batch {
  /** The highest sequence that any of its callers knows of their epoch. */
  known: Known | undefined;
  readonly packed: Buffer[];
  readonly waiters: Waiter[];
  bytes: number;
}

export class AcceptBatches {
  readonly #script: AcceptScript;
  #gathering: Batch | undefined;

  constructor(script: AcceptScript) {
    this.#script = script;
  }

  accept<T>(packed: Buffer, known: Known | undefined, read: (answer: ScriptAnswer) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const batch = this.#batchFor(packed, known);
      batch.packed.push(packed);
      batch.bytes += packed.length;
      batch.waiters.push({ answered: (answer) => resolve(read(answer)), failed: reject });
    });
  }

  /** Sends what has gathered, without waiting for the end of the turn. */
  flush(): void {
    const batch = this.#gathering;
    if (batch === undefined) return;
    this.#gathering = undefined;
    this.#script
      .run(batch.known, batch.packed)
      .then((reply) => readAnswers(reply, batch.waiters.length))
      .then(
        (answers) => this.#answer(batch, answers),
        (error: unknown) => {
          for (const { failed } of batch.waiters) failed(error);
        },
      );
  }

  #batchFor(packed: Buffer, known: Known | undefined): Batch {
    const open = this.#gathering;
    if (open !== undefined && fits(open, packed, known)) {
      if (known !== undefined && known.sequence > (open.known?.sequence ?? -1)) open.known = known;
      return open;
    }
    this.flush();
    const batch: Batch = { known, packed: [], waiters: [], bytes: 0 };
    this.#gathering = batch;
    setImmediate(() => {
      if (this.#gathering === batch) this.flush();
    });
    return batch;
  }

  #answer({ waiters }: Batch, answers: ReturnType<typeof readAnswers>): void {
    for (const [i, waiter] of waiters.entries()) {
      try {
        const answer = answers(i);
        if (typeof answer === "string") waiter.failed(this.#script.errorOf(answer));
        else waiter.answered(answer);
      } catch (error) {
        waiter.failed(error);
      }
    }
  }
}

/** A caller that believes in another epoch needs a script of its own. */
function fits(batch: Batch, packed: Buffer, known: Known | undefined): boolean {
  if (batch.packed.length >= maxEvents || batch.bytes + packed.length > maxBytes) return false;
  return batch.known === undefined || known === undefined || batch.known.epoch === known.epoch;
}

/** Reads the script's reply: what it says of the event at a place, or the text of its error. */
function readAnswers(reply: unknown, count: number): (place: number) => ScriptAnswer | string {
  const [name, time, ...answers] = asList(reply);
  if (answers.length !== count) throw strange("an answer for each event");
  const at = asNumber(time);
  let running: Epoch | undefined;
  return (place) => {
    const text = asText(answers[place]);
    const space = text.indexOf(" ");
    const status = space < 0 ? text : text.slice(0, space);
    if (status === "error") return text.slice(space + 1);
    // In a log that no event could begin yet there is none.
    running ??= asEpoch(name);
    switch (status) {
      case "refused":
        return { status, epoch: running, at, sequence: 0 };
      case "accepted":
      case "late":
      case "duplicate":
      case "reused": {
        const sequence = Number(text.slice(space + 1));
        if (!Number.isSafeInteger(sequence)) throw strange("a sequence");
        return { status, epoch: running, at, sequence };
      }
      default:
        throw strange("what became of an event");
    }
  };
}

const digestBytes = 16;
const contentBytes = 6;
const fixedBytes = digestBytes + contentBytes + 8 + 3 * 4;

/** An event as `accept.lua` reads it. `header` is its second header line. */
export function packEvent(
  event: Pick<NewEvent, "id" | "type" | "createdAt" | "body" | "entity">,
  header: string,
): Buffer {
  const { id, type, createdAt, body } = event;
  const texts = [type, ...latestKeys(event)];
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const headerBytes = Buffer.byteLength(header);
  const size = sizes.reduce((sum, bytes) => sum + bytes, fixedBytes) + headerBytes + 1 + body.length;

  const packed = Buffer.allocUnsafe(size);
  packed.write(hash("sha256", id, "binary"), 0, digestBytes, "latin1");
  packed.write(hash("sha256", body, "binary"), digestBytes, contentBytes, "latin1");
  let at = packed.writeDoubleBE(createdAt, digestBytes + contentBytes);
  for (const [i, text] of texts.entries()) {
    at = packed.writeUInt32BE(sizes[i] ?? 0, at);
    at += packed.write(text, at);
  }
  at += packed.write(`${header}\n`, at);
  body.copy(packed, at);
  return packed;
}

/** Places in the table of latest values: the event's own, and that of an event that removes its entity. */
function latestKeys({ type, entity }: Pick<NewEvent, "type" | "entity">): [string, string] {
  if (entity === undefined || primaryKeyOf(type) === undefined) return ["", ""];
  const removable = groupOf(type) === groupOf(removingType);
  return [keyOf(type, entity), removable ? keyOf(removingType, entity) : ""];
}

/** By which the log knows an id. */
export function digestOf(id: string): Buffer {
  return shortHash(id, digestBytes);
}
