/**
 * The event log in Redis, for any number of nodes. Each method is one script (two at most), and so one atomic step;
 * what they keep and under which keys stands at the head of `prologue.lua`.
 */
import { hash, randomUUID } from "node:crypto";
import { groupOf, primaryKeyOf, type Sequence } from "@sharmo-relay/protocol";
import { encodeHeader, maxAnnouncedBytes } from "./entry.ts";
import {
  type Accepted,
  createdAtLeadMs,
  type EventEntry,
  type EventLog,
  type Known,
  type LatestValues,
  LogError,
  type LogListener,
  type LogRange,
  type LogSettings,
  type LogState,
  type LogWarning,
  maxRange,
  type NewEvent,
  type Retention,
} from "./event-log.ts";
import { keyOf, LatestTable, removingType } from "./latest.ts";
import { type LineLogger, RedisConnection, type ScriptArgument } from "./redis-connection.ts";
import { explainText, isReadOnly } from "./redis-errors.ts";
import { RedisQuarantine } from "./redis-quarantine.ts";
import {
  asBytes,
  asEntries,
  asEpoch,
  asHistory,
  asList,
  asNumber,
  asSequence,
  asText,
  asTrims,
} from "./redis-reply.ts";
import { loadScripts, type Scripts } from "./redis-scripts.ts";
import { Subscriber } from "./redis-subscriber.ts";
import { parseRedisUrl, type RedisAddress } from "./redis-url.ts";
import { defaultRetention, longestAge, printRetention, readRetention } from "./retention.ts";

export interface RedisLogOptions {
  readonly url: string;
  readonly settings: LogSettings;
  readonly logger?: LineLogger;
}

/** Resolves at once, whether or not Redis is there; rejects with `unusable` if `url` is not one. */
export async function openRedisLog(options: RedisLogOptions): Promise<RedisLog> {
  return new RedisLog(parseRedisUrl(options.url), options);
}

const prefix = "{sharmo}:";
const digestBytes = 16;
const contentBytes = 6;
/** An answer may end once it has this many bytes: Redis does nothing else while it is put together. */
const pageBytes = 2 * 1024 * 1024;
const latestPage = 1_000;

export class RedisLog implements EventLog {
  readonly engine = "redis";
  readonly alone = false;
  readonly quarantine: RedisQuarantine;
  readonly #address: RedisAddress;
  readonly #settings: LogSettings;
  readonly #logger: LineLogger | undefined;
  readonly #scripts: Scripts = loadScripts();
  readonly #connection: RedisConnection;
  readonly #channel: string;
  readonly #subscribers = new Set<Subscriber>();
  #retentionWritten: boolean;
  #ignored = 0;

  constructor(address: RedisAddress, { settings, logger }: Omit<RedisLogOptions, "url">) {
    this.#address = address;
    this.#settings = settings;
    this.#logger = logger;
    this.#connection = new RedisConnection(address, `${prefix}log`, settings.commandTimeoutMs, logger);
    // Channels are shared by all databases of a server, the log is not.
    this.#channel = address.db === 0 ? `${prefix}announcements` : `${prefix}announcements:${address.db}`;
    this.#retentionWritten = settings.retention === undefined;
    this.quarantine = new RedisQuarantine((script, ...args) => this.#run(script, undefined, ...args));
  }

  /** How many messages on the channel were no announcements. */
  get ignored(): number {
    return this.#ignored;
  }

  async accept(event: NewEvent, known: Known | undefined): Promise<Accepted> {
    const { dedupeMs, latestMax, maxTypes } = this.#settings;
    const reply = asList(
      await this.#run(
        "accept",
        known,
        event.type,
        digestOf(event.id),
        hash("sha256", event.body, "buffer").subarray(0, contentBytes),
        String(event.createdAt),
        ...latestKeys(event),
        encodeHeader(event),
        event.body,
        String(dedupeMs),
        String(latestMax),
        String(maxTypes),
        this.#channel,
        String(maxAnnouncedBytes),
        String(createdAtLeadMs),
      ),
    );
    const status = asText(reply[0]);
    if (status === "refused") return { status, reason: "too_many_types" };
    if (status === "duplicate") {
      return { status, sequence: asSequence(reply[1]), sameContent: asNumber(reply[2]) === 1 };
    }
    const [, epoch, sequence, at, late] = reply;
    const entry: EventEntry = {
      ...event,
      kind: "event",
      sequence: asSequence(sequence),
      at: asNumber(at),
      late: asNumber(late) === 1,
    };
    return { status: "accepted", epoch: asEpoch(epoch), entry };
  }

  async state(known: Known | undefined): Promise<LogState> {
    const wanted = this.#settings.retention ?? defaultRetention;
    const printed = printRetention(wanted);
    const force = this.#retentionWritten ? "0" : "1";
    const reply = asList(await this.#run("state", known, printed, String(longestAge(wanted)), force));
    const [epochs, head, age, types, retention, problem, policy, identity] = reply;
    if (asText(retention) === printed) this.#retentionWritten = true;
    if (isReadOnly(asText(problem))) this.#connection.renew();
    return {
      history: asHistory(epochs),
      head: asSequence(head),
      epochAgeMs: asNumber(age),
      trimmedThrough: asTrims(types),
      retention: retentionOf(asText(retention)),
      warnings: this.#warnings(asText(problem), asText(policy), asText(identity)),
    };
  }

  async readRange(after: Sequence, through: Sequence, known: Known | undefined): Promise<LogRange> {
    const bounds = [after, through, maxRange, pageBytes].map(String);
    const reply = asList(await this.#run("range", known, ...bounds));
    const [epoch, head, types, reached, ...entries] = reply;
    return {
      epoch: asEpoch(epoch),
      head: asSequence(head),
      trimmedThrough: asTrims(types),
      after,
      through: asSequence(reached),
      entries: asEntries(entries),
    };
  }

  /**
   * Page by page, so that a large table does not hold up accepts. What changes meanwhile comes again with a higher
   * sequence, so at the head of the last page the table is right.
   */
  async readLatest(known: Known | undefined): Promise<LatestValues> {
    const giveUp = performance.now() + this.#settings.commandTimeoutMs;
    const table = new LatestTable(this.#settings.latestMax);
    let epoch: string | undefined;
    for (let after: Sequence = 0; ; ) {
      const bounds = [after, latestPage, pageBytes].map(String);
      const [epochs, head, more, ...rest] = asList(await this.#run("latest", known, ...bounds));
      const history = asHistory(epochs);
      const running = history.at(-1)?.epoch;
      if (after > 0 && running !== epoch) {
        table.load([]);
        epoch = running;
        after = 0;
        continue;
      }
      epoch = running;
      const entries = asEntries(rest).filter((entry) => entry.kind === "event");
      if (after === 0 && asNumber(more) === 0) return { history, head: asSequence(head), entries };
      for (const entry of entries) table.apply(entry);
      if (asNumber(more) === 0) return { history, head: asSequence(head), entries: table.entries() };
      after = entries.at(-1)?.sequence ?? after;
      if (performance.now() > giveUp) {
        throw explainText("the latest values could not be read in time", this.#address.label);
      }
    }
  }

  async readEvent(id: string): Promise<EventEntry | undefined> {
    const reply = await this.#run("event", undefined, digestOf(id), String(this.#settings.dedupeMs));
    const [entry] = asEntries(asList(reply));
    return entry?.kind === "event" && entry.id === id ? entry : undefined;
  }

  async listen(listener: LogListener): Promise<() => Promise<void>> {
    this.#connection.assertOpen();
    const subscriber = new Subscriber({
      address: this.#address,
      channel: this.#channel,
      timeoutMs: this.#settings.commandTimeoutMs,
      listener,
      logger: this.#logger,
      ignored: () => {
        this.#ignore();
        listener.ignored?.();
      },
    });
    this.#subscribers.add(subscriber);
    await subscriber.started;
    return () => {
      this.#subscribers.delete(subscriber);
      return subscriber.stop();
    };
  }

  async trim(limit: number): Promise<number> {
    const giveUp = performance.now() + this.#settings.commandTimeoutMs / 2;
    if (!this.#retentionWritten) await this.state(undefined);
    let gone = 0;
    for (const type of asList(await this.#run("due", undefined, String(this.#settings.dedupeMs)))) {
      if (performance.now() > giveUp) break;
      // One script for each type: accepts come in between.
      gone += asNumber(await this.#run("trim", undefined, asBytes(type), String(limit)));
    }
    return gone;
  }

  async close(): Promise<void> {
    const subscribers = [...this.#subscribers];
    this.#subscribers.clear();
    await Promise.all([this.#connection.close(), ...subscribers.map((subscriber) => subscriber.stop())]);
  }

  #run(
    script: keyof Scripts,
    known: Known | undefined,
    ...args: readonly ScriptArgument[]
  ): Promise<unknown> {
    const prologue = [known?.epoch ?? "", String(known?.sequence ?? 0), newEpoch()];
    return this.#connection.run(this.#scripts[script], [...prologue, ...args]);
  }

  #ignore(): void {
    this.#ignored++;
    if (this.#ignored === 1) {
      this.#logger?.warn(`something other than a relay publishes on ${this.#channel}; it is ignored`);
    }
  }

  #warnings(problem: string, policy: string, identity: string): LogWarning[] {
    const { label } = this.#address;
    const warnings: LogWarning[] = [];
    if (problem !== "") {
      warnings.push({ code: "not_writable", blocking: true, message: explainText(problem, label).message });
    }
    if (policy !== "" && policy !== "noeviction") {
      const message = `${label} may evict events: set maxmemory-policy to noeviction (it is ${policy})`;
      warnings.push({ code: "evicts", blocking: true, message });
    }
    if (identity === "") {
      const message = `${label} does not tell its replication id (INFO replication): a failover that loses events may go unnoticed`;
      warnings.push({ code: "no_identity", blocking: false, message });
    }
    return warnings;
  }
}

function digestOf(id: string): Buffer {
  return hash("sha256", id, "buffer").subarray(0, digestBytes);
}

/** Places in the table of latest values: the event's own, and that of an event that removes its entity. */
function latestKeys({ type, entity }: NewEvent): [string, string] {
  if (entity === undefined || primaryKeyOf(type) === undefined) return ["", ""];
  const removable = groupOf(type) === groupOf(removingType);
  return [keyOf(type, entity), removable ? keyOf(removingType, entity) : ""];
}

function retentionOf(text: string): Retention {
  if (text === "") return defaultRetention;
  const retention = readRetention(text);
  if (retention === undefined) {
    throw new LogError(
      "unusable",
      "the retention in the log cannot be read: delete the field retention of {sharmo}:log",
    );
  }
  return retention;
}

/** 64 random bits: each call brings a name, since only the script knows whether it is needed. */
function newEpoch(): string {
  const digits = randomUUID().replaceAll("-", "");
  return digits.slice(0, 12) + digits.slice(28);
}
