/**
 * Serves a log to another process that uses it as its own (`shared-log.ts`): does what it asks, and tells it of every
 * entry, in the order of the log, each before its `accept` is answered.
 */
import { type Announcement, type EventLog, LogError, type LogErrorCode, type NewEvent } from "./event-log.ts";
import { type Call, eachTurn, type Said } from "./shared-log-messages.ts";

/** Takes messages to the other process, in order; calls `written` once the system has them. */
type Send = (said: readonly Said[], written: () => void) => void;

/**
 * Announcements on the way that the system has not taken yet. Above it they are left out, and told of when a quarter
 * is left: the other process then reads what it missed.
 */
const maxUnwritten: number = 16 * 1024 * 1024;
/** What an entry takes beside its body. */
const overhead = 512;

export class SharedLogHost {
  readonly #log: EventLog;
  readonly #say: (said: Said) => void;
  readonly #unlisten: Promise<() => Promise<void>>;
  /** Which call brought the bytes that are about to be accepted. */
  readonly #accepting = new Map<Buffer, number>();
  #unwritten = 0;
  #leavingOut = false;
  #gone = false;

  constructor(log: EventLog, send: Send) {
    this.#log = log;
    this.#say = eachTurn((said) => {
      if (this.#gone) return;
      const bytes = said.reduce((sum, one) => sum + announcedBytes(one), 0);
      send(said, () => this.#written(bytes));
    });
    this.#unlisten = log.listen({
      announced: (announcement) => this.#announced(announcement),
      reconnected: () => this.#say({ kind: "missed" }),
    });
  }

  /** What the other process asks for. */
  hear(calls: readonly Call[]): void {
    for (const call of calls) {
      this.#do(call).then(
        (value) => this.#say({ kind: "answer", id: call.id, value }),
        (error: unknown) => this.#say(refusalOf(call.id, error)),
      );
    }
  }

  /** The other process is gone. What it asked for may still be done; nobody is told. */
  async close(): Promise<void> {
    this.#gone = true;
    await (await this.#unlisten)();
  }

  async #do(call: Call): Promise<unknown> {
    const log = this.#log;
    switch (call.name) {
      case "accept":
        return this.#accept(call.id, ...call.given);
      case "state":
        return { state: await log.state(...call.given), size: log.size?.() };
      case "readRange":
        return log.readRange(...call.given);
      case "readLatest":
        return log.readLatest(...call.given);
      case "readEvent":
        return log.readEvent(...call.given);
      case "unknownIds":
        return log.unknownIds(...call.given);
      case "appendLost":
        return log.appendLost(...call.given);
      case "recordBranches":
        return log.recordBranches(...call.given);
      case "trim":
        return log.trim(...call.given);
      case "put":
        return log.quarantine.put(...call.given);
      case "list":
        return log.quarantine.list(...call.given);
      case "get":
        return log.quarantine.get(...call.given);
      case "remove":
        return log.quarantine.remove(...call.given);
    }
  }

  async #accept(id: number, event: NewEvent, known: Parameters<EventLog["accept"]>[1]): Promise<unknown> {
    this.#accepting.set(event.body, id);
    try {
      const accepted = await this.#log.accept(event, known);
      if (accepted.status !== "accepted") return accepted;
      const { sequence, at, late } = accepted.entry;
      return { status: "accepted", epoch: accepted.epoch, placed: { sequence, at, late } };
    } finally {
      this.#accepting.delete(event.body);
    }
  }

  #announced(announcement: Announcement): void {
    if (this.#leavingOut) return;
    const { epoch, sequence, entry } = announcement;
    const own = entry?.kind === "event" ? this.#accepting.get(entry.body) : undefined;
    if (entry?.kind === "event" && own !== undefined) {
      const { at, late } = entry;
      this.#say({ kind: "own", id: own, epoch, placed: { sequence, at, late } });
      return;
    }
    const told = entry === undefined ? { epoch, sequence } : { epoch, sequence, entry };
    const said: Said = { kind: "announcement", announcement: told };
    const bytes = announcedBytes(said);
    if (this.#unwritten + bytes > maxUnwritten) {
      this.#leavingOut = true;
      return;
    }
    this.#unwritten += bytes;
    this.#say(said);
  }

  #written(bytes: number): void {
    this.#unwritten -= bytes;
    if (!this.#leavingOut || this.#unwritten > maxUnwritten / 4) return;
    this.#leavingOut = false;
    this.#say({ kind: "missed" });
  }
}

function announcedBytes(said: Said): number {
  if (said.kind !== "announcement") return 0;
  return overhead + (said.announcement.entry?.body.length ?? 0);
}

function refusalOf(id: number, error: unknown): Said {
  const code: LogErrorCode | undefined = error instanceof LogError ? error.code : undefined;
  return { kind: "refusal", id, code, message: error instanceof Error ? error.message : String(error) };
}
