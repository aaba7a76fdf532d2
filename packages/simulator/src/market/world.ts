/**
 * What exists in the simulated market at a moment. Money is whole cents and amounts are whole hundredths of a
 * token, so that sums are exact; they become JSON numbers only in events.
 */
import { hexDigits, idCharacters, type Random } from "../random.ts";
import { type Place, placeOf, places } from "./places.ts";

type PropertyStatus = "pending" | "active" | "sold" | "delisted";

export interface Property {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly type: string;
  readonly tokens: number;
  readonly value: number;
  price: number;
  status: PropertyStatus;
}

export interface Token {
  readonly id: string;
  readonly property: Property;
  readonly symbol: string;
  /** Holds what is issued and not sold yet. */
  readonly contract: string;
  readonly blockchain: string;
  readonly firstPrice: number;
  price: number;
  issued: number;
  readonly balances: Map<string, number>;
  /** The part of a balance that transactions under way have promised away. */
  readonly reserved: Map<string, number>;
  transactionsUnderWay: number;
  offering: boolean;
  /** On its way out with its property: takes no new transactions, offerings or issues. */
  closing: boolean;
}

export interface World {
  /** How many tokens the market aims to have. */
  readonly size: number;
  /** Tokens that are issued and trade. */
  readonly tokens: Token[];
  readonly wallets: string[];
  listingsUnderWay: number;
  plainListingsUnderWay: number;
  usersUnderWay: number;
  transactionsUnderWay: number;
  /** The next property that is to be tokenised, with its token. */
  newListing(): { property: Property; token: Token };
  /** The next property that never is. */
  newPlainProperty(): Property;
  admit(wallet: string): void;
}

const walletsAtStart = 4;
const maxWallets = 200;
const namesForListings = places.slice(0, 18);
const namesForPlain = places.slice(18);
const tokenCounts = [2_000, 2_500, 5_000, 10_000, 20_000, 25_000, 50_000] as const;
/** Cents: no property is worth less. */
const leastValue = 40_000_000;

/**
 * `random` decides what properties, tokens and first wallets are like. The n-th is always the same one, whatever
 * happens in the market meanwhile.
 */
export function createWorld(size: number, random: Random): World {
  let listings = 0;
  let plain = 0;
  const wallets = Array.from({ length: walletsAtStart }, (_, n) => newWallet(random.fork(`wallet/${n}`)));

  return {
    size,
    tokens: [],
    wallets,
    listingsUnderWay: 0,
    plainListingsUnderWay: 0,
    usersUnderWay: 0,
    transactionsUnderWay: 0,
    newListing: () => {
      const own = random.fork(`listing/${listings}`);
      const place = placeOf(listings, namesForListings);
      listings += 1;
      const property = newProperty(place, own);
      return { property, token: newToken(property, place.symbol, own) };
    },
    newPlainProperty: () => {
      const property = newProperty(placeOf(plain, namesForPlain), random.fork(`plain/${plain}`));
      plain += 1;
      return property;
    },
    // Beyond the limit a newcomer simply never trades: the world must not grow for ever.
    admit: (wallet) => {
      if (wallets.length < maxWallets) wallets.push(wallet);
    },
  };
}

/** `0x` and 40 hex digits; half of the wallets are written in mixed case, as checksummed addresses are. */
export function newWallet(random: Random): string {
  const digits = random.text(hexDigits, 40);
  if (random.chance(0.5)) return `0x${digits}`;
  return `0x${digits.replace(/[a-f]/g, (digit) => (random.chance(0.5) ? digit.toUpperCase() : digit))}`;
}

export function newId(prefix: string, random: Random): string {
  return `${prefix}_${random.text(idCharacters, 16)}`;
}

function newProperty(place: Place, random: Random): Property {
  const tokens = random.pick(tokenCounts);
  // A price in steps of 50 cents, from 25 to 400 dollars.
  const value = tokens * 50 * random.integer(Math.max(50, Math.ceil(leastValue / tokens / 50)), 800);
  return {
    id: newId("prop", random),
    name: place.name,
    address: place.address,
    type: place.type,
    tokens,
    value,
    price: value,
    status: "pending",
  };
}

function newToken(property: Property, symbol: string, random: Random): Token {
  const firstPrice = property.value / property.tokens;
  return {
    id: newId("tok", random),
    property,
    symbol,
    contract: newWallet(random),
    blockchain: random.pick(["polygon", "polygon", "ethereum"]),
    firstPrice,
    price: firstPrice,
    issued: 0,
    balances: new Map(),
    reserved: new Map(),
    transactionsUnderWay: 0,
    offering: false,
    closing: false,
  };
}

/** What a holder can still promise to sell. */
export function freeBalance(token: Token, holder: string): number {
  return (token.balances.get(holder) ?? 0) - (token.reserved.get(holder) ?? 0);
}

export function addTo(balances: Map<string, number>, holder: string, amount: number): void {
  const left = (balances.get(holder) ?? 0) + amount;
  if (left < 0) throw new Error(`the balance of ${holder} would fall below zero`);
  if (left === 0) balances.delete(holder);
  else balances.set(holder, left);
}

/** Cents as dollars, hundredths as tokens: the numbers that stand in events. */
export function hundredth(whole: number): number {
  return whole / 100;
}
