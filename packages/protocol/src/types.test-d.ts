/** What must and must not compile. Each `@ts-expect-error` fails the type check if the line below it compiles. */
import { expectTypeOf, test } from "vitest";
import {
  type Cursor,
  catalogue,
  type ErrorCode,
  type EventData,
  type EventGroup,
  type EventMeta,
  type EventOf,
  type EventType,
  type FilterKey,
  type FilterKeyOf,
  type Gap,
  type IdKey,
  isEventType,
  type RelayNotices,
  type SharmoEvent,
  type SubscribeAck,
  type SubscribeRequest,
  type UnsubscribeRequest,
  type WireError,
} from "./index.ts";

function give<T>(_value: T): void {}

test("an event has a name of the catalogue and no other", () => {
  give<EventType>("token.price_changed");
  give<EventType>("user.kyc_verified");
  // @ts-expect-error misspelt
  give<EventType>("token.price_chnged");
  // @ts-expect-error a group is no event
  give<EventType>("token.*");
  // @ts-expect-error any text
  give<EventType>("token.price_changed" as string);
  // @ts-expect-error the relay's own
  give<EventType>("relay.cursor");
  expectTypeOf<EventGroup>().toEqualTypeOf<"property" | "token" | "transaction" | "user" | "platform">();
  // @ts-expect-error not in the table
  catalogue["token.unheard_of"];
});

test("the catalogue cannot be changed", () => {
  // @ts-expect-error read-only
  catalogue["token.created"] = catalogue["token.issued"];
  // @ts-expect-error read-only
  catalogue["token.created"].value = true;
});

test("a name from outside is narrowed by asking", () => {
  const type: string = "token.created";
  if (isEventType(type)) expectTypeOf(type).toEqualTypeOf<EventType>();
});

test("a field is required exactly where the vendor documents it", () => {
  expectTypeOf<EventData<"token.transferred">>().toEqualTypeOf<{
    readonly token_id: string;
    readonly from_address: string;
    readonly to_address: string;
    readonly amount: number;
    readonly transaction_id: string;
    readonly timestamp?: string;
  }>();
  expectTypeOf<EventData<"property.created">["property_id"]>().toEqualTypeOf<string | undefined>();
  expectTypeOf<EventData<"property.created">["total_value"]>().toBeNumber();
  expectTypeOf<EventData<"transaction.completed">["timestamp"]>().toBeString();
  expectTypeOf<EventData<"token.price_changed">["current_price"]>().toEqualTypeOf<number | undefined>();
  give<EventData<"transaction.failed">>({});
  give<EventData<"token.price_changed">>({});
  // @ts-expect-error documented fields are missing
  give<EventData<"transaction.completed">>({});
  // @ts-expect-error a number as text
  give<EventData<"token.price_changed">>({ current_price: "10.50" });
  // @ts-expect-error absent is not undefined
  give<EventData<"token.price_changed">>({ current_price: undefined });
});

test("data has no fields of other events", () => {
  const transfer = {} as EventData<"token.transferred">;
  // @ts-expect-error a transfer has no price
  transfer.current_price;
  // @ts-expect-error an event is not to be changed
  transfer.amount = 1;
  // @ts-expect-error nobody documents the data of platform events
  ({}) as EventData<"platform.feature_launched">["name"];
  // @ts-expect-error users have no address
  ({}) as EventData<"user.registered">["address"];
  give<EventData<"platform.feature_launched">>({});
});

test("a union of events narrows on its type", () => {
  const event = {} as EventOf<"transaction.completed" | "transaction.failed" | "token.transferred">;
  // @ts-expect-error which of them is not known yet
  event.data.from_address;
  if (event.type === "transaction.completed") expectTypeOf(event.data.total_amount).toBeNumber();
  else if (event.type === "token.transferred") expectTypeOf(event.data.from_address).toBeString();
  else expectTypeOf(event.data.total_amount).toEqualTypeOf<number | undefined>();
  // @ts-expect-error not one of them
  if (event.type === "user.registered") return;
  expectTypeOf<EventOf<EventType>["type"]>().toEqualTypeOf<EventType>();
  expectTypeOf<SharmoEvent["data"]>().toBeUnknown();
});

test("an event can be filtered by what it has, and by nothing else", () => {
  expectTypeOf<FilterKeyOf<"token.price_changed">>().toEqualTypeOf<"token_id" | "property_id">();
  expectTypeOf<FilterKeyOf<"token.transferred">>().toEqualTypeOf<"token_id" | "transaction_id" | "address">();
  expectTypeOf<FilterKeyOf<"transaction.created">>().toEqualTypeOf<
    "transaction_id" | "token_id" | "address"
  >();
  expectTypeOf<FilterKeyOf<"property.updated">>().toEqualTypeOf<"property_id">();
  expectTypeOf<FilterKeyOf<"user.registered">>().toEqualTypeOf<"user_id">();
  expectTypeOf<FilterKeyOf<"platform.feature_launched">>().toBeNever();
  expectTypeOf<FilterKeyOf<EventType>>().toEqualTypeOf<FilterKey>();
  expectTypeOf<FilterKey>().toEqualTypeOf<IdKey | "address">();
  // @ts-expect-error the address of a property is a street and no wallet
  give<FilterKeyOf<"property.created">>("address");
  // @ts-expect-error no event is routed by it
  give<FilterKey>("symbol");
});

test("what goes over the wire has its one shape", () => {
  give<SubscribeRequest>({ topics: ["token.*"] });
  give<SubscribeRequest>({ topics: ["token.*"], since: "k3v9x2m7qa1z-1" as Cursor, snapshot: true });
  // @ts-expect-error a cursor is not any text
  give<SubscribeRequest>({ topics: ["token.*"], since: "k3v9x2m7qa1z-1" });
  // @ts-expect-error no topics
  give<SubscribeRequest>({ snapshot: true });
  // @ts-expect-error neither name nor topics
  give<UnsubscribeRequest>({});
  expectTypeOf<SubscribeAck["state"]>().toEqualTypeOf<"live" | "catching_up">();
  expectTypeOf<Gap["reason"]>().toEqualTypeOf<"retention" | "log_lost" | "unknown_cursor" | "log_reset">();
  expectTypeOf<WireError["code"]>().toEqualTypeOf<ErrorCode>();
  expectTypeOf<EventMeta["cursor"]>().toEqualTypeOf<Cursor | undefined>();
  expectTypeOf<keyof RelayNotices>().toEqualTypeOf<
    | "relay.cursor"
    | "relay.gap"
    | "relay.lagging"
    | "relay.caught_up"
    | "relay.token_expiring"
    | "relay.draining"
    | "relay.degraded"
  >();
});

test("every code is dealt with, or the switch does not compile", () => {
  const retry = (code: ErrorCode): boolean => {
    switch (code) {
      case "unavailable":
      case "rate_limited":
      case "overloaded":
      case "draining":
        return true;
      case "invalid_topic":
      case "forbidden":
      case "invalid_cursor":
      case "too_many_topics":
      case "unauthenticated":
      case "token_expired":
      case "subject_changed":
      case "revoked":
      case "origin_refused":
      case "unsupported_protocol":
        return false;
    }
  };
  expectTypeOf(retry).returns.toBeBoolean();
});
