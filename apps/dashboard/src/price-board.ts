/**
 * What the price table shows: per token its price, the one before, and the last values. A reducer with neither
 * clock nor socket in it; rows that did not change keep their identity, so that only changed rows are drawn again.
 */
import { numberOf, textOf } from "./format.ts";

/** As many values as the sparkline draws. */
export const historyLength = 30;

type Direction = "up" | "down" | "level";

export interface PriceRow {
  readonly tokenId: string;
  readonly symbol: string | undefined;
  readonly name: string | undefined;
  readonly price: number | undefined;
  /** The last known price before it. */
  readonly previous: number | undefined;
  /** Oldest first; ends with the last known price. */
  readonly history: readonly number[];
  /** `created_at` of the newest price in ms; undefined while only the token's name is known. */
  readonly changedAt: number | undefined;
  readonly direction: Direction;
  /** Grows with each change that is to flash; 0 as long as there was none. */
  readonly flashes: number;
}

export interface PriceBoard {
  readonly rows: ReadonlyMap<string, PriceRow>;
  /** Ids of tokens in the order of the table: by symbol, then by id. */
  readonly order: readonly string[];
}

/** What the board needs of an event; `data` is read field by field, since none of it is promised. */
interface TokenEvent {
  readonly created_at: string;
  readonly data: unknown;
}

export interface PriceUpdate {
  /** `price`: the price changed. `token`: news of the token, which may name its price. */
  readonly kind: "price" | "token";
  readonly event: TokenEvent;
  /** True for a value that was there before the page: it does not flash. */
  readonly stored: boolean;
}

export const emptyBoard: PriceBoard = { rows: new Map(), order: [] };

export function applyPrices(board: PriceBoard, updates: readonly PriceUpdate[]): PriceBoard {
  const rows = new Map(board.rows);
  let changed = false;
  let reorder = false;
  for (const update of updates) {
    const fields = fieldsOf(update.event.data);
    if (fields === undefined) continue;
    const before = rows.get(fields.tokenId);
    const after = applyOne(before, update, fields);
    if (after === before) continue;
    rows.set(fields.tokenId, after);
    changed = true;
    reorder ||= before === undefined || labelOf(before) !== labelOf(after);
  }
  if (!changed) return board;
  return { rows, order: reorder ? sortedIds(rows) : board.order };
}

/** What the table calls a token: its symbol, else its name, else its id. */
export function labelOf(row: Pick<PriceRow, "symbol" | "name" | "tokenId">): string {
  return row.symbol ?? row.name ?? row.tokenId;
}

interface TokenFields {
  readonly tokenId: string;
  readonly symbol: string | undefined;
  readonly name: string | undefined;
  readonly price: number | undefined;
}

function fieldsOf(data: unknown): TokenFields | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...data };
  const tokenId = textOf(fields["token_id"]) ?? textOf(fields["id"]);
  if (tokenId === undefined) return undefined;
  return {
    tokenId,
    symbol: textOf(fields["symbol"]),
    name: textOf(fields["name"]),
    price: numberOf(fields["current_price"]),
  };
}

function applyOne(before: PriceRow | undefined, update: PriceUpdate, fields: TokenFields): PriceRow {
  const row = withNames(before, fields);
  // News of a token that names no price leaves the price as it is.
  if (update.kind === "token" && fields.price === undefined) return row;
  const at = Date.parse(update.event.created_at);
  // A retry can bring an old price hours late; it must not replace a newer one.
  if (row.changedAt !== undefined && at < row.changedAt) return row;
  return withPrice(row, fields.price, Number.isNaN(at) ? row.changedAt : at, update.stored);
}

function withNames(before: PriceRow | undefined, fields: TokenFields): PriceRow {
  const { tokenId } = fields;
  const symbol = fields.symbol ?? before?.symbol;
  const name = fields.name ?? before?.name;
  if (before === undefined) {
    return {
      tokenId,
      symbol,
      name,
      price: undefined,
      previous: undefined,
      history: [],
      changedAt: undefined,
      direction: "level",
      flashes: 0,
    };
  }
  return symbol === before.symbol && name === before.name ? before : { ...before, symbol, name };
}

/** `price` undefined: it changed, but the event does not say to what. */
function withPrice(
  row: PriceRow,
  price: number | undefined,
  changedAt: number | undefined,
  stored: boolean,
): PriceRow {
  const last = row.history.at(-1);
  if (price === undefined) return { ...row, price, previous: last, changedAt, direction: "level" };
  if (price === last) return { ...row, price, changedAt };
  // Of stored values only the latest counts: what came before it is not known, whatever else is stored of the token.
  if (stored && row.history.length <= 1) return { ...row, price, history: [price], changedAt };
  const moved = last !== undefined;
  return {
    ...row,
    price,
    previous: last,
    history: [...row.history.slice(1 - historyLength), price],
    changedAt,
    direction: moved ? directionOf(last, price) : "level",
    flashes: moved && !stored ? row.flashes + 1 : row.flashes,
  };
}

function directionOf(from: number, to: number): Direction {
  return to > from ? "up" : "down";
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function sortedIds(rows: ReadonlyMap<string, PriceRow>): readonly string[] {
  return [...rows.values()]
    .sort((a, b) => collator.compare(labelOf(a), labelOf(b)) || collator.compare(a.tokenId, b.tokenId))
    .map((row) => row.tokenId);
}
