import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type EventType, eventTypes, filterKeys } from "./catalogue.ts";
import {
  allows,
  allowsEvent,
  defaultScope,
  type GrantClaims,
  grantsOf,
  maxWallets,
  parseScope,
} from "./grants.ts";
import { anyText, event, filterValue, topic, witness } from "./topics.test-arbitraries.ts";
import { makeTopic, matches, maxValueLength, parseTopic, roomsOf, type Topic } from "./topics.ts";

const base = parseScope(defaultScope).topics;

function read(text: string): Topic {
  const parsed = parseTopic(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`);
  return parsed.topic;
}

/** What a token with these claims may see, as a question. */
function granted(claims: GrantClaims, topics: readonly Topic[] = base): (text: string) => boolean {
  const grants = grantsOf(claims, topics);
  return (text) => allows(grants, read(text));
}

const mine = "0xAbCdEf0123456789abcdef0123456789ABCDEF01";
const theirs = "0x1111111111111111111111111111111111111111";

describe("the default scope", () => {
  const visible: Record<EventType, boolean> = {
    "property.created": true,
    "property.updated": true,
    "property.status_changed": true,
    "property.deleted": true,
    "property.tokenized": true,
    "property.sold": true,
    "property.delisted": true,
    "token.created": true,
    "token.transferred": false,
    "token.price_changed": true,
    "token.offering_started": true,
    "token.offering_ended": true,
    "token.issued": false,
    "token.price_updated": false,
    "token.dividend_issued": false,
    "transaction.created": false,
    "transaction.pending": false,
    "transaction.completed": false,
    "transaction.failed": false,
    "transaction.refunded": false,
    "user.registered": false,
    "user.kyc_submitted": false,
    "user.kyc_approved": false,
    "user.kyc_rejected": false,
    "user.kyc_updated": false,
    "user.kyc_verified": false,
    "platform.maintenance_scheduled": true,
    "platform.feature_launched": true,
  };

  it("is asked about every event of the catalogue", () => {
    expect(Object.keys(visible).sort()).toEqual([...eventTypes].sort());
  });

  it.each(Object.entries(visible))("shows %s: %s, whole, narrowed and event by event", (type, shown) => {
    const may = granted({});
    expect(may(type)).toBe(shown);
    for (const key of filterKeys) expect(may(`${type}?${key}=1`)).toBe(shown);
    expect(allowsEvent(grantsOf({}, base), { type, filters: [] })).toBe(shown);
    const filters = filterKeys.map((key) => ({ key, value: "1" }));
    expect(allowsEvent(grantsOf({}, base), { type, filters })).toBe(shown);
  });

  it.each([
    ["property.*", true],
    ["platform.*", true],
    ["property.new_thing", true],
    ["property.*?token_id=1", true],
    ["*", false],
    ["token.*", false],
    ["token.*?token_id=1", false],
    ["transaction.*", false],
    ["user.*", false],
    ["*?property_id=1", false],
    ["vendor.new_thing", false],
    ["properties.created", false],
  ])("grants %s: %s", (asked, shown) => expect(granted({})(asked)).toBe(shown));

  it("can be nothing at all", () => {
    const may = granted({}, []);
    expect(eventTypes.some(may)).toBe(false);
    expect(eventTypes.some((type) => allowsEvent(grantsOf({}, []), { type, filters: [] }))).toBe(false);
  });
});

describe("what a token does not grant is denied", () => {
  const claims = fc.record({
    scope: fc
      .array(
        fc.oneof(
          topic.map((t) => `events:${t.name}`),
          fc.constantFrom("relay:read", "email", "x:*"),
        ),
      )
      .map((words) => words.join(" ")),
    wallets: fc.array(filterValue, { maxLength: 3 }),
    sub: filterValue,
  });

  /** Every room that the claims open, put together from text. */
  function roomsOfClaims({
    scope,
    wallets,
    sub,
  }: {
    scope: string;
    wallets: string[];
    sub: string;
  }): Set<string> {
    const scoped = scope.split(" ").filter((word) => word.startsWith("events:"));
    const lower = wallets.map((wallet) => wallet.replace(/[A-Z]/g, (letter) => letter.toLowerCase()));
    return new Set([
      ...scoped.map((word) => word.slice("events:".length)),
      ...lower.map((wallet) => `token.*?address=${encodeURIComponent(wallet)}`),
      ...lower.map((wallet) => `transaction.*?address=${encodeURIComponent(wallet)}`),
      `user.*?user_id=${encodeURIComponent(sub)}`,
    ]);
  }

  it("event by event: it shows those of the rooms that its claims name, and no other", () => {
    let shown = 0;
    let hidden = 0;
    fc.assert(
      fc.property(claims, event, (given, e) => {
        const rooms = roomsOfClaims(given);
        const expected = roomsOf(e).some((room) => rooms.has(room));
        expect(allowsEvent(grantsOf(given, []), e)).toBe(expected);
        if (expected) shown++;
        else hidden++;
      }),
      { numRuns: 3_000 },
    );
    expect(Math.min(shown, hidden)).toBeGreaterThan(100);
  });

  it("topic by topic: one is granted only if everything that it can show is", () => {
    let allowed = 0;
    fc.assert(
      fc.property(claims, topic, event, (given, asked, e) => {
        const grants = grantsOf(given, []);
        expect(allows(grants, asked)).toBe(allowsEvent(grants, witness(asked)));
        if (!allows(grants, asked)) return;
        allowed++;
        if (matches(asked, e)) expect(allowsEvent(grants, e)).toBe(true);
        for (const wider of roomsOf(witness(asked)).map(read)) {
          if (!allows(grants, wider)) expect(allowsEvent(grants, witness(wider))).toBe(false);
        }
      }),
      { numRuns: 3_000 },
    );
    expect(allowed).toBeGreaterThan(50);
  });

  it("is not the sum of narrower grants: a topic is granted by one of them or not at all", () => {
    const scope = eventTypes
      .filter((type) => type.startsWith("token."))
      .map((type) => `events:${type}`)
      .join(" ");
    expect(granted({ scope })("token.issued")).toBe(true);
    expect(granted({ scope })("token.*")).toBe(false);
  });
});

describe("the claim scope", () => {
  it.each([
    ["events:token.*", "token.price_changed?token_id=1", true],
    ["events:*", "user.*", true],
    ["events:*", "vendor.new_thing", true],
    ["events:transaction.*?transaction_id=t1", "transaction.failed?transaction_id=t1", true],
    ["openid profile events:user.* email", "user.registered", true],
    ["events:user.registered events:user.registered", "user.registered", true],
    ["  events:user.registered  ", "user.registered", true],
    ["events:transaction.*?transaction_id=t1", "transaction.failed", false],
    ["events:transaction.*?address=0xab", "transaction.*?address=0xac", false],
    ["", "user.registered", false],
    ["user.registered", "user.registered", false],
    ["Events:user.registered", "user.registered", false],
    ["event:user.registered", "user.registered", false],
    ["events: user.registered", "user.registered", false],
    ["events:", "user.registered", false],
    ["events:user.*.*", "user.registered", false],
    ["events:User.registered", "user.registered", false],
    ["events:user.registered,events:user.kyc_approved", "user.registered", false],
    ["events:user.registered\tevents:user.kyc_approved", "user.registered", false],
    ["events:user.registered\n", "user.registered", false],
    ["events:user.*?user_id=1&user_id=2", "user.*?user_id=1", false],
    ["xevents:user.registered", "user.registered", false],
    ["relay:admin", "user.registered", false],
    ["relay:read", "user.registered", false],
  ])("%j grants %s: %s", (scope, asked, shown) => expect(granted({ scope }, [])(asked)).toBe(shown));

  it.each([
    ["", false, false],
    ["relay:read", true, false],
    ["relay:admin", true, true],
    ["relay:admin relay:read", true, true],
    ["relay:reader", false, false],
    ["Relay:read", false, false],
    ["relay:*", false, false],
    ["events:*", false, false],
    ["events:relay:read", false, false],
    ["relay:read,relay:admin", false, false],
  ])("%j opens the management API for reading: %s, for changes: %s", (scope, reads, changes) => {
    expect(grantsOf({ scope }, [])).toMatchObject({ read: reads, admin: changes });
  });

  it("tells which of its words are no topics", () => {
    const { topics, words, invalid } = parseScope(
      "events:token.* events:Nope events: relay:read events:relay.*",
    );
    expect(topics.map((t) => t.name)).toEqual(["token.*"]);
    expect(invalid).toEqual(["events:Nope", "events:", "events:relay.*"]);
    expect(words.has("relay:read")).toBe(true);
  });

  it("never throws, whatever text it is", () => {
    fc.assert(
      fc.property(anyText, (scope) => {
        expect(grantsOf({ scope: `${scope} events:*?user_id=${scope}` }, []).admin).toBe(false);
      }),
    );
  });
});

describe("the claim wallets", () => {
  it("grants token.* and transaction.* of each address, and nothing else of it", () => {
    const may = granted({ wallets: [mine, theirs] }, []);
    for (const wallet of [mine, theirs]) {
      expect(may(`token.*?address=${wallet}`)).toBe(true);
      expect(may(`transaction.*?address=${wallet}`)).toBe(true);
      expect(may(`token.transferred?address=${wallet}`)).toBe(true);
      expect(may(`transaction.completed?address=${wallet}`)).toBe(true);
      for (const of of [
        "*",
        "user.*",
        "property.*",
        "platform.*",
        "vendor.*",
        "tokens.*",
        "user.registered",
      ]) {
        expect(may(`${of}?address=${wallet}`), of).toBe(false);
      }
      for (const key of filterKeys.filter((k) => k !== "address")) {
        expect(may(`token.*?${key}=${wallet}`), key).toBe(false);
      }
    }
    for (const asked of ["*", "token.*", "transaction.*", "token.transferred", "transaction.completed"]) {
      expect(may(asked), asked).toBe(false);
    }
    expect(may("token.*?address=0x2222222222222222222222222222222222222222")).toBe(false);
    expect(may(`token.*?address=${mine.slice(0, -1)}`)).toBe(false);
  });

  it("means the same address in any letter case, in the token as in the topic", () => {
    const anyCase = fc.tuple(fc.constantFrom(mine), fc.array(fc.boolean(), { minLength: 42, maxLength: 42 }));
    const spelled = anyCase.map(([address, upper]) =>
      [...address].map((c, i) => (upper[i] === true ? c.toUpperCase() : c.toLowerCase())).join(""),
    );
    fc.assert(
      fc.property(spelled, spelled, (claimed, asked) => {
        const may = granted({ wallets: [claimed] }, []);
        expect(may(`token.*?address=${asked}`)).toBe(true);
        expect(may(`transaction.failed?address=${asked}`)).toBe(true);
        expect(may(`user.*?address=${asked}`)).toBe(false);
      }),
    );
  });

  it(`counts up to ${maxWallets} addresses: of 10,000 the first, and the rest grant nothing`, () => {
    const wallets = Array.from({ length: 10_000 }, (_, i) => `0x${i.toString(16).padStart(40, "0")}`);
    const grants = grantsOf({ wallets }, []);
    expect(grants.events).toHaveLength(2 * maxWallets);
    const seen = wallets.filter((wallet) => allows(grants, read(`token.*?address=${wallet}`)));
    expect(seen).toEqual(wallets.slice(0, maxWallets));
  });

  it("passes over what is no address and takes the others", () => {
    const wallets = [
      null,
      7,
      "",
      ["0x1"],
      { address: "0x1" },
      "\ud800",
      "x".repeat(maxValueLength + 1),
      mine,
    ];
    expect(grantsOf({ wallets }, []).events.map((t) => t.name)).toEqual([
      `token.*?address=${mine.toLowerCase()}`,
      `transaction.*?address=${mine.toLowerCase()}`,
    ]);
  });
});

describe("the claim sub", () => {
  it.each(["user_1", "1", "auth0|5f7c", "a b&c=d?e", "ü", "x".repeat(maxValueLength)])(
    "%j grants the events of that user, and nothing else",
    (sub) => {
      const may = granted({ sub }, []);
      const value = encodeURIComponent(sub);
      expect(may(`user.*?user_id=${value}`)).toBe(true);
      expect(may(`user.kyc_approved?user_id=${value}`)).toBe(true);
      for (const asked of [
        "user.*",
        "user.kyc_approved",
        "*",
        `*?user_id=${value}`,
        "user.*?user_id=another",
      ]) {
        expect(may(asked), asked).toBe(false);
      }
      expect(may(`token.*?user_id=${value}`)).toBe(false);
      expect(may(`transaction.*?user_id=${value}`)).toBe(false);
      for (const key of filterKeys.filter((k) => k !== "user_id")) {
        expect(may(`user.*?${key}=${value}`), key).toBe(false);
      }
    },
  );

  it("is one user: letter case counts", () => {
    expect(granted({ sub: "User_1" }, [])("user.*?user_id=user_1")).toBe(false);
  });
});

describe("a claim of another shape", () => {
  const nothing = grantsOf({}, base);
  const wrong: unknown[] = [
    ...[undefined, null, 0, 1, true, Number.NaN, {}, [], [[]], [[mine]], [{ address: mine }]],
    ...[{ 0: mine, length: 1 }, { toString: () => "events:*" }, [7, 8], ["", ""], "\ud800", "\udc00\ud800"],
  ];

  it.each(wrong.map((value) => [value]))("%j grants nothing beyond the default, as any claim", (value) => {
    expect(grantsOf({ wallets: value }, base)).toEqual(nothing);
    if (typeof value !== "string") expect(grantsOf({ scope: value }, base)).toEqual(nothing);
    expect(grantsOf({ sub: value }, base)).toEqual(nothing);
  });

  it.each([
    ["scope as a list", { scope: ["events:*", "relay:admin"] }],
    ["scope as an object", { scope: { "events:*": true } }],
    ["scope in a list of lists", { scope: [["events:*"]] }],
    ["wallets as one text", { wallets: mine }],
    ["wallets as an object", { wallets: { [mine]: true } }],
    ["wallets as text of a list", { wallets: JSON.stringify([mine]) }],
    ["wallets deep in lists", { wallets: [[[mine]]] }],
    ["sub as a number", { sub: 42 }],
    ["sub as a list", { sub: ["user_1"] }],
    ["sub that is empty", { sub: "" }],
    ["sub of 129 characters", { sub: "x".repeat(maxValueLength + 1) }],
    ["sub with a lone surrogate", { sub: "user_\ud800" }],
  ])("grants nothing: %s", (_, claims) => expect(grantsOf(claims, base)).toEqual(nothing));

  it("never throws and never opens the management API, whatever it is", () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (scope, wallets, sub) => {
        const grants = grantsOf({ scope, wallets, sub }, base);
        expect(grants.read || grants.admin).toBe(false);
        expect(grants.events.slice(0, base.length)).toEqual(base);
        // whatever came of it is of one address or one user
        for (const { filter } of grants.events.slice(base.length)) expect(filter).toBeDefined();
      }),
      { numRuns: 1_000 },
    );
  });

  it("leaves the default scope as it is for the next token", () => {
    const before = [...base];
    grantsOf({ scope: "events:*", wallets: [mine], sub: "u" }, base);
    expect(base).toEqual(before);
    expect(allows(nothing, makeTopic({ kind: "all" }))).toBe(false);
  });
});
