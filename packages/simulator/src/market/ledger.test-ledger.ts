/**
 * Keeps books from nothing but events, as a suspicious receiver would, and throws at the first that does not fit
 * the ones before it. Amounts and prices are compared in whole hundredths.
 */
import type { EventData } from "@sharmo-relay/protocol";
import type { SimulatedEvent } from "../market.ts";

interface PropertyBook {
  status: string;
  tokenized: boolean;
  deleted: boolean;
}

export interface TokenBook {
  readonly property: string;
  readonly contract: string;
  readonly planned: number;
  price: number;
  issued: number;
  offering: boolean;
  readonly balances: Map<string, number>;
  /** What transactions that are not settled have promised. */
  readonly promised: Map<string, number>;
}

interface TransactionBook {
  status: string;
  readonly terms: string;
  readonly data: EventData<"transaction.created">;
}

const transactionSteps: Readonly<Record<string, readonly string[]>> = {
  "transaction.pending": ["transaction.created"],
  "transaction.completed": ["transaction.pending"],
  "transaction.failed": ["transaction.pending"],
  "transaction.refunded": ["transaction.failed"],
  "token.transferred": ["transaction.completed"],
};

const userSteps: Readonly<Record<string, readonly string[]>> = {
  "user.kyc_submitted": ["user.registered", "user.kyc_rejected"],
  "user.kyc_updated": ["user.kyc_submitted"],
  "user.kyc_rejected": ["user.kyc_submitted", "user.kyc_updated"],
  "user.kyc_approved": ["user.kyc_submitted", "user.kyc_updated"],
  "user.kyc_verified": ["user.kyc_approved"],
};

const wallet = /^0x[0-9a-fA-F]{40}$/;

export class Ledger {
  readonly tokens = new Map<string, TokenBook>();
  readonly #properties = new Map<string, PropertyBook>();
  readonly #transactions = new Map<string, TransactionBook>();
  readonly #users = new Map<string, string>();
  readonly #ids = new Set<string>();
  #lastTime = "";

  add(event: SimulatedEvent): void {
    try {
      this.#envelope(event);
      if (event.type.startsWith("property.")) this.#property(event);
      else if (event.type === "token.transferred") this.#transfer(event.data);
      else if (event.type.startsWith("token.")) this.#token(event);
      else if (event.type.startsWith("transaction.")) this.#transaction(event);
      else if (event.type.startsWith("user.")) this.#user(event);
    } catch (error) {
      throw new Error(`${JSON.stringify(event)}: ${error instanceof Error ? error.message : error}`);
    }
  }

  #envelope({ id, created_at }: SimulatedEvent): void {
    check(/^evt_[0-9a-z]{16}$/.test(id), "an event id");
    check(!this.#ids.has(id), "an id that was not used before");
    this.#ids.add(id);
    check(new Date(created_at).toISOString() === created_at, "an ISO 8601 time");
    check(created_at >= this.#lastTime, "a time that does not go back");
    this.#lastTime = created_at;
  }

  #property({ type, data }: SimulatedEvent): void {
    const { property_id, id = property_id, status } = data as EventData<"property.updated">;
    check(id?.startsWith("prop_") === true, "a property id");
    if (type === "property.created") {
      check(!this.#properties.has(id), "a new property");
      this.#properties.set(id, { status: "pending", tokenized: false, deleted: false });
    }
    const book = this.#openProperty(id);
    if (type === "property.status_changed") {
      check(status !== book.status, "another status");
      book.status = status ?? "";
    }
    if (type === "property.sold" || type === "property.delisted") {
      check(book.status === "active", "an active property");
      const tokens = [...this.tokens.values()].filter((token) => token.property === id);
      check(
        tokens.every((token) => !token.offering && [...token.promised.values()].every((sum) => sum === 0)),
        "tokens without offering and transactions under way",
      );
      book.status = type.slice("property.".length);
    }
    if (type === "property.tokenized") {
      check(book.status === "active" && !book.tokenized, "an active property without a token");
      book.tokenized = true;
    }
    if (type === "property.deleted") {
      check(book.status === "sold" || book.status === "delisted", "a property that left the market before");
      book.deleted = true;
    }
    check(status === book.status, `the status ${book.status}`);
  }

  #openProperty(id: string): PropertyBook {
    const book = this.#properties.get(id);
    check(book !== undefined && !book.deleted, "a property that exists");
    return book;
  }

  #token({ type, data }: SimulatedEvent): void {
    const token = data as EventData<"token.created">;
    const id = token.token_id ?? token.id ?? "";
    const price = hundredths(token.current_price);
    if (type === "token.created") {
      const property = token.property_id ?? "";
      check(id.startsWith("tok_") && !this.tokens.has(id), "a new token");
      check(this.#openProperty(property).tokenized, "a tokenised property");
      const contract = token.contract_address ?? "";
      check(wallet.test(contract), "a contract address");
      const planned = hundredths(token.total_supply);
      const none = { issued: 0, offering: false, balances: new Map(), promised: new Map() };
      this.tokens.set(id, { property, contract, planned, price, ...none });
      return;
    }
    const book = this.#activeToken(id);
    if (type === "token.issued") {
      const more = hundredths(token.total_supply) - book.issued;
      check(more > 0, "a supply that grows");
      check(book.issued > 0 || more === book.planned, "all that was planned, at first");
      book.issued += more;
      move(book.balances, book.contract, more);
    }
    check(book.issued > 0, "an issued token");
    if (token.total_supply !== undefined) check(hundredths(token.total_supply) === book.issued, "the supply");
    if (type === "token.offering_started" || type === "token.offering_ended") {
      check(book.offering === (type === "token.offering_ended"), "offerings that start and end in turn");
      book.offering = !book.offering;
    }
    if (type === "token.price_changed" || type === "token.price_updated") {
      check(price > 0 && price !== book.price, "another price above zero");
      check(Math.abs(price - book.price) <= Math.max(1, 0.02 * book.price), "a small step");
      book.price = price;
    }
    check(price === book.price, `the price ${book.price}`);
  }

  #activeToken(id: string): TokenBook {
    const book = this.tokens.get(id);
    check(book !== undefined, "a token that was created");
    check(this.#openProperty(book.property).status === "active", "a token whose property is active");
    return book;
  }

  #transaction({ type, data }: SimulatedEvent): void {
    const transaction = data as EventData<"transaction.created">;
    const id = transaction.transaction_id ?? transaction.id ?? "";
    const { token_id = "", seller_address = "", buyer_address = "" } = transaction;
    const token = this.#activeToken(token_id);
    const amount = hundredths(transaction.amount);
    if (type === "transaction.created") {
      check(id.startsWith("txn_") && !this.#transactions.has(id), "a new transaction");
      check(wallet.test(buyer_address) && wallet.test(seller_address), "wallets");
      check(buyer_address !== seller_address, "two parties");
      check(hundredths(transaction.price_per_token) === token.price, "the current price");
      check(
        Math.abs(hundredths(transaction.total_amount) - (amount * token.price) / 100) <= 0.5,
        "the total",
      );
      if (transaction.transaction_type === "purchase") {
        check(token.offering && seller_address === token.contract, "an offering to buy from");
      }
      move(token.promised, seller_address, amount);
      check((token.promised.get(seller_address) ?? 0) <= (token.balances.get(seller_address) ?? 0), "cover");
      this.#transactions.set(id, { status: type, terms: termsOf(transaction), data: transaction });
    } else {
      this.#step(id, type, transaction);
      if (type === "transaction.failed") move(token.promised, seller_address, -amount);
    }
    check(transaction.status === type.slice("transaction.".length), "the status");
  }

  #step(id: string, type: string, transaction?: EventData<"transaction.created">): TransactionBook {
    const book = this.#transactions.get(id);
    check(book !== undefined, "a known transaction");
    check(transactionSteps[type]?.includes(book.status) === true, `what may follow ${book.status}`);
    if (transaction !== undefined) check(book.terms === termsOf(transaction), "the same terms");
    book.status = type;
    return book;
  }

  #transfer(transfer: EventData<"token.transferred">): void {
    const { data } = this.#step(transfer.transaction_id, "token.transferred");
    check(transfer.token_id === data.token_id, "the token of its transaction");
    check(transfer.from_address === data.seller_address, "the seller of its transaction");
    check(transfer.to_address === data.buyer_address, "the buyer of its transaction");
    check(transfer.amount === data.amount, "the amount of its transaction");
    const token = this.#activeToken(transfer.token_id);
    const amount = hundredths(transfer.amount);
    move(token.promised, transfer.from_address, -amount);
    move(token.balances, transfer.from_address, -amount);
    move(token.balances, transfer.to_address, amount);
  }

  #user({ type, data }: SimulatedEvent): void {
    const { user_id, id = user_id } = data as EventData<"user.registered">;
    check(id?.startsWith("usr_") === true, "a user id");
    const before = this.#users.get(id);
    if (type === "user.registered") check(before === undefined, "a new user");
    else check(userSteps[type]?.includes(before ?? "") === true, `what may follow ${before}`);
    this.#users.set(id, type);
  }
}

function termsOf(transaction: EventData<"transaction.created">): string {
  const { transaction_type, token_id, amount, price_per_token, total_amount } = transaction;
  const { buyer_address, seller_address } = transaction;
  return JSON.stringify([
    transaction_type,
    token_id,
    amount,
    price_per_token,
    total_amount,
    buyer_address,
    seller_address,
  ]);
}

function move(balances: Map<string, number>, holder: string, amount: number): void {
  const left = (balances.get(holder) ?? 0) + amount;
  check(left >= 0, `a balance of ${holder} that is not negative`);
  balances.set(holder, left);
}

function hundredths(value: number | undefined): number {
  const whole = Math.round((value ?? Number.NaN) * 100);
  check(whole / 100 === value, "a number with at most two digits behind the point");
  return whole;
}

function check(holds: boolean, expected: string): asserts holds {
  if (!holds) throw new Error(`expected ${expected}`);
}
