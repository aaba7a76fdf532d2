/** The prices of tokens and what tokens pay. */
import type { Random } from "../random.ts";
import { pricedToken, tokenObject } from "./data.ts";
import type { Activity, Story } from "./story.ts";
import type { Token, World } from "./world.ts";

const lowestPrice = 100;

/** Small steps that multiply, drawn back towards the first price so that an endless walk stays plausible. */
function nextPrice(token: Token, random: Random): number {
  const pull = Math.max(-0.002, Math.min(0.002, 0.002 * (1 - token.price / token.firstPrice)));
  const moved = Math.round(token.price * (1 + pull + 0.0035 * random.bell()));
  // A change that is none would be a lie.
  const price = moved === token.price ? moved + (random.chance(0.5) ? 1 : -1) : moved;
  return Math.max(lowestPrice, price);
}

export function priceActivities(world: World, random: Random): Activity[] {
  const some = (weight: number) => () => (world.tokens.length > 0 ? weight : 0);
  return [
    { weight: some(100), begin: () => changePrice(random.pick(world.tokens), random) },
    { weight: some(0.4), begin: () => payDividend(random.pick(world.tokens)) },
  ];
}

function* changePrice(token: Token, random: Random): Story {
  token.price = nextPrice(token, random);
  // The name in the vendor's other guide for the same thing; rare, but it must not be lost.
  if (random.chance(0.03)) {
    yield { type: "token.price_updated", data: tokenObject(token) };
  } else {
    yield { type: "token.price_changed", data: pricedToken(token) };
  }
}

function* payDividend(token: Token): Story {
  yield { type: "token.dividend_issued", data: tokenObject(token) };
}
