/** Properties from creation to deletion, their tokens, and the offerings and issues of these. */
import type { Random } from "../random.ts";
import {
  changedProperty,
  createdProperty,
  createdToken,
  offeredToken,
  propertyObject,
  tokenObject,
} from "./data.ts";
import type { Activity, Story } from "./story.ts";
import { addTo, freeBalance, type Property, type Token, type World } from "./world.ts";

const maxPlainListings = 2;

export function listingActivities(world: World, random: Random): Activity[] {
  const maxListings = Math.max(2, Math.ceil(world.size / 20));
  const open = (): Token[] => world.tokens.filter((token) => !token.closing);
  const offerable = (): Token[] =>
    open().filter((token) => !token.offering && freeBalance(token, token.contract) > 0);
  // The supply of a token at most doubles.
  const issuable = (): Token[] => open().filter((token) => token.issued < token.property.tokens * 200);

  return [
    {
      // The first comes at once, the others soon, but not so soon that nothing else is seen meanwhile.
      weight: () => {
        const known = world.tokens.length + world.listingsUnderWay;
        if (known >= world.size || world.listingsUnderWay >= maxListings) return 0;
        return known < 2 ? 1_000 : 15;
      },
      begin: () => list(world, random),
    },
    {
      weight: () => (world.plainListingsUnderWay < maxPlainListings ? 0.8 : 0),
      begin: () => listWithoutToken(world, random),
    },
    {
      weight: () => (open().length > 0 ? 2 : 0),
      begin: () => revalue(random.pick(open()).property, random),
    },
    {
      weight: () => (offerable().length > 0 ? 0.5 : 0),
      begin: () => offer(random.pick(offerable()), random),
    },
    {
      weight: () => (issuable().length > 0 ? 0.15 : 0),
      begin: () => issueMore(random.pick(issuable())),
    },
    {
      // Only a full market lets one go.
      weight: () => (world.tokens.length >= world.size && open().length === world.tokens.length ? 0.08 : 0),
      begin: () => retire(world, random.pick(open()), random),
    },
  ];
}

function* list(world: World, random: Random): Story {
  const { property, token } = world.newListing();
  world.listingsUnderWay += 1;
  yield { type: "property.created", data: createdProperty(property) };
  yield random.integer(1, 3);
  property.status = "active";
  yield { type: "property.status_changed", data: changedProperty(property) };
  yield random.integer(1, 3);
  yield { type: "property.tokenized", data: propertyObject(property) };
  yield { type: "token.created", data: createdToken(token) };
  yield random.integer(1, 2);
  issue(token, property.tokens * 100);
  world.listingsUnderWay -= 1;
  world.tokens.push(token);
  yield { type: "token.issued", data: tokenObject(token) };
  yield* offer(token, random);
}

function issue(token: Token, amount: number): void {
  token.issued += amount;
  addTo(token.balances, token.contract, amount);
}

function* issueMore(token: Token): Story {
  issue(token, token.property.tokens * 10);
  yield { type: "token.issued", data: tokenObject(token) };
}

/** An offering lasts a while, and ends sooner when all is sold. One that is closed with its token ends there. */
function* offer(token: Token, random: Random): Story {
  if (token.offering || token.closing) return;
  token.offering = true;
  yield { type: "token.offering_started", data: offeredToken(token) };
  for (let left = random.integer(20, 60); left > 0; left -= 1) {
    yield 10;
    if (token.closing) return;
    if (freeBalance(token, token.contract) === 0) break;
  }
  token.offering = false;
  yield { type: "token.offering_ended", data: offeredToken(token) };
}

/** A token leaves the market before its property does, and only when none of its transactions is under way. */
function* retire(world: World, token: Token, random: Random): Story {
  token.closing = true;
  if (token.offering) {
    token.offering = false;
    yield { type: "token.offering_ended", data: offeredToken(token) };
  }
  while (token.transactionsUnderWay > 0) yield 2;
  world.tokens.splice(world.tokens.indexOf(token), 1);
  yield* leave(token.property, random);
}

function* listWithoutToken(world: World, random: Random): Story {
  const property = world.newPlainProperty();
  world.plainListingsUnderWay += 1;
  yield { type: "property.created", data: createdProperty(property) };
  yield random.integer(2, 10);
  property.status = "active";
  yield { type: "property.status_changed", data: changedProperty(property) };
  yield random.integer(5, 30);
  yield* revalue(property, random);
  yield random.integer(5, 30);
  world.plainListingsUnderWay -= 1;
  yield* leave(property, random);
}

function* leave(property: Property, random: Random): Story {
  if (random.chance(0.5)) {
    property.status = "sold";
    yield { type: "property.sold", data: propertyObject(property) };
  } else {
    property.status = "delisted";
    yield { type: "property.delisted", data: propertyObject(property) };
  }
  yield random.integer(5, 20);
  yield { type: "property.deleted", data: changedProperty(property) };
}

function* revalue(property: Property, random: Random): Story {
  // Whole dollars, a percent or two up or down.
  property.price = Math.round((property.price * (1 + 0.01 * random.bell())) / 100) * 100;
  yield { type: "property.updated", data: changedProperty(property) };
}
