/** What permessage-deflate saves on the wire and costs in CPU and memory. */
import { drive } from "./drive.ts";
import { idleMemory } from "./idle.ts";
import type { BenchOptions } from "./options.ts";
import type { Case, Comparison, Scenario } from "./scenario.ts";
import type { System } from "./systems.ts";

/** Events that are due together, fifty times a second: what one write can gather. */
const bursts = [
  { events: 1, atMost: 0.65 },
  { events: 4, atMost: 0.4 },
  { events: 16, atMost: 0.28 },
] as const;
const burstsPerSecond = 50;
const idleClients = 5_000;
const offered = ["--deflate"];

export function compressionScenario(options: BenchOptions, systems: readonly System[]): Scenario {
  const clients = options.clients ?? 250;
  const seats = Array.from({ length: clients }, () => ({ topics: ["token.price_changed"] }));
  const own = systems.filter(({ name }) => name === "relay" || name === "before");
  const modes = [
    { name: "plain", clientArgs: [] },
    { name: "deflate", clientArgs: offered },
  ] as const;
  return {
    name: "compression",
    title: `permessage-deflate, ${clients.toLocaleString("en-US")} subscribers of one topic`,
    how: `The clients offer permessage-deflate as browsers do, or do not. 1, 4 or 16 events are due together, fifty times a second. Bytes are all that arrive on the sockets, frame heads included. Idle: ${idleClients.toLocaleString("en-US")} connections that only listen, as in the scenario idle.`,
    cases: [
      ...bursts.flatMap(({ events: burst }) =>
        own.flatMap((system) =>
          modes.map(
            ({ name, clientArgs }): Case => ({
              system: system.name,
              load: loadName(burst, name),
              run: () =>
                drive({
                  system,
                  seats,
                  rate: burst * burstsPerSecond,
                  burst,
                  seconds: options.seconds,
                  perEvent: clients,
                  clientArgs,
                }),
            }),
          ),
        ),
      ),
      ...own.flatMap((system) =>
        modes.map(
          ({ name, clientArgs }): Case => ({
            system: system.name,
            load: `idle, ${name}`,
            run: () => idleMemory(system, idleClients, clientArgs),
          }),
        ),
      ),
    ],
    columns: [
      { figure: "bytesPerDelivery", title: "bytes / delivery", digits: 0 },
      { figure: "cpuPerDeliveryUs", title: "CPU µs / delivery", digits: 2 },
      { figure: "deliveriesPerRead", title: "events / read", digits: 1 },
      { figure: "p50", title: "p50 ms", digits: 1 },
      { figure: "kibPerConnection", title: "KiB / connection", digits: 1 },
    ],
    comparisons: [
      ...bursts.flatMap(({ events, atMost }) => comparisonsOf(events, atMost)),
      {
        what: "memory of an idle connection above plain",
        figure: "kibPerConnection",
        of: { system: "relay", load: "idle, deflate" },
        to: { system: "relay", load: "idle, plain" },
        as: "difference",
        atMost: 2,
        unit: "KiB",
      },
    ],
    chart: { figure: "bytesPerDelivery", title: "Bytes for a delivered event" },
  };
}

function comparisonsOf(burst: number, atMost: number): Comparison[] {
  const of = { system: "relay", load: loadName(burst, "deflate") };
  const to = { system: "relay", load: loadName(burst, "plain") };
  return [
    {
      what: `${burst} together: bytes against plain`,
      figure: "bytesPerDelivery",
      of,
      to,
      as: "ratio",
      atMost,
    },
    {
      what: `${burst} together: CPU against plain`,
      figure: "cpuPerDeliveryUs",
      of,
      to,
      as: "ratio",
      atMost: 1.15,
    },
  ];
}

function loadName(burst: number, mode: string): string {
  return `${burst} together, ${mode}`;
}
