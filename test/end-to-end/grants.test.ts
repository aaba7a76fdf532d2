import { describe, expect, it } from "vitest";
import { endWithTest } from "../support/cleanup.ts";
import { startNode } from "../support/node.ts";
import { connect } from "../support/stock-client.ts";
import { type TokenOptions, token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post, type TestEvent } from "../support/webhook.ts";

const mine = "0xAbCdEf0123456789abcdef0123456789ABCDEF01";
const theirs = "0x1111111111111111111111111111111111111111";

/** One of each kind, named by what is asked about it. */
const events = {
  price: makeEvent("token.price_changed", { token_id: "tok_1", current_price: 1 }),
  otherPrice: makeEvent("token.price_changed", { token_id: "tok_2", current_price: 1 }),
  property: makeEvent("property.updated", { property_id: "prop_1" }),
  platform: makeEvent("platform.feature_launched", {}),
  myTransfer: makeEvent("token.transferred", {
    token_id: "tok_1",
    from_address: theirs,
    to_address: mine,
    amount: 1,
    transaction_id: "t1",
  }),
  theirTransfer: makeEvent("token.transferred", {
    token_id: "tok_1",
    from_address: theirs,
    to_address: theirs,
    amount: 1,
    transaction_id: "t2",
  }),
  myTransaction: makeEvent("transaction.completed", {
    transaction_id: "t1",
    buyer_address: mine.toLowerCase(),
    seller_address: theirs,
  }),
  theirTransaction: makeEvent("transaction.completed", {
    transaction_id: "t2",
    buyer_address: theirs,
    seller_address: theirs,
  }),
  me: makeEvent("user.kyc_approved", { user_id: "user_1" }),
  they: makeEvent("user.kyc_approved", { user_id: "user_2" }),
  unknown: makeEvent("ledger.closed", { id: "x" }),
} satisfies Record<string, TestEvent>;
type Name = keyof typeof events;

interface Row {
  readonly who: string;
  readonly token: TokenOptions;
  /** Topics that must be granted, with exactly what each shows. */
  readonly granted: Readonly<Record<string, readonly Name[]>>;
  readonly denied: readonly string[];
}

const rows: Row[] = [
  {
    who: "a token without scope",
    token: { sub: "user_1" },
    granted: {
      "token.price_changed": ["price", "otherPrice"],
      "token.price_changed?token_id=tok_1": ["price"],
      "property.*": ["property"],
      "platform.*": ["platform"],
      "user.*?user_id=user_1": ["me"],
      "user.kyc_approved?user_id=user_1": ["me"],
    },
    denied: [
      "*",
      "token.*",
      "token.transferred",
      "transaction.*",
      "transaction.completed",
      "user.*",
      "user.*?user_id=user_2",
      "user.kyc_approved",
      "ledger.closed",
      `token.*?address=${mine}`,
    ],
  },
  {
    who: "a token with a wallet",
    token: { sub: "user_3", wallets: [mine] },
    granted: {
      [`token.*?address=${mine}`]: ["myTransfer"],
      [`transaction.*?address=${mine.toLowerCase()}`]: ["myTransaction"],
      [`transaction.completed?address=${mine.toUpperCase().replace("0X", "0x")}`]: ["myTransaction"],
    },
    denied: [
      `token.*?address=${theirs}`,
      `transaction.*?address=${theirs}`,
      "transaction.*",
      `user.*?address=${mine}`,
      `*?address=${mine}`,
      "transaction.*?transaction_id=t1",
    ],
  },
  {
    who: "a token with a group",
    token: { sub: "user_4", scope: "events:transaction.* relay:read" },
    granted: {
      "transaction.*": ["myTransaction", "theirTransaction"],
      "transaction.*?transaction_id=t2": ["theirTransaction"],
    },
    denied: ["*", "user.*", "token.*", "token.transferred"],
  },
  {
    who: "a token with one thing",
    token: { sub: "user_5", scope: "events:token.*?token_id=tok_2 events:nonsense! events:" },
    granted: { "token.*?token_id=tok_2": ["otherPrice"] },
    denied: ["token.*", "token.*?token_id=tok_1", "token.transferred?token_id=tok_1", "*?token_id=tok_2"],
  },
  {
    who: "a token with everything",
    token: { sub: "user_6", scope: "events:*" },
    granted: { "*": Object.keys(events) as Name[], "ledger.closed": ["unknown"], "user.*": ["me", "they"] },
    denied: [],
  },
];

const cases = rows.flatMap((row) => [
  ...Object.entries(row.granted).map(([topic, names]) => ({
    row,
    topic,
    names: names as readonly Name[] | undefined,
  })),
  ...row.denied.map((topic) => ({ row, topic, names: undefined as readonly Name[] | undefined })),
]);

const all = Object.values(events) as TestEvent[];
const idsOf = (names: readonly Name[]): string[] =>
  all.map(({ id }) => id).filter((id) => names.some((n) => events[n].id === id));
/** Of those, what a snapshot shows: latest values of tokens and properties. */
const latestOf = (names: readonly Name[]): string[] =>
  idsOf(names.filter((name) => /^(token|property)\./.test(events[name].type) && name !== "myTransfer"));

describe("nothing outside the grants arrives", () => {
  it.each(cases.map((c) => [c.row.who, c.names === undefined ? "is refused" : "gets", c.topic, c] as const))(
    "%s %s %s, live, with since, in a snapshot, by read and as a stream",
    async (_who, _verb, topic, { row, names }) => {
      const { url } = await startNode();
      const bearer = await token(row.token);
      const client = await connect(url, bearer);
      const subscribed = await client.request("subscribe", { topics: [topic] });
      await post(url, ...all);
      const start = await beginning(url);

      const again = await client.request("subscribe", { topics: [topic], since: start });
      const snapshot = await connect(url, bearer);
      const shown = await snapshot.request("subscribe", { topics: [topic], snapshot: true });
      const read = await client.request("read", { topics: [topic], since: start });
      const stream = await streamed(
        `${url}/v1/stream?topic=${encodeURIComponent(topic)}&since=${start}`,
        bearer,
        names?.length ?? 0,
      );

      if (names === undefined) {
        for (const answer of [subscribed, again, shown, read]) {
          expect(answer).toMatchObject({ ok: false, error: { code: "forbidden" } });
        }
        expect(JSON.stringify(subscribed)).toContain(topic.toLowerCase().slice(0, 8));
        expect(stream.status).toBe(403);
        expect(client.got).toEqual([]);
        expect(snapshot.got).toEqual([]);
        return;
      }
      await until(() => client.got.length >= 2 * names.length);
      expect(
        client.got.filter(({ meta }) => meta.delivery === undefined).map(({ event }) => event.id),
      ).toEqual(idsOf(names));
      expect(
        client.got.filter(({ meta }) => meta.delivery === "catch_up").map(({ event }) => event.id),
      ).toEqual(idsOf(names));
      await until(() => snapshot.notices.some(({ name }) => name === "relay.caught_up"));
      const latest = snapshot.ids();
      expect(latest.every((id) => idsOf(names).includes(id))).toBe(true);
      expect(latest).toEqual(expect.arrayContaining(latestOf(names.filter((n) => n !== "theirTransfer"))));
      expect((read["events"] as [{ id: string }][]).map(([event]) => event.id)).toEqual(idsOf(names));
      expect(stream.ids).toEqual(idsOf(names));
    },
  );
});

/** The cursor before the first event. */
async function beginning(url: string): Promise<string> {
  const headers = { authorization: `Bearer ${await token({ scope: "relay:read" })}` };
  const answer = await fetch(`${url}/v1/events?limit=1`, { headers });
  const { events: [first] = [] } = (await answer.json()) as { events?: { cursor: string }[] };
  const cursor = first?.cursor ?? "";
  return cursor.replace(/-1$/, "-0");
}

async function streamed(
  url: string,
  bearer: string,
  expected: number,
): Promise<{ status: number; ids: string[] }> {
  const abort = new AbortController();
  endWithTest(() => abort.abort());
  const response = await fetch(url, { headers: { authorization: `Bearer ${bearer}` }, signal: abort.signal });
  if (response.status !== 200) {
    await response.text();
    return { status: response.status, ids: [] };
  }
  let text = "";
  const ids = (): string[] => [...text.matchAll(/^data: \{"id":"(evt_[^"]+)"/gm)].map((m) => m[1] ?? "");
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => undefined);
  await until(() => ids().length >= expected && text.includes("relay.caught_up"));
  abort.abort();
  await reading;
  return { status: 200, ids: ids() };
}
