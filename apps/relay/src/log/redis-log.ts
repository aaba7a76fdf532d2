/**
 * The event log in Redis, for any number of nodes. Each method is one script (two at most), and so one atomic step;
 * what they keep and under which keys stands at the head of `prologue.lua`.
 */
import { randomUUID } from "node:crypto";
import type { Sequence } from "@sharmo-relay/protocol";
import {
  encodeHeader,
  encodeLost,
  entryOf,
  lostHeader,
  lostId,
  lostType,
  maxAnnouncedBytes,
} from "./entry.ts";
import {
  type Accepted,
  type Appended,
  createdAtLeadMs,
  type DeadBranch,
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
  type Lost,
  maxAsked,
  maxRange,
  type NewEvent,
  type Retention,
} from "./event-log.ts";
import { LatestTable } from "./latest.ts";
import { AcceptBatches, digestOf, packEvent } from "./redis-accept.ts";
import { type LineLogger, RedisConnection, type ScriptArgument } from "./redis-connection.ts";
import { explainText, isNotMaster } from "./redis-errors.ts";
import { RedisQuarantine } from "./redis-quarantine.ts";
import { checkReplicas } from "./redis-replicas.ts";
import {
  asBranches,
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
  /** How many replicas must have an entry before its accept resolves. Default 0. */
  readonly minReplicas?: number;
  readonly logger?: LineLogger;
}

/** Resolves at once, whether or not Redis is there; rejects with `unusable` if `url` is not one. */
export async function openRedisLog(options: RedisLogOptions): Promise<RedisLog> {
  return new RedisLog(parseRedisUrl(options.url), options);
}

const prefix = "{sharmo}:";
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
  /** Where accepts wait for replicas, which holds up the connection, they have one of their own. */
  readonly #accepting: RedisConnection;
  readonly #accepts: AcceptBatches;
  readonly #minReplicas: number;
  readonly #channel: string;
  readonly #subscribers = new Set<Subscriber>();
  #retentionWritten: boolean;
  #ignored = 0;

  constructor(address: RedisAddress, options: Omit<RedisLogOptions, "url">) {
    const { settings, logger, minReplicas = 0 } = options;
    this.#address = address;
    this.#settings = settings;
    this.#logger = logger;
    this.#minReplicas = minReplicas;
    const key = `${prefix}log`;
    const { commandTimeoutMs } = settings;
    this.#connection = new RedisConnection(address, key, commandTimeoutMs, logger);
    // What is wrong with Redis is said by the first.
    this.#accepting =
      minReplicas === 0
        ? this.#connection
        : new RedisConnection(address, key, commandTimeoutMs, undefined, minReplicas);
    // Channels are shared by all databases of a server, the log is not.
    this.#channel = address.db === 0 ? `${prefix}announcements` : `${prefix}announcements:${address.db}`;
    this.#retentionWritten = settings.retention === undefined;
    const { dedupeMs, latestMax, maxTypes } = settings;
    const limits = [dedupeMs, latestMax, maxTypes].map(String);
    const announcing = [this.#channel, String(maxAnnouncedBytes), String(createdAtLeadMs)];
    this.#accepts = new AcceptBatches({
      run: (known, packed) =>
        this.#run("accept", known, ...limits, ...announcing, minReplicas > 0 ? "1" : "0", ...packed),
      errorOf: (text) => this.#accepting.errorOf(new Error(text)),
    });
    this.quarantine = new RedisQuarantine((script, ...args) => this.#run(script, undefined, ...args));
  }

  /** How many messages on the channel were no announcements. */
  get ignored(): number {
    return this.#ignored;
  }

  accept(event: NewEvent, known: Known | undefined): Promise<Accepted> {
    return this.#accepts.accept(packEvent(event, encodeHeader(event)), known, (answer): Accepted => {
      const { status, epoch, at, sequence } = answer;
      switch (status) {
        case "refused":
          return { status, reason: "too_many_types" };
        case "duplicate":
        case "reused":
          return { status: "duplicate", epoch, sequence, sameContent: status === "duplicate" };
        default:
          return { status: "accepted", epoch, entry: entryOf(event, sequence, at, status === "late") };
      }
    });
  }

  appendLost(lost: Lost, known: Known | undefined): Promise<Appended> {
    const body = encodeLost(lost);
    const packed = packEvent({ id: lostId(lost), type: lostType, createdAt: 0, body }, lostHeader);
    return this.#accepts.accept(packed, known, ({ status, epoch, at, sequence }): Appended => {
      if (status !== "accepted") return { status: "duplicate" };
      return { status, epoch, entry: { kind: "lost", sequence, at, lost, body } };
    });
  }

  async unknownIds(ids: readonly string[], known: Known | undefined): Promise<ReadonlySet<string>> {
    if (ids.length > maxAsked) throw new RangeError(`at most ${maxAsked} ids at once, got ${ids.length}`);
    const digests = ids.map(digestOf);
    const reply = asList(await this.#run("unknown", known, String(this.#settings.dedupeMs), ...digests));
    return new Set(ids.filter((_, i) => asNumber(reply[i]) === 1));
  }

  async recordBranches(branches: readonly DeadBranch[], known: Known | undefined): Promise<void> {
    const lines = branches.map(({ epoch, parent, last }) => `${epoch} ${parent} ${last}`);
    await this.#run("branches", known, ...lines);
  }

  async state(known: Known | undefined): Promise<LogState> {
    const wanted = this.#settings.retention ?? defaultRetention;
    const printed = printRetention(wanted);
    const force = this.#retentionWritten ? "0" : "1";
    const reply = asList(await this.#run("state", known, printed, String(longestAge(wanted)), force));
    const [epochs, head, age, types, retention, problem, policy, identity, branches, time, replicas] = reply;
    if (asText(retention) === printed) this.#retentionWritten = true;
    if (isNotMaster(asText(problem))) this.#connection.renew();
    return {
      history: asHistory(epochs),
      branches: asBranches(branches),
      head: asSequence(head),
      time: asNumber(time),
      epochAgeMs: asNumber(age),
      trimmedThrough: asTrims(types),
      retention: retentionOf(asText(retention)),
      warnings: this.#warnings(asText(problem), asText(policy), asText(identity), asNumber(replicas)),
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
    this.#accepts.flush();
    await Promise.all([
      this.#connection.close(),
      this.#accepting.close(),
      ...subscribers.map((subscriber) => subscriber.stop()),
    ]);
  }

  #run(
    script: keyof Scripts,
    known: Known | undefined,
    ...args: readonly ScriptArgument[]
  ): Promise<unknown> {
    const prologue = [known?.epoch ?? "", String(known?.sequence ?? 0), newEpoch()];
    const connection = script === "accept" ? this.#accepting : this.#connection;
    return connection.run(this.#scripts[script], [...prologue, ...args]);
  }

  #ignore(): void {
    this.#ignored++;
    if (this.#ignored === 1) {
      this.#logger?.warn(`something other than a relay publishes on ${this.#channel}; it is ignored`);
    }
  }

  #warnings(problem: string, policy: string, identity: string, replicas: number): LogWarning[] {
    const { label } = this.#address;
    const warnings: LogWarning[] = [];
    if (problem !== "") {
      warnings.push({ code: "not_writable", blocking: true, message: explainText(problem, label).message });
    }
    // Without INFO nobody knows; accepts still find out.
    if (identity !== "" && replicas < this.#minReplicas) {
      const message = `${label} has ${replicas} of ${this.#minReplicas} replicas (RELAY_MIN_REPLICAS): ${checkReplicas}`;
      warnings.push({ code: "not_writable", blocking: true, message });
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
