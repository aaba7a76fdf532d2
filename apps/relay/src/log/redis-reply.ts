/** Replies of scripts, bytes to values. What is not as the scripts send it is an error, never a guess. */
import { type Epoch, parseEpoch, type Sequence } from "@sharmo-relay/protocol";
import { decodeEntry } from "./entry.ts";
import { type DeadBranch, type Entry, type EpochHistory, LogError } from "./event-log.ts";

export function asList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw strange("a list");
  return value;
}

export function asNumber(value: unknown): number {
  if (typeof value !== "number") throw strange("a number");
  return value;
}

export function asBytes(value: unknown): Buffer {
  if (!Buffer.isBuffer(value)) throw strange("bytes");
  return value;
}

export function asText(value: unknown): string {
  return asBytes(value).toString("utf8");
}

/** Scripts send sequences as text: the client's integers are not exact near 2^53. */
export function asSequence(value: unknown): Sequence {
  const sequence = Number(asText(value));
  if (!Number.isSafeInteger(sequence)) throw strange("a sequence");
  return sequence;
}

export function asEpoch(value: unknown): Epoch {
  return epochOf(asText(value));
}

/** "<epoch> <first>" each. */
export function asHistory(value: unknown): EpochHistory {
  return asList(value).map((record) => {
    const [name = "", first = ""] = asText(record).split(" ");
    if (!/^[1-9][0-9]{0,15}$/.test(first)) throw damaged("an epoch has no first sequence");
    return { epoch: epochOf(name), first: Number(first) };
  });
}

/** "<epoch> <parent> <last>" each. */
export function asBranches(value: unknown): DeadBranch[] {
  return asList(value).map((record) => {
    const [name = "", parent = "", last = ""] = asText(record).split(" ");
    if (!/^[0-9]{1,16}$/.test(last)) throw damaged("a dead branch has no end");
    return { epoch: epochOf(name), parent: epochOf(parent), last: Number(last) };
  });
}

/** Names and sequences in turn; 0 stands for none. */
export function asTrims(value: unknown): ReadonlyMap<string, Sequence> {
  const trims = new Map<string, Sequence>();
  for (const [name, sequence] of pairs(asList(value))) {
    const through = asSequence(sequence);
    if (through > 0) trims.set(asText(name), through);
  }
  return trims;
}

/** Sequences and bytes in turn. */
export function asEntries(values: readonly unknown[]): Entry[] {
  return pairs(values).map(([sequence, bytes]) => decodeEntry(asSequence(sequence), asBytes(bytes)));
}

function pairs(values: readonly unknown[]): [unknown, unknown][] {
  const all: [unknown, unknown][] = [];
  for (let i = 0; i < values.length; i += 2) all.push([values[i], values[i + 1]]);
  return all;
}

function epochOf(text: string): Epoch {
  const epoch = parseEpoch(text);
  if (epoch === undefined) throw damaged("an epoch has no name");
  return epoch;
}

export function strange(expected: string): LogError {
  return new LogError("unusable", `Redis did not answer a script as expected: ${expected} is missing`);
}

function damaged(what: string): LogError {
  return new LogError("unusable", `the log in Redis (REDIS_URL) is damaged: ${what}; bring back a backup`);
}
