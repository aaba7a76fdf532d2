/**
 * The event log of a process that does not hold it: every method asks the process that does (`shared-log-host.ts`).
 * So a read is one look there, and no process but that one has anything of the store open.
 *
 * It is `alone` although others use the same log: they all know the one store's epochs and no others, since nothing
 * is announced before it is on disk, and none of them outlives the process that holds it.
 */
import {
  type Accepted,
  type Announcement,
  type Appended,
  type DeadBranch,
  type Entry,
  type EventEntry,
  type EventLog,
  type Known,
  type LatestValues,
  LogError,
  type LogListener,
  type LogRange,
  type LogSize,
  type LogState,
  type Lost,
  maxAsked,
  type NewEvent,
  type Quarantine,
} from "./event-log.ts";
import { type Call, type Calls, eachTurn, type Placed, type Said } from "./shared-log-messages.ts";

export interface SharedLogOptions {
  readonly commandTimeoutMs: number;
  /** Takes calls to the process that holds the log, in order. */
  readonly send: (calls: readonly Call[]) => void;
}

/** Asked and not answered: also those that nobody waits for any more, since they still take room on the way. */
const maxCalls = 1_024;
/** Of events and quarantined bodies among them. */
const maxCallBytes: number = 64 * 1024 * 1024;

interface Waiting {
  /** Of an `accept`. */
  readonly event: NewEvent | undefined;
  readonly bytes: number;
  readonly timer: NodeJS.Timeout;
  settle(said: Said): void;
}

export class SharedLog implements EventLog {
  readonly engine = "embedded";
  readonly alone = true;
  readonly quarantine: Quarantine;
  readonly #timeoutMs: number;
  readonly #ask: (call: Call) => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #listeners = new Set<LogListener>();
  #calls = 0;
  #bytes = 0;
  #size: LogSize | undefined;
  #closing: Promise<void> | undefined;

  constructor({ commandTimeoutMs, send }: SharedLogOptions) {
    this.#timeoutMs = commandTimeoutMs;
    this.#ask = eachTurn(send);
    this.quarantine = {
      put: (item) => this.#call("put", [item]),
      list: async (limit) => (await this.#call("list", [limit])).map(withOwnBody),
      get: async (id) => {
        const item = await this.#call("get", [id]);
        return item === undefined ? undefined : withOwnBody(item);
      },
      remove: (id) => this.#call("remove", [id]),
    };
  }

  async accept(event: NewEvent, known: Known | undefined): Promise<Accepted> {
    const answer = await this.#call("accept", [event, known]);
    if (answer.status !== "accepted") return answer;
    return { status: "accepted", epoch: answer.epoch, entry: entryOf(event, answer.placed) };
  }

  async state(known: Known | undefined): Promise<LogState> {
    const { state, size } = await this.#call("state", [known]);
    this.#size = size;
    return state;
  }

  async readRange(
    ...asked: readonly [after: number, through: number, known: Known | undefined]
  ): Promise<LogRange> {
    const range = await this.#call("readRange", [...asked]);
    return { ...range, entries: range.entries.map(withOwnBody) };
  }

  async readLatest(known: Known | undefined): Promise<LatestValues> {
    const latest = await this.#call("readLatest", [known]);
    return { ...latest, entries: latest.entries.map(withOwnBody) };
  }

  async readEvent(id: string): Promise<EventEntry | undefined> {
    const entry = await this.#call("readEvent", [id]);
    return entry === undefined ? undefined : withOwnBody(entry);
  }

  async unknownIds(ids: readonly string[], known: Known | undefined): Promise<ReadonlySet<string>> {
    if (ids.length > maxAsked) throw new RangeError(`at most ${maxAsked} ids at once, got ${ids.length}`);
    return this.#call("unknownIds", [ids, known]);
  }

  appendLost(lost: Lost, known: Known | undefined): Promise<Appended> {
    return this.#call("appendLost", [lost, known]);
  }

  recordBranches(branches: readonly DeadBranch[], known: Known | undefined): Promise<void> {
    return this.#call("recordBranches", [branches, known]);
  }

  /** Announcements come from the moment this log is used; before there is a listener they are nobody's. */
  async listen(listener: LogListener): Promise<() => Promise<void>> {
    if (this.#closing !== undefined) throw closed();
    // An object of its own for each call: the same listener may be given twice.
    const one: LogListener = {
      announced: (announcement) => listener.announced(announcement),
      reconnected: () => listener.reconnected(),
    };
    this.#listeners.add(one);
    return async () => {
      this.#listeners.delete(one);
    };
  }

  trim(limit: number): Promise<number> {
    return this.#call("trim", [limit]);
  }

  /** As it was when the state was last asked for. */
  size(): LogSize | undefined {
    return this.#closing === undefined ? this.#size : undefined;
  }

  /** Waits for what was asked. The process that holds the log goes on holding it. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#underWay).then(() => this.#listeners.clear());
    return this.#closing;
  }

  /** What the process that holds the log says. */
  hear(said: readonly Said[]): void {
    for (const one of said) {
      switch (one.kind) {
        case "answer":
        case "refusal":
          this.#settled(one);
          break;
        case "announcement":
          this.#announce(withOwnEntry(one.announcement));
          break;
        case "own":
          this.#announce(this.#ownOf(one));
          break;
        case "missed":
          for (const listener of this.#listeners) listener.reconnected();
          break;
      }
    }
  }

  #announce(announcement: Announcement): void {
    for (const listener of this.#listeners) listener.announced(announcement);
  }

  #ownOf({ id, epoch, placed }: Extract<Said, { kind: "own" }>): Announcement {
    const event = this.#waiting.get(id)?.event;
    const { sequence } = placed;
    return event === undefined ? { epoch, sequence } : { epoch, sequence, entry: entryOf(event, placed) };
  }

  #settled(said: Extract<Said, { kind: "answer" | "refusal" }>): void {
    const waiting = this.#waiting.get(said.id);
    if (waiting === undefined) return;
    this.#waiting.delete(said.id);
    this.#bytes -= waiting.bytes;
    clearTimeout(waiting.timer);
    waiting.settle(said);
  }

  #call<Name extends keyof Calls>(
    name: Name,
    given: Parameters<Calls[Name]>,
  ): Promise<Awaited<ReturnType<Calls[Name]>>> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    // a name and what it is given belong together
    const call = { id: ++this.#calls, name, given } as Call;
    const event = call.name === "accept" ? call.given[0] : undefined;
    const bytes = (event ?? (call.name === "put" ? call.given[0] : undefined))?.body.length ?? 0;
    if (this.#waiting.size >= maxCalls || this.#bytes + bytes > maxCallBytes) {
      const many = `${this.#waiting.size} calls`;
      return Promise.reject(
        new LogError("unavailable", `the process that holds the event log has not answered ${many} yet`),
      );
    }
    this.#bytes += bytes;
    const answered = new Promise<Awaited<ReturnType<Calls[Name]>>>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new LogError(
            "unavailable",
            `the process that holds the event log did not answer within ${this.#timeoutMs} ms`,
          ),
        );
      }, this.#timeoutMs);
      const settle = (said: Said): void => {
        // the other side answers a call with what it asks for
        if (said.kind === "answer") resolve(said.value as Awaited<ReturnType<Calls[Name]>>);
        if (said.kind === "refusal") reject(errorOf(said));
      };
      this.#waiting.set(call.id, { event, bytes, timer, settle });
    });
    this.#ask(call);
    this.#underWay.add(answered);
    const over = (): void => void this.#underWay.delete(answered);
    answered.then(over, over);
    return answered;
  }
}

function entryOf(event: NewEvent, { sequence, at, late }: Placed): EventEntry {
  return { kind: "event", ...event, sequence, at, late };
}

function withOwnEntry(announcement: Announcement): Announcement {
  const { entry } = announcement;
  return entry === undefined ? announcement : { ...announcement, entry: withOwnBody(entry) };
}

/** What came lies in the bytes of the whole message; kept, it would keep all of them. */
function withOwnBody<T extends Pick<Entry, "body">>(entry: T): T {
  return { ...entry, body: Buffer.from(entry.body) };
}

function errorOf({ code, message }: Extract<Said, { kind: "refusal" }>): Error {
  return code === undefined ? new Error(message) : new LogError(code, message);
}

function closed(): LogError {
  return new LogError("closed", "the event log is closed");
}
