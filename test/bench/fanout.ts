/** Many clients with one topic: every event goes to all of them. */
import { drive } from "./drive.ts";
import type { BenchOptions, Rate } from "./options.ts";
import type { Case, Comparison, Scenario } from "./scenario.ts";
import type { System } from "./systems.ts";

const usualRates: readonly Rate[] = [50, 200, 500, 2_000, "saturated"];
/** Of the others the rates in between say nothing more, unless they are asked for by name. */
const peerRates: readonly Rate[] = [50, "saturated"];

/** Deliveries per CPU-second at a rate, against what naive reaches when it has all it can take. */
const wanted = new Map<Rate, number>([
  [200, 2.5],
  [500, 6],
  [2_000, 20],
]);

export function fanoutScenario(options: BenchOptions, systems: readonly System[]): Scenario {
  const clients = options.clients ?? 1_000;
  const rates = options.rates ?? usualRates;
  const seats = Array.from({ length: clients }, () => ({ topics: ["token.price_changed"] }));
  const cases = rates.flatMap((rate) =>
    systems
      .filter(
        ({ name }) =>
          (options.rates !== undefined && options.systems !== undefined) ||
          isRelay(name) ||
          peerRates.includes(rate),
      )
      .map(
        (system): Case => ({
          system: system.name,
          load: loadName(rate),
          run: () => drive({ system, seats, rate, seconds: options.seconds, perEvent: clients }),
        }),
      ),
  );
  return {
    name: "fanout",
    title: `${clients.toLocaleString("en-US")} subscribers of one topic`,
    how: "Each event goes to all. Fixed rates: events are due at even times, posted as signed webhooks over 64 keep-alive connections, and the latency runs from when an event was due to its arrival. Saturated: the same connections post as soon as they are answered, with at most 512 events under way that not all clients have.",
    cases,
    columns: [
      { figure: "perCpuSecond", title: "deliveries / CPU-s", digits: 0 },
      { figure: "p50", title: "p50 ms", digits: 1 },
      { figure: "p99", title: "p99 ms", digits: 1 },
      { figure: "deliveriesPerSecond", title: "deliveries / s", digits: 0 },
      { figure: "deliveriesPerRead", title: "events / read", digits: 1 },
      { figure: "answerP99", title: "answer p99 ms", digits: 1 },
    ],
    comparisons: rates.flatMap((rate) => comparisonsAt(rate, rates)),
    chart: { figure: "perCpuSecond", title: "Deliveries per server CPU-second" },
  };
}

function comparisonsAt(rate: Rate, rates: readonly Rate[]): Comparison[] {
  const of = { system: "relay", load: loadName(rate) };
  const ratio = (what: string, system: string, load: Rate, atLeast?: number): Comparison => ({
    what: `${loadName(rate)}: ${what}`,
    figure: "perCpuSecond",
    of,
    to: { system, load: loadName(load) },
    as: "ratio",
    ...(atLeast === undefined ? {} : { atLeast }),
  });
  const saturated = rates.includes("saturated");
  const least = wanted.get(rate);
  return [
    ...(rates.includes(rate) ? [ratio("against before", "before", rate)] : []),
    ...(rate === 50
      ? [
          ratio("against naive", "naive", 50, 1.5),
          difference("p50 above raw ws", "p50", 1),
          difference("p99 above raw ws", "p99", 3),
        ]
      : []),
    ...(saturated && rate !== 50 ? [ratio("against naive, saturated", "naive", "saturated", least)] : []),
    ...(rate === "saturated"
      ? [
          ratio("against nats", "nats", "saturated", 1),
          ratio("against nchan", "nchan", "saturated"),
          ratio("against raw ws", "ws", "saturated"),
        ]
      : []),
  ];
}

function difference(what: string, figure: string, atMost: number): Comparison {
  const load = loadName(50);
  return {
    what: `${load}: ${what}`,
    figure,
    of: { system: "relay", load },
    to: { system: "ws", load },
    as: "difference",
    atMost,
    unit: "ms",
  };
}

function isRelay(name: string): boolean {
  return name === "relay" || name === "before";
}

function loadName(rate: Rate): string {
  return rate === "saturated" ? rate : `${rate.toLocaleString("en-US")}/s`;
}
