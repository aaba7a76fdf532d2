/** Transactions: bought from an offering or from another wallet; they complete and are transferred, or fail. */
import type { EventData } from "@sharmo-relay/protocol";
import type { Random } from "../random.ts";
import type { Activity, Draft, Story } from "./story.ts";
import { addTo, freeBalance, hundredth, newId, type Token, type World } from "./world.ts";

interface Transaction {
  readonly id: string;
  readonly kind: "purchase" | "resale";
  readonly token: Token;
  readonly amount: number;
  readonly price: number;
  readonly buyer: string;
  readonly seller: string;
}

export function tradingActivities(world: World, random: Random, now: () => string): Activity[] {
  const maxUnderWay = Math.min(60, 4 + world.size);
  return [
    {
      weight: () => (world.tokens.length > 0 && world.transactionsUnderWay < maxUnderWay ? 13 : 0),
      begin: () => trade(world, random, now),
    },
  ];
}

function* trade(world: World, random: Random, now: () => string): Story {
  const transaction = agree(world, random);
  if (transaction === undefined) return;
  const { token, seller, amount } = transaction;
  const end = (): void => {
    token.transactionsUnderWay -= 1;
    world.transactionsUnderWay -= 1;
  };

  token.transactionsUnderWay += 1;
  world.transactionsUnderWay += 1;
  addTo(token.reserved, seller, amount);
  yield { type: "transaction.created", data: describe(transaction, "created") };
  yield random.integer(1, 4);
  yield { type: "transaction.pending", data: transactionObject(transaction, "pending") };
  yield random.integer(1, 6);

  if (random.chance(0.15)) {
    addTo(token.reserved, seller, -amount);
    const refunded = random.chance(0.7);
    if (!refunded) end();
    yield { type: "transaction.failed", data: describe(transaction, "failed") };
    if (!refunded) return;
    yield random.integer(2, 10);
    end();
    yield { type: "transaction.refunded", data: describe(transaction, "refunded") };
    return;
  }

  yield completed(transaction, now());
  yield random.integer(1, 2);
  addTo(token.reserved, seller, -amount);
  addTo(token.balances, seller, -amount);
  addTo(token.balances, transaction.buyer, amount);
  end();
  yield transferred(transaction, now());
}

/** Finds a token, someone who has some of it left to sell, and someone else who buys. */
function agree(world: World, random: Random): Transaction | undefined {
  const open = world.tokens.filter((token) => !token.closing);
  const offered = open.filter((token) => token.offering);
  // An offering draws more orders than the rest of the market.
  const wanted = offered.length > 0 && random.chance(0.4) ? offered : open;
  if (wanted.length === 0) return undefined;
  const token = random.pick(wanted);
  const onOffer = token.offering && freeBalance(token, token.contract) > 0;
  const holders = [...token.balances.keys()].filter(
    (holder) => holder !== token.contract && freeBalance(token, holder) > 0,
  );
  if (!onOffer && holders.length === 0) return undefined;
  const kind = onOffer && (holders.length === 0 || random.chance(0.8)) ? "purchase" : "resale";
  const seller = kind === "purchase" ? token.contract : random.pick(holders);
  const buyers = world.wallets.filter((wallet) => wallet !== seller);
  return {
    id: newId("txn", random),
    kind,
    token,
    amount: Math.min(drawAmount(token, random), freeBalance(token, seller)),
    price: token.price,
    buyer: random.pick(buyers),
    seller,
  };
}

/** Mostly a few whole tokens, now and then a large order, one in six a fraction. In hundredths. */
function drawAmount(token: Token, random: Random): number {
  const whole = random.chance(0.1)
    ? random.integer(1, Math.ceil(token.property.tokens / 20))
    : random.integer(1, Math.ceil(token.property.tokens / 200));
  return random.chance(1 / 6) ? whole * 100 - 100 + random.pick([10, 25, 50, 75]) : whole * 100;
}

function describe(transaction: Transaction, status: string): EventData<"transaction.created"> {
  return { transaction_id: transaction.id, ...terms(transaction), status };
}

/** As the REST API shows it: named by `id`. */
function transactionObject(transaction: Transaction, status: string): EventData<"transaction.pending"> {
  return { id: transaction.id, ...terms(transaction), status };
}

function completed(transaction: Transaction, timestamp: string): Draft {
  return {
    type: "transaction.completed",
    data: { transaction_id: transaction.id, ...terms(transaction), timestamp, status: "completed" },
  };
}

function transferred(transaction: Transaction, timestamp: string): Draft {
  return {
    type: "token.transferred",
    data: {
      token_id: transaction.token.id,
      from_address: transaction.seller,
      to_address: transaction.buyer,
      amount: hundredth(transaction.amount),
      transaction_id: transaction.id,
      timestamp,
    },
  };
}

function terms(
  transaction: Transaction,
): Omit<EventData<"transaction.completed">, "transaction_id" | "timestamp" | "status"> {
  return {
    transaction_type: transaction.kind,
    token_id: transaction.token.id,
    amount: hundredth(transaction.amount),
    price_per_token: hundredth(transaction.price),
    total_amount: hundredth(Math.round((transaction.price * transaction.amount) / 100)),
    buyer_address: transaction.buyer,
    seller_address: transaction.seller,
  };
}
