/** Who listens: SDK, stock and streaming clients with different topics and grants, spread over the nodes. */
import { createMarket, type Random } from "@sharmo-relay/simulator";
import type { Claims, Client, ClientOptions, Subscription } from "./client.ts";
import { SdkClient } from "./sdk-client.ts";
import { SseClient } from "./sse-client.ts";
import { StockClient } from "./stock-client.ts";
import { keysOf } from "./topics.ts";

interface Role {
  readonly name: string;
  readonly by: "sdk" | "stock" | "sse";
  readonly claims: Claims;
  readonly subscriptions: readonly Subscription[];
  readonly readEveryMs?: number;
  readonly bytesPerSecond?: number;
  readonly refused?: boolean;
}

/** Enough for all but a burst, which it needs a while for. */
const thinLine = 300_000;

export interface CastOptions {
  readonly seed: string;
  readonly nodes: number;
  readonly portOf: (node: number) => number;
}

export function takeSeats({ seed, nodes, portOf }: CastOptions, random: Random): Promise<Client[]> {
  return Promise.all(rolesFor(seed).map((role) => take(role, random.integer(0, nodes - 1), portOf)));
}

function take(role: Role, node: number, portOf: CastOptions["portOf"]): Promise<Client> {
  const { name, claims, subscriptions, readEveryMs, bytesPerSecond = Number.POSITIVE_INFINITY } = role;
  const refused = role.refused ?? false;
  const options: ClientOptions = { name, claims, subscriptions, refused, bytesPerSecond, node, portOf };
  switch (role.by) {
    case "sdk":
      return SdkClient.take({ ...options, ...(readEveryMs === undefined ? {} : { readEveryMs }) });
    case "stock":
      return StockClient.take(options);
    case "sse":
      return SseClient.take(options);
  }
}

/** How many clients `takeSeats` gives: a plan needs to know. */
export const castSize = (seed: string): number => rolesFor(seed).length;

function rolesFor(seed: string): Role[] {
  const [token, other] = commonest(seed, "token_id");
  const [wallet] = commonest(seed, "address");
  const [user] = commonest(seed, "user_id");
  const [property] = commonest(seed, "property_id");
  const all: Claims = { sub: "operator", scope: "events:*" };
  const anyone: Claims = { sub: "anyone" };
  const holder: Claims = { sub: user, wallets: [wallet] };
  return [
    { name: "sdk-all", by: "sdk", claims: all, subscriptions: [{ topic: "*" }] },
    {
      name: "sdk-groups",
      by: "sdk",
      claims: { sub: "desk", scope: "events:token.* events:transaction.*", lifetime: 40 },
      subscriptions: [{ topic: "token.*" }, { topic: "transaction.*" }, { topic: "token.price_changed" }],
    },
    {
      name: "sdk-token",
      by: "sdk",
      claims: anyone,
      subscriptions: [{ topic: `token.price_changed?token_id=${token}` }],
    },
    {
      name: "sdk-holder",
      by: "sdk",
      claims: holder,
      subscriptions: [{ topic: `transaction.*?address=${wallet}` }, { topic: `user.*?user_id=${user}` }],
    },
    {
      name: "sdk-snapshot",
      by: "sdk",
      claims: anyone,
      subscriptions: [
        { topic: "token.price_changed", snapshot: true },
        { topic: "property.*", snapshot: true },
      ],
    },
    { name: "sdk-slow", by: "sdk", claims: all, subscriptions: [{ topic: "*" }], readEveryMs: 15 },
    {
      name: "sdk-property",
      by: "sdk",
      claims: anyone,
      subscriptions: [{ topic: `property.*?property_id=${property}` }],
    },
    { name: "stock-all", by: "stock", claims: all, subscriptions: [{ topic: "*" }] },
    {
      name: "stock-thin",
      by: "stock",
      claims: all,
      subscriptions: [{ topic: "*" }],
      bytesPerSecond: thinLine,
    },
    { name: "stock-roam", by: "stock", claims: { ...all, lifetime: 30 }, subscriptions: [{ topic: "*" }] },
    {
      name: "stock-two",
      by: "stock",
      claims: { sub: "desk", scope: "events:token.*" },
      subscriptions: [{ topic: "token.*" }, { topic: `token.price_changed?token_id=${other}` }],
    },
    {
      name: "stock-three",
      by: "stock",
      claims: { sub: "desk", scope: "events:transaction.* events:user.*" },
      subscriptions: [{ topic: "transaction.*" }, { topic: "user.*" }, { topic: "platform.*" }],
    },
    {
      name: "stock-snapshot",
      by: "stock",
      claims: anyone,
      subscriptions: [{ topic: "token.price_changed", snapshot: true }],
    },
    {
      name: "stock-holder",
      by: "stock",
      claims: holder,
      subscriptions: [{ topic: `token.*?address=${wallet}` }],
    },
    { name: "sdk-refused", by: "sdk", claims: anyone, subscriptions: [{ topic: "user.*" }], refused: true },
    {
      name: "stock-refused",
      by: "stock",
      claims: holder,
      subscriptions: [{ topic: "transaction.*" }],
      refused: true,
    },
    { name: "sse-all", by: "sse", claims: all, subscriptions: [{ topic: "*" }] },
    {
      name: "sse-two",
      by: "sse",
      claims: { sub: "desk", scope: "events:transaction.completed", lifetime: 20 },
      subscriptions: [{ topic: "transaction.completed" }, { topic: "property.*" }],
    },
  ];
}

/** The two values of a key that most events of the market have. */
function commonest(seed: string, key: string): [string, string] {
  const counts = new Map<string, number>();
  const market = createMarket({ seed });
  for (let n = 0; n < 2_000; n++) {
    const { type, data } = market.next();
    for (const one of keysOf(type, { ...data })) {
      if (one.startsWith(`${key}=`)) counts.set(one, (counts.get(one) ?? 0) + 1);
    }
  }
  const [first = "", second = ""] = [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([one]) => one.slice(key.length + 1));
  return [first, second];
}
