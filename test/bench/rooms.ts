/** Rooms as people use them: some of many tokens each, and a token of one's own. */
import { createRandom } from "@sharmo-relay/simulator";
import { drive } from "./drive.ts";
import type { BenchOptions, Rate } from "./options.ts";
import type { Case, Comparison, Scenario } from "./scenario.ts";
import type { Seat, System } from "./systems.ts";

const some = { tokens: 200, each: 20, rate: 2_000, name: "20 of 200 tokens" } as const;
/** Those that have rooms for topics. */
const roomy: readonly string[] = ["relay", "before", "naive"];
const own = { rate: 1_000, name: "a token each" } as const;

export function roomsScenario(options: BenchOptions, systems: readonly System[]): Scenario {
  const clients = Math.max(10, Math.floor((options.clients ?? 1_000) / 10) * 10);
  const { seconds } = options;
  const withRooms = systems.filter(({ name }) => roomy.includes(name));
  const someSeats = dealt(clients);
  const someAt = (rate: Rate): Case[] =>
    withRooms.map((system) => ({
      system: system.name,
      load: `${some.name}, ${rateName(rate)}`,
      run: () =>
        drive({
          system,
          seats: someSeats,
          rate,
          seconds,
          tokens: some.tokens,
          perEvent: (clients * some.each) / some.tokens,
        }),
    }));
  const ownSeats = Array.from({ length: clients }, (_, index) => ({ topics: [topicOf(index)] }));
  return {
    name: "rooms",
    title: `${clients.toLocaleString("en-US")} subscribers of narrowed topics`,
    how: `Each client follows ${some.each} of ${some.tokens} tokens, dealt at random so that each token has equally many clients; or one token of its own. Events are about the tokens in turn.`,
    cases: [
      ...someAt(some.rate).filter(({ system }) => system !== "naive"),
      ...someAt("saturated"),
      ...withRooms.map(
        (system): Case => ({
          system: system.name,
          load: `${own.name}, ${rateName(own.rate)}`,
          run: () =>
            drive({ system, seats: ownSeats, rate: own.rate, seconds, tokens: clients, perEvent: 1 }),
        }),
      ),
    ],
    columns: [
      { figure: "perCpuSecond", title: "deliveries / CPU-s", digits: 0 },
      { figure: "cpuPerEventUs", title: "CPU µs / event", digits: 0 },
      { figure: "p50", title: "p50 ms", digits: 1 },
      { figure: "p99", title: "p99 ms", digits: 1 },
      { figure: "deliveriesPerRead", title: "events / read", digits: 1 },
    ],
    comparisons: comparisons(),
    chart: { figure: "perCpuSecond", title: "Deliveries per server CPU-second" },
  };
}

function comparisons(): Comparison[] {
  const at = `${some.name}, ${rateName(some.rate)}`;
  const saturated = `${some.name}, saturated`;
  const each = `${own.name}, ${rateName(own.rate)}`;
  const figure = "perCpuSecond";
  return [
    {
      what: `${at}: against naive, saturated`,
      figure,
      of: { system: "relay", load: at },
      to: { system: "naive", load: saturated },
      as: "ratio",
      atLeast: 2,
    },
    {
      what: `${saturated}: against naive`,
      figure,
      of: { system: "relay", load: saturated },
      to: { system: "naive", load: saturated },
      as: "ratio",
    },
    {
      what: `${each}: server CPU against naive`,
      figure: "cpuPerEventUs",
      of: { system: "relay", load: each },
      to: { system: "naive", load: each },
      as: "ratio",
      atMost: 1.25,
    },
    ...[at, saturated, each].map(
      (load): Comparison => ({
        what: `${load}: against before`,
        figure,
        of: { system: "relay", load },
        to: { system: "before", load },
        as: "ratio",
      }),
    ),
  ];
}

/** Each ten clients share the tokens out among themselves: no two have the same ones but by chance. */
function dealt(clients: number): Seat[] {
  const random = createRandom("rooms");
  const seats: Seat[] = [];
  while (seats.length < clients) {
    const tokens = Array.from({ length: some.tokens }, (_, token) => token);
    while (tokens.length > 0) {
      const topics = Array.from({ length: some.each }, () => {
        const [token = 0] = tokens.splice(random.integer(0, tokens.length - 1), 1);
        return topicOf(token);
      });
      seats.push({ topics });
    }
  }
  return seats.slice(0, clients);
}

function topicOf(token: number): string {
  return `token.price_changed?token_id=tok_${token}`;
}

function rateName(rate: Rate): string {
  return rate === "saturated" ? rate : `${rate.toLocaleString("en-US")}/s in all`;
}
