/**
 * A cursor names a place in the relay's one order of events: `<epoch>-<sequence>`.
 *
 * The epoch is a random name for one unbroken life of the log, the sequence counts from 1 without gaps and
 * goes on across epochs. Clients keep a cursor and give it back; they compare nothing in it.
 */

declare const brand: unique symbol;

/** The printed form, as it stands on the wire. */
export type Cursor = string & { readonly [brand]: "cursor" };

/** One unbroken life of the log: 10 to 32 characters of `[a-z0-9]`, random. */
export type Epoch = string & { readonly [brand]: "epoch" };

/** A place in the order: a whole number from 0 (before everything) to 2^53 - 1. */
export type Sequence = number;

export interface Position {
  readonly epoch: Epoch;
  readonly sequence: Sequence;
}

const epochShape = /^[a-z0-9]{10,32}$/;
const cursorShape = /^([a-z0-9]{10,32})-(0|[1-9][0-9]{0,15})$/;

/** What a valid cursor looks like, for error messages. */
export const cursorForm = "<epoch>-<sequence>, for example k3v9x2m7qa1z-1042";

export function parseEpoch(text: string): Epoch | undefined {
  return epochShape.test(text) ? (text as Epoch) : undefined;
}

/** Reads a cursor; `undefined` for anything that `formatCursor` does not print. */
export function parseCursor(text: unknown): Position | undefined {
  if (typeof text !== "string") return undefined;
  const match = cursorShape.exec(text);
  if (match === null) return undefined;
  const sequence = Number(match[2]);
  return Number.isSafeInteger(sequence) ? { epoch: match[1] as Epoch, sequence } : undefined;
}

export function formatCursor(epoch: Epoch, sequence: Sequence): Cursor {
  return `${epoch}-${sequence}` as Cursor;
}
