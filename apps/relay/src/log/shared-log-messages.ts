/**
 * What the process that holds a log and those that use it say to each other. Messages keep their order, and take
 * what the port takes as it is: buffers, maps and sets included.
 */
import type {
  Accepted,
  Announcement,
  EventLog,
  LogErrorCode,
  LogSize,
  LogState,
  Quarantine,
} from "./event-log.ts";

/** An accepted event without what the caller has already. */
export type Placed = Pick<Extract<Accepted, { status: "accepted" }>["entry"], "sequence" | "at" | "late">;

type AcceptAnswer =
  | Exclude<Accepted, { status: "accepted" }>
  | { readonly status: "accepted"; readonly epoch: Announcement["epoch"]; readonly placed: Placed };

/** The methods of the port, as they are asked for. */
export interface Calls {
  accept(...given: Parameters<EventLog["accept"]>): Promise<AcceptAnswer>;
  /** With the size: whoever scrapes cannot wait for it. */
  state(
    ...given: Parameters<EventLog["state"]>
  ): Promise<{ readonly state: LogState; readonly size: LogSize | undefined }>;
  readRange: EventLog["readRange"];
  readLatest: EventLog["readLatest"];
  readEvent: EventLog["readEvent"];
  unknownIds: EventLog["unknownIds"];
  appendLost: EventLog["appendLost"];
  recordBranches: EventLog["recordBranches"];
  trim: EventLog["trim"];
  put: Quarantine["put"];
  list: Quarantine["list"];
  get: Quarantine["get"];
  remove: Quarantine["remove"];
}

/** `id` is the caller's own, and never used again. */
export type Call = {
  readonly [Name in keyof Calls]: {
    readonly id: number;
    readonly name: Name;
    readonly given: Parameters<Calls[Name]>;
  };
}[keyof Calls];

export type Said =
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  /** Without `code` it is no error of the log. */
  | {
      readonly kind: "refusal";
      readonly id: number;
      readonly code: LogErrorCode | undefined;
      readonly message: string;
    }
  | { readonly kind: "announcement"; readonly announcement: Announcement }
  /** What the caller's own `accept` with this id put into the log. */
  | {
      readonly kind: "own";
      readonly id: number;
      readonly epoch: Announcement["epoch"];
      readonly placed: Placed;
    }
  /** Announcements were left out, since too many waited. */
  | { readonly kind: "missed" };

/** Passes on what came in one turn of the event loop as one message: a message costs more than what is in it. */
export function eachTurn<T>(send: (items: readonly T[]) => void): (item: T) => void {
  let items: T[] = [];
  return (item) => {
    if (items.length === 0) {
      setImmediate(() => {
        const all = items;
        items = [];
        send(all);
      });
    }
    items.push(item);
  };
}
