/**
 * What the relay counts. Every label comes from a closed set of ours; nothing a sender or a client wrote becomes a
 * label, or a stranger could grow the figures without end and read them out again.
 */
import { type Delivery, gapReasons, type IngestCode, ingestCodes } from "@sharmo-relay/protocol";
import {
  type Aggregator,
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from "prom-client";
import type { LogErrorCode, LogSize } from "../log/event-log.ts";

const ingestOutcomes = ["accepted", "duplicate", "challenge", ...ingestCodes] as const;
type IngestOutcome = "accepted" | "duplicate" | "challenge" | IngestCode;

const subscriptionStates = ["snapshot", "catching_up", "tailing"] as const;
type SubscriptionState = (typeof subscriptionStates)[number];

const deliveries = ["live", "catch_up", "snapshot", "redelivery"] as const;

const pageSources = ["memory", "log"] as const;

const logErrorCodes: readonly LogErrorCode[] = [
  "unavailable",
  "not_writable",
  "unusable",
  "in_use",
  "closed",
];

/** What is looked up when someone scrapes. */
interface MetricsSource {
  /** Highest sequence this node has heard of. */
  head(): number;
  /** Up to where this node has fanned out. */
  position(): number;
  subscriptions(): Readonly<Record<SubscriptionState, number>>;
  /** Room that the log takes; undefined where it does not tell. */
  logSize(): LogSize | undefined;
}

/** The figures of one process, as they are added to those of others. */
export type Figures = readonly MetricObjectWithValues<MetricValue<string>>[];

interface Rendered {
  readonly contentType: string;
  readonly body: string;
}

export interface Metrics {
  readonly ingest: {
    answered(outcome: IngestOutcome): void;
    /** From the first byte of the webhook to the answer of the log. */
    acceptTook(seconds: number): void;
    /** An event of a known type that lacks a documented field. */
    schemaProblem(): void;
  };
  readonly log: { failed(code: LogErrorCode): void };
  readonly tail: {
    /** Bytes on the bus that are no announcement. */
    junkAnnouncement(): void;
    /** Announcements that should have come and did not. */
    announcementsLost(count: number): void;
    holeFilled(): void;
    /** Events that a failover had lost are in the log again. */
    putBack(count: number): void;
    /** Events that a failover lost are known to no node. */
    lost(count: number): void;
  };
  /** Fits `FanoutObserver` of `fanout/node.ts`. */
  readonly fanout: {
    delivered(count: number, kind: "live" | Delivery): void;
    /** A client fell behind and is catching up. */
    lagged(): void;
    paged(source: (typeof pageSources)[number]): void;
    /** A reason that the protocol does not know is not counted. */
    gap(reason: string): void;
    subscriptions(change: 1 | -1): void;
    connections(change: 1 | -1): void;
  };
  readonly realtime: {
    frameBytes(count: number): void;
    /** A client was closed because it took nothing. */
    stalled(): void;
    /** A handshake was refused since too many wait. */
    overloaded(): void;
  };
  /** Takes the figures that are looked up from here on; before that they are 0. */
  watch(source: MetricsSource): void;
  render(): Promise<Rendered>;
  figures(): Promise<Figures>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  let source: MetricsSource | undefined;

  /** A counter whose every label value exists from the start, so that a rate has something to begin with. */
  const counter = <L extends string>(name: string, help: string, label: string, values: readonly L[]) => {
    const made = new Counter({ name: `sharmo_relay_${name}`, help, labelNames: [label], registers });
    const children = new Map(values.map((value) => [value, made.labels(value)]));
    for (const child of children.values()) child.inc(0);
    return (value: L, count = 1): void => children.get(value)?.inc(count);
  };
  const plainCounter = (name: string, help: string) => {
    const made = new Counter({ name: `sharmo_relay_${name}`, help, registers });
    return (count = 1): void => made.inc(count);
  };
  /** `over`: what several processes on one port show together. */
  const gauge = (
    name: string,
    help: string,
    over: Aggregator,
    read: (from: MetricsSource) => number,
  ): void => {
    new Gauge({
      name: `sharmo_relay_${name}`,
      help,
      registers,
      aggregator: over,
      collect() {
        if (source !== undefined) this.set(read(source));
      },
    });
  };

  const answered = counter("webhooks_total", "Webhooks answered, by outcome", "outcome", ingestOutcomes);
  const accept = new Histogram({
    name: "sharmo_relay_accept_duration_seconds",
    help: "From the first byte of a webhook until it is stored",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5],
    registers,
  });
  const schemaProblems = plainCounter("schema_problems_total", "Events that lack a documented field");
  const logFailed = counter(
    "log_errors_total",
    "Failed calls to the event log, by code",
    "code",
    logErrorCodes,
  );
  const junk = plainCounter("junk_announcements_total", "Messages on the bus that are no announcement");
  const lost = plainCounter("announcements_lost_total", "Announcements that did not come");
  const back = plainCounter("put_back_total", "Events that a failover had lost and this node put back");
  const gone = plainCounter("lost_total", "Events that a failover lost and no node knew");
  const overloaded = plainCounter("overloaded_total", "Handshakes refused since too many wait");
  const holes = plainCounter("holes_filled_total", "Holes in the order that were filled from the log");
  const delivered = counter("deliveries_total", "Events written to clients, by kind", "kind", deliveries);
  const pages = counter(
    "catch_up_pages_total",
    "Pages for catching up, by where they came from",
    "source",
    pageSources,
  );
  const gaps = counter("gaps_total", "Gaps told to clients, by reason", "reason", gapReasons);
  const bytes = plainCounter("frame_bytes_total", "Bytes of frames written to clients");
  gauge("head_sequence", "Highest sequence this node has heard of", "max", (from) => from.head());
  gauge("fanout_sequence", "Sequence up to which this node has fanned out", "min", (from) => from.position());
  new Gauge({
    name: "sharmo_relay_log_bytes",
    help: "Room that the embedded log takes: its file, and what of it is used",
    labelNames: ["kind"],
    registers,
    aggregator: "max",
    collect() {
      const size = source?.logSize();
      if (size === undefined) return this.reset();
      this.set({ kind: "file" }, size.fileBytes);
      this.set({ kind: "used" }, size.usedBytes);
    },
  });
  const lagged = plainCounter("lagged_total", "Times that a client fell behind and began to catch up");
  const stalled = plainCounter("stalled_total", "Clients closed because they took nothing");
  const open = new Gauge({ name: "sharmo_relay_subscriptions_open", help: "Subscriptions", registers });
  const connected = new Gauge({ name: "sharmo_relay_connections", help: "Clients connected", registers });
  new Gauge({
    name: "sharmo_relay_subscriptions",
    help: "Subscriptions, by what they are doing",
    labelNames: ["state"],
    registers,
    collect() {
      const counts = source?.subscriptions();
      for (const state of subscriptionStates) this.set({ state }, counts?.[state] ?? 0);
    },
  });

  return {
    ingest: {
      answered,
      acceptTook: (seconds) => accept.observe(seconds),
      schemaProblem: () => schemaProblems(),
    },
    log: { failed: logFailed },
    tail: {
      junkAnnouncement: () => junk(),
      announcementsLost: lost,
      holeFilled: () => holes(),
      putBack: (count) => back(count),
      lost: (count) => gone(count),
    },
    fanout: {
      delivered: (count, kind) => delivered(kind, count),
      lagged: () => lagged(),
      paged: (source) => pages(source),
      gap: (reason) => {
        const known = gapReasons.find((r) => r === reason);
        if (known !== undefined) gaps(known);
      },
      subscriptions: (change) => open.inc(change),
      connections: (change) => connected.inc(change),
    },
    realtime: { frameBytes: bytes, stalled: () => stalled(), overloaded: () => overloaded() },
    watch(from) {
      source = from;
    },
    render: () => render(registry),
    figures: () => registry.getMetricsAsJSON(),
  };
}

/** Those of a process that serves nothing itself, and keeps workers that do. */
export function createPrimaryMetrics(): {
  replaced(): void;
  figures(workers: number): Promise<Figures>;
} {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const running = new Gauge({
    name: "sharmo_relay_workers",
    help: "Processes that serve the port",
    registers,
  });
  const replaced = new Counter({
    name: "sharmo_relay_workers_replaced_total",
    help: "Workers that took the place of one that ended",
    registers,
  });
  return {
    replaced: () => replaced.inc(),
    figures: (workers) => {
      running.set(workers);
      return registry.getMetricsAsJSON();
    },
  };
}

/** The figures of several processes as those of one: sums, but for what is the same to all or has an end. */
export function renderTogether(all: readonly Figures[]): Promise<Rendered> {
  return render(AggregatorRegistry.aggregate(all.map((figures) => [...figures])));
}

/** What remains of processes that ended: a sum that fell would be taken for one that began anew. */
export async function lastingOf(all: readonly Figures[]): Promise<Figures> {
  const figures = await AggregatorRegistry.aggregate(all.map((one) => [...one])).getMetricsAsJSON();
  // prom-client's types say numbers here, and it gives words
  return figures.filter(({ type }) => ["counter", "histogram"].includes(String(type)));
}

async function render(registry: Registry): Promise<Rendered> {
  return { contentType: registry.contentType, body: await registry.metrics() };
}
