/**
 * A market that never ends: properties, tokens, offerings, transactions and users whose events fit together.
 * Pure and repeatable: the same options give the same events, byte for byte.
 */
import type { EventOf, EventType } from "@sharmo-relay/protocol";
import { SimulatorError } from "./errors.ts";
import { listingActivities } from "./market/listings.ts";
import { peopleActivities } from "./market/people.ts";
import { platformActivities } from "./market/platform.ts";
import { priceActivities } from "./market/prices.ts";
import { createStage, type Draft, drawActivity } from "./market/story.ts";
import { tradingActivities } from "./market/trading.ts";
import { createWorld, newId } from "./market/world.ts";
import { createRandom } from "./random.ts";

export type SimulatedEvent = EventOf<EventType>;

export interface MarketOptions {
  /** Any text. Default: `sharmo`. */
  readonly seed?: string;
  /** How many tokens trade once the market has filled. Default: 12. */
  readonly tokens?: number;
  /**
   * When the market opens, in milliseconds since 1970. Default: 2025-01-01T00:00:00Z. The same seed at another
   * time has the same properties and tokens, but other events with other ids: so a simulator that starts again
   * sends nothing that its receiver has to take for a duplicate.
   */
  readonly start?: number;
  /** Events in a second of simulated time, on average. Default: 5. */
  readonly pace?: number;
  /** The real time in milliseconds, to be used instead of the simulated one; gives up repeatable bytes. */
  readonly now?: () => number;
}

export interface Market extends Iterable<SimulatedEvent> {
  /** The next event; there always is one. */
  next(): SimulatedEvent;
}

export const defaultStart: number = Date.UTC(2025, 0, 1);
const defaultTokens = 12;
const defaultPace = 5;

export function createMarket(options: MarketOptions = {}): Market {
  const { seed = "sharmo", tokens = defaultTokens, start = defaultStart, pace = defaultPace } = options;
  if (!Number.isInteger(tokens) || tokens < 1) {
    throw new SimulatorError("invalid_option", "tokens: expected a whole number from 1, for example 12");
  }
  if (!(pace > 0))
    throw new SimulatorError("invalid_option", "pace: expected a number above 0, for example 5");

  const root = createRandom(seed);
  const life = root.fork(`life/${start}`);
  const ids = life.fork("ids");
  const clock = createClock(start, pace, options.now);
  const world = createWorld(tokens, root.fork("world"));
  const activities = [
    ...priceActivities(world, life.fork("prices")),
    ...tradingActivities(world, life.fork("trading"), clock.now),
    ...listingActivities(world, life.fork("listings")),
    ...peopleActivities(world, life.fork("people")),
    ...platformActivities(life.fork("platform"), clock.now),
  ];
  const choice = life.fork("choice");
  const pauses = life.fork("pauses");
  const stage = createStage(() => drawActivity(activities, choice.next()).begin());

  const next = (): SimulatedEvent => {
    // Even draws from none to twice the mean: a bell or an exponential would need Math.log.
    clock.advance(pauses.next() * 2);
    return wrap(newId("evt", ids), clock.now(), stage.next());
  };

  return {
    next,
    *[Symbol.iterator]() {
      for (;;) yield next();
    },
  };
}

/** An event of the draft's own type; the union of all types does not see that the two correspond. */
function wrap(id: string, createdAt: string, { type, data }: Draft): SimulatedEvent {
  return { id, type, created_at: createdAt, data } as SimulatedEvent;
}

interface Clock {
  now(): string;
  /** Goes on by `share` of the mean pause, or to the real time if there is one; never back. */
  advance(share: number): void;
}

function createClock(start: number, pace: number, real: (() => number) | undefined): Clock {
  let at = start;
  let text = new Date(start).toISOString();
  return {
    now: () => text,
    advance: (share) => {
      at = real === undefined ? at + Math.round((share * 1_000) / pace) : Math.max(at, real());
      text = new Date(at).toISOString();
    },
  };
}
