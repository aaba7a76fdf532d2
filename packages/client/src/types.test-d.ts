/**
 * What must and must not compile. Each `@ts-expect-error` fails the type check if the line below it compiles.
 */
import { expectTypeOf, test } from "vitest";
import { createRelay, type EventFor, type Relay, untyped } from "./index.ts";

declare const relay: Relay;

test("an event is typed by its name", () => {
  relay.on("token.price_changed", (e) => {
    expectTypeOf(e.type).toEqualTypeOf<"token.price_changed">();
    expectTypeOf(e.data.current_price).toEqualTypeOf<number | undefined>();
    expectTypeOf(e.delivery).toEqualTypeOf<"live" | "catch_up" | "snapshot" | "redelivery">();
    expectTypeOf(e.late).toBeBoolean();
    expectTypeOf(e.at).toBeNumber();
  });
  relay.on("token.transferred", { address: "0xABC" }, (e) => {
    expectTypeOf(e.data.from_address).toBeString();
    expectTypeOf(e.data.amount).toBeNumber();
  });
});

test("a group gives a union that narrows on type", () => {
  relay.on("transaction.*", (e) => {
    expectTypeOf(e.type).toEqualTypeOf<
      | "transaction.created"
      | "transaction.pending"
      | "transaction.completed"
      | "transaction.failed"
      | "transaction.refunded"
    >();
    if (e.type === "transaction.completed") expectTypeOf(e.data.total_amount).toBeNumber();
    if (e.type === "transaction.failed") {
      expectTypeOf(e.data.total_amount).toEqualTypeOf<number | undefined>();
    }
  });
  relay.on("*", (e) => {
    if (e.type === "token.transferred") expectTypeOf(e.data.to_address).toBeString();
    if (e.type === "user.registered") expectTypeOf(e.data.user_id).toEqualTypeOf<string | undefined>();
  });
});

test("a name that the catalogue does not have is a compile error", () => {
  // @ts-expect-error misspelt
  relay.on("token.price_chnged", () => {});
  // @ts-expect-error no such group
  relay.on("tokens.*", () => {});
  // @ts-expect-error any text
  relay.on("token.price_changed" as string, () => {});
  // @ts-expect-error misspelt
  relay.stream("transaction.complete");
});

test("names newer than the catalogue remain reachable", () => {
  relay.on(untyped("vendor.new_thing"), { address: "0x1" }, (e) => {
    expectTypeOf(e.type).toBeString();
    expectTypeOf(e.data).toBeUnknown();
  });
  relay.on(untyped("vendor.*"), (e) => {
    // @ts-expect-error its data is not known
    e.data.field;
  });
});

test("a filter has one key, and one that the event has", () => {
  relay.on("token.price_changed", { token_id: "tok_42" }, () => {});
  relay.on("token.price_changed", { property_id: "prop_1" }, () => {});
  relay.on("transaction.completed", { transaction_id: "tx_1" }, () => {}, { snapshot: true });
  relay.on("user.registered", { user_id: "u_1" }, () => {});
  // @ts-expect-error a price has no address
  relay.on("token.price_changed", { address: "0x1" }, () => {});
  // @ts-expect-error a user event has no token
  relay.on("user.registered", { token_id: "tok_42" }, () => {});
  // @ts-expect-error no event has it
  relay.on("token.price_changed", { symbol: "EMP" }, () => {});
  // @ts-expect-error two keys
  relay.on("token.transferred", { token_id: "tok_42", address: "0x1" }, () => {});
  // @ts-expect-error no key
  relay.on("token.transferred", {}, () => {});
  // @ts-expect-error a platform event has nothing to filter by
  relay.on("platform.feature_launched", { token_id: "tok_42" }, () => {});
  // @ts-expect-error ids are text
  relay.on("token.price_changed", { token_id: 42 }, () => {});
});

test("a group can be filtered by what any of its events has", () => {
  relay.on("token.*", { address: "0x1" }, () => {});
  relay.on("*", { user_id: "u_1" }, () => {});
  // @ts-expect-error no user event has an address
  relay.on("user.*", { address: "0x1" }, () => {});
});

test("fields of another event are compile errors", () => {
  relay.on("token.transferred", (e) => {
    // @ts-expect-error a transfer has no price
    e.data.current_price;
    // @ts-expect-error events are not to be changed
    e.data.amount = 1;
  });
  relay.on("transaction.*", (e) => {
    // @ts-expect-error no transaction has it
    e.data.symbol;
    // @ts-expect-error not of this group
    if (e.type === "token.created") return;
  });
  relay.on("platform.feature_launched", (e) => {
    // @ts-expect-error the vendor documents no field
    e.data.name;
  });
});

test("subscriptions, streams and options", async () => {
  const sub = relay.on("transaction.*", () => {}, {
    since: "k3v9x2m7qa1z-1042",
    onGap: (gap) => {
      expectTypeOf(gap.reason).toEqualTypeOf<"retention" | "log_lost" | "unknown_cursor" | "log_reset">();
      gap.resync();
    },
    onError: (error) => expectTypeOf(error.message).toBeString(),
    signal: AbortSignal.timeout(1),
  });
  expectTypeOf(await sub.ready).toHaveProperty("recovered");
  expectTypeOf(sub).toExtend<Disposable>();
  for await (const e of relay.stream("transaction.*", { address: "0x1" }, { buffer: 10 })) {
    expectTypeOf(e).toEqualTypeOf<EventFor<"transaction.*">>();
  }
  // @ts-expect-error not an option
  relay.on("token.price_changed", () => {}, { snapshots: true });
  // @ts-expect-error a stream reports by rejecting
  relay.stream("token.price_changed", { onError: () => {} });
  // @ts-expect-error a state that does not exist
  if (relay.status.state === "online") return;
  createRelay({
    url: "/",
    token: ({ reason, signal }) => fetch(`/token?${reason}`, { signal }).then((r) => r.text()),
  });
  createRelay({ url: "/", token: async () => null });
  // @ts-expect-error a token is text
  createRelay({ url: "/", token: async () => 42 });
});
