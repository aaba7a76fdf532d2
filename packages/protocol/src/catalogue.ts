/**
 * The catalogue of Sharmo's events: one table from which event names, the types of `data`, filter keys and
 * runtime checks follow.
 *
 * A field is required only where the vendor's documents show it for that event (guide A: `property.created`,
 * `token.transferred`, `transaction.completed`); all else is optional, taken from the objects of the vendor's
 * REST API. An event that is not in this table is routed by the same rules and typed `unknown`.
 */

/** How a field is written in the table: a trailing `?` means that the vendor does not promise it. */
export type FieldKind = "string" | "number" | "string?" | "number?";

export interface CatalogueEntry {
  /** `guide`: named by the specification (guide A). `variant`: only in the vendor's other guides. */
  readonly source: "guide" | "variant";
  /** A later event of the same entity makes an earlier one worthless; only these may be conflated. */
  readonly value: boolean;
  readonly fields: Readonly<Record<string, FieldKind>>;
}

const property = {
  property_id: "string?",
  id: "string?",
  name: "string?",
  address: "string?",
  property_type: "string?",
  price: "number?",
  total_value: "number?",
  total_tokens: "number?",
  status: "string?",
} as const satisfies CatalogueEntry["fields"];

const token = {
  token_id: "string?",
  id: "string?",
  property_id: "string?",
  name: "string?",
  symbol: "string?",
  total_supply: "number?",
  current_price: "number?",
  contract_address: "string?",
  blockchain: "string?",
} as const satisfies CatalogueEntry["fields"];

const transaction = {
  transaction_id: "string?",
  id: "string?",
  transaction_type: "string?",
  token_id: "string?",
  amount: "number?",
  price_per_token: "number?",
  total_amount: "number?",
  buyer_address: "string?",
  seller_address: "string?",
  timestamp: "string?",
  status: "string?",
} as const satisfies CatalogueEntry["fields"];

const user = {
  user_id: "string?",
  id: "string?",
  status: "string?",
} as const satisfies CatalogueEntry["fields"];

const platform = {} as const satisfies CatalogueEntry["fields"];

/** `property.created` as guide A documents it; some samples say `id` for `property_id`, so neither is promised. */
const propertyCreated = {
  property_id: "string?",
  id: "string?",
  name: "string",
  address: "string",
  property_type: "string",
  total_value: "number",
  total_tokens: "number",
  status: "string",
} as const satisfies CatalogueEntry["fields"];

/** `timestamp` is in guide A's sample and absent from guide C's. */
const tokenTransferred = {
  token_id: "string",
  from_address: "string",
  to_address: "string",
  amount: "number",
  transaction_id: "string",
  timestamp: "string?",
} as const satisfies CatalogueEntry["fields"];

const transactionCompleted = {
  transaction_id: "string",
  transaction_type: "string",
  token_id: "string",
  amount: "number",
  price_per_token: "number",
  total_amount: "number",
  buyer_address: "string",
  seller_address: "string",
  timestamp: "string",
  status: "string",
} as const satisfies CatalogueEntry["fields"];

const table = {
  "property.created": { source: "guide", value: false, fields: propertyCreated },
  "property.updated": { source: "guide", value: true, fields: property },
  "property.status_changed": { source: "guide", value: true, fields: property },
  "property.deleted": { source: "guide", value: false, fields: property },
  "property.tokenized": { source: "variant", value: false, fields: property },
  "property.sold": { source: "variant", value: false, fields: property },
  "property.delisted": { source: "variant", value: false, fields: property },
  "token.created": { source: "guide", value: false, fields: token },
  "token.transferred": { source: "guide", value: false, fields: tokenTransferred },
  "token.price_changed": { source: "guide", value: true, fields: token },
  "token.offering_started": { source: "guide", value: false, fields: token },
  "token.offering_ended": { source: "guide", value: false, fields: token },
  "token.issued": { source: "variant", value: false, fields: token },
  "token.price_updated": { source: "variant", value: true, fields: token },
  "token.dividend_issued": { source: "variant", value: false, fields: token },
  "transaction.created": { source: "guide", value: false, fields: transaction },
  "transaction.pending": { source: "variant", value: false, fields: transaction },
  "transaction.completed": { source: "guide", value: false, fields: transactionCompleted },
  "transaction.failed": { source: "guide", value: false, fields: transaction },
  "transaction.refunded": { source: "guide", value: false, fields: transaction },
  "user.registered": { source: "guide", value: false, fields: user },
  "user.kyc_submitted": { source: "guide", value: false, fields: user },
  "user.kyc_approved": { source: "guide", value: false, fields: user },
  "user.kyc_rejected": { source: "guide", value: false, fields: user },
  "user.kyc_updated": { source: "variant", value: false, fields: user },
  "user.kyc_verified": { source: "variant", value: false, fields: user },
  "platform.maintenance_scheduled": { source: "guide", value: false, fields: platform },
  "platform.feature_launched": { source: "guide", value: false, fields: platform },
} as const satisfies Record<string, CatalogueEntry>;

type Table = typeof table;

/** The 28 event names that the vendor's documents mention. */
export type EventType = keyof Table & string;

export const catalogue: { readonly [T in EventType]: Table[T] } = table;

export const eventTypes: readonly EventType[] = Object.keys(table) as EventType[];

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(table, type);
}

/** What precedes the first dot of an event name. */
export type EventGroup = EventType extends infer T ? (T extends `${infer G}.${string}` ? G : never) : never;

type ValueOf<K extends FieldKind> = K extends `string${string}` ? string : number;
type Required<F> = { [K in keyof F as F[K] extends `${string}?` ? never : K]: F[K] };
type Optional<F> = { [K in keyof F as F[K] extends `${string}?` ? K : never]: F[K] };
type Flat<T> = { [K in keyof T]: T[K] };
type DataFrom<F> = Flat<
  {
    readonly [K in keyof Required<F>]: Required<F>[K] extends FieldKind ? ValueOf<Required<F>[K]> : never;
  } & {
    readonly [K in keyof Optional<F>]?: Optional<F>[K] extends FieldKind ? ValueOf<Optional<F>[K]> : never;
  }
>;

/** The `data` of an event by its name; fields the vendor does not document are not in the type. */
export type EventData<T extends EventType> = DataFrom<Table[T]["fields"]>;

/** An event as Sharmo sends it. `created_at` is an ISO 8601 time with zone. */
export interface SharmoEvent<T extends string = string, D = unknown> {
  readonly id: string;
  readonly type: T;
  readonly created_at: string;
  readonly data: D;
}

/** An event of the catalogue; a union that narrows on `type` when `T` is a union. */
export type EventOf<T extends EventType> = T extends EventType ? SharmoEvent<T, EventData<T>> : never;

/** The fields of `data` in which an address may stand. */
export const addressFields = ["from_address", "to_address", "buyer_address", "seller_address"] as const;
export type AddressField = (typeof addressFields)[number];

/** Filter keys that name one thing, each with the group in which `data.id` stands for it too. */
export const idKeys = {
  token_id: "token",
  property_id: "property",
  transaction_id: "transaction",
  user_id: "user",
} as const;
export type IdKey = keyof typeof idKeys;

/** Everything a topic can be narrowed by. */
export type FilterKey = IdKey | "address";
export const filterKeys: readonly FilterKey[] = [
  "token_id",
  "property_id",
  "transaction_id",
  "user_id",
  "address",
];

type OwnKey<T extends string> = {
  [K in IdKey]: T extends `${(typeof idKeys)[K]}.${string}` ? K : never;
}[IdKey];

/** The filter keys that an event can have: fields it has, the id of its own group, and `address`. */
export type FilterKeyOf<T extends EventType> = T extends EventType
  ?
      | Extract<keyof Table[T]["fields"], IdKey>
      | OwnKey<T>
      | (Extract<keyof Table[T]["fields"], AddressField> extends never ? never : "address")
  : never;

/** The group of an event name: what precedes the first dot; empty if there is none. */
export function groupOf(type: string): string {
  return type.slice(0, Math.max(type.indexOf("."), 0));
}

/** True if only the newest event of an entity matters: what `conflate` leaves out. */
export function isValueType(type: string): boolean {
  return isEventType(type) && table[type].value;
}

/**
 * The key by which the latest value of an event is kept: `token_id` for `token.*`, `property_id` for
 * `property.*`, none for all else.
 */
export function primaryKeyOf(type: string): IdKey | undefined {
  const group = groupOf(type);
  if (group === "token") return "token_id";
  if (group === "property") return "property_id";
  return undefined;
}
