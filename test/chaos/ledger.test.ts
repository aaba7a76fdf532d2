import { describe, expect, it } from "vitest";
import type { Follower, History, Posted, Sight, Stored } from "./history.ts";
import { judge } from "./ledger.ts";
import { Lives } from "./lives.ts";
import type { Violation, ViolationKind } from "./verdict.ts";
import { violationKinds } from "./verdict.ts";

const one = "aaaaaaaaaa";
const two = "bbbbbbbbbb";

/** An event posted once and accepted under the cursor. */
function posted(id: string, cursor: string, rest: Partial<Posted> = {}): Posted {
  return {
    id,
    type: "token.price_changed",
    keys: ["token_id=tok_1"],
    bytesHash: `bytes of ${id}`,
    eventHash: `event ${id}`,
    attempts: [{ at: 1, tookMs: 1, node: 0, answer: { kind: "accepted", cursor } }],
    ...rest,
  };
}

const stored = (id: string, cursor: string): Stored => ({ id, cursor, bytesHash: `bytes of ${id}` });
const postedAt = (all: readonly Stored[]): Map<string, Posted> =>
  new Map(all.map(({ id, cursor }) => [id, posted(id, cursor)]));
const began = (cursor: string): Sight => ({ kind: "began", at: 2, cursor });

function got(
  id: string,
  cursor: string | undefined,
  rest: Partial<Extract<Sight, { kind: "event" }>> = {},
): Sight {
  return { kind: "event", at: 3, id, cursor, as: "live", eventHash: `event ${id}`, handled: true, ...rest };
}

function gap(reason: string, from: string, to: string, certain = true): Sight {
  return { kind: "gap", at: 3, reason, certain, topics: ["token.*"], from, to };
}

function follower(sights: readonly Sight[], rest: Partial<Follower> = {}): Follower {
  return {
    name: "f",
    sees: "handler",
    topics: ["token.*"],
    grants: ["token.*"],
    refused: false,
    sights: [...sights],
    ...rest,
  };
}

function history(sights: readonly Sight[], rest: Partial<History> = {}): History {
  return {
    posted: new Map(["a", "b", "c"].map((id, n) => [id, posted(id, `${one}-${n + 1}`)])),
    stored: [stored("a", `${one}-1`), stored("b", `${one}-2`), stored("c", `${one}-3`)],
    followers: [follower(sights)],
    incidents: [],
    forks: false,
    ...rest,
  };
}

const all: readonly Sight[] = [
  began(`${one}-0`),
  got("a", `${one}-1`),
  got("b", `${one}-2`),
  got("c", `${one}-3`, { as: "catch_up" }),
];

const kinds = (of: History): ViolationKind[] => judge(of).violations.map(({ kind }) => kind);

describe("a history without fault", () => {
  it("has no violations, and exact figures", () => {
    const { violations, figures } = judge(history(all));
    expect(violations).toEqual([]);
    expect(figures).toMatchObject({
      events: 3,
      posts: 3,
      accepted: 3,
      duplicates: 0,
      stored: 3,
      owed: 3,
      live: 2,
      recovered: 1,
      reported: 0,
      gaps: {},
    });
  });

  it("owes nothing that was stored before the subscription began", () => {
    const { violations, figures } = judge(history([began(`${one}-2`), got("c", `${one}-3`)]));
    expect(violations).toEqual([]);
    expect(figures.owed).toBe(1);
  });

  it("owes nothing outside the topics", () => {
    const other = posted("b", `${one}-2`, { type: "property.updated", keys: [] });
    const base = history([began(`${one}-0`), got("a", `${one}-1`), got("c", `${one}-3`)]);
    expect(kinds({ ...base, posted: new Map(base.posted).set("b", other) })).toEqual([]);
  });

  it("takes what a snapshot showed for delivered", () => {
    const shown = got("a", undefined, { as: "snapshot" });
    expect(kinds(history([shown, began(`${one}-0`), got("b", `${one}-2`), got("c", `${one}-3`)]))).toEqual(
      [],
    );
  });

  it("goes on over a restart of the client", () => {
    const restarted: Sight = { kind: "restarted", at: 3, cursor: `${one}-2` };
    expect(kinds(history([...all.slice(0, 3), restarted, ...all.slice(3)]))).toEqual([]);
  });

  it("goes on over a new epoch that rewinds nothing", () => {
    const base = history([
      began(`${one}-0`),
      got("a", `${one}-1`),
      got("b", `${two}-2`),
      got("c", `${two}-3`),
    ]);
    const moved = { b: `${two}-2`, c: `${two}-3` };
    expect(
      kinds({
        ...base,
        posted: new Map(
          [posted("a", `${one}-1`), posted("b", moved.b), posted("c", moved.c)].map((p) => [p.id, p]),
        ),
        stored: [stored("a", `${one}-1`), stored("b", moved.b), stored("c", moved.c)],
      }),
    ).toEqual([]);
  });

  it("may put an acknowledged event back under another cursor, if the log can lose writes", () => {
    // b and c were lost after they had been delivered, and came back the other way round
    const put = {
      stored: [stored("a", `${one}-1`), stored("c", `${two}-2`), stored("b", `${two}-3`)],
      forks: true,
    };
    const again = [got("c", `${two}-2`, { handled: false }), got("b", `${two}-3`, { handled: false })];
    const wire = follower([...all, ...again], { sees: "wire" });
    const { violations, figures } = judge(history(all, { ...put, followers: [wire] }));
    expect(violations).toEqual([]);
    expect(figures).toMatchObject({ putBack: 2, dropped: 2, owed: 3 });
  });

  it("may handle what was put back again, in a new process of the client only", () => {
    const put = {
      stored: [stored("a", `${one}-1`), stored("c", `${two}-2`), stored("b", `${two}-3`)],
      forks: true,
    };
    const restarted: Sight = { kind: "restarted", at: 4, cursor: `${one}-3` };
    const again = [got("c", `${two}-2`), got("b", `${two}-3`)];
    const { violations, figures } = judge(history([...all, restarted, ...again], put));
    expect(violations).toEqual([]);
    expect(figures.again).toBe(2);
    expect(kinds(history([...all, ...again], put))).toEqual(["twice", "twice"]);
  });

  it("owes nothing that stood before the beginning and was put back behind it", () => {
    const put = {
      stored: [stored("b", `${two}-4`), stored("a", `${two}-5`), stored("c", `${two}-6`)],
      forks: true,
    };
    const { violations, figures } = judge(history([began(`${one}-2`), got("c", `${one}-3`)], put));
    expect(violations).toEqual([]);
    expect(figures.owed).toBe(1);
    expect(kinds(history([began(`${one}-1`), got("c", `${one}-3`)], put))).toEqual(["missing"]);
  });

  it("counts a beginning beyond the end that its epoch was cut to as that end", () => {
    const put = {
      stored: [stored("a", `${one}-1`), stored("b", `${two}-2`), stored("c", `${two}-3`)],
      forks: true,
    };
    // it began at the fifth event of a branch of which one is left
    const { figures } = judge(history([began(`${one}-5`)], { ...put, posted: postedAt(put.stored) }));
    expect(figures.owed).toBe(2);
  });

  it("has who asked for too much refused", () => {
    const refusal: Sight = { kind: "ended", at: 3, code: "forbidden", message: "not granted" };
    expect(kinds(history([], { followers: [follower([refusal], { refused: true })] }))).toEqual([]);
  });

  it("counts what a gap names as reported, not as missing, if the log can lose writes", () => {
    const told = [
      began(`${one}-0`),
      got("a", `${one}-1`),
      gap("log_lost", `${one}-1`, `${one}-2`),
      got("c", `${one}-3`),
    ];
    const { violations, figures } = judge(history(told, { forks: true }));
    expect(violations).toEqual([]);
    expect(figures).toMatchObject({ reported: 1, gaps: { log_lost: 1 } });
  });
});

/** For each kind the smallest histories that have it, and nothing else. */
const faulty: Readonly<Record<ViolationKind, readonly History[]>> = {
  unanswered: [
    history(all, {
      posted: new Map(history(all).posted).set(
        "c",
        posted("c", "", {
          attempts: [{ at: 1, tookMs: 1, node: 0, answer: { kind: "no_answer", why: "died" } }],
        }),
      ),
    }),
  ],
  not_stored: [history(all.slice(0, 3), { stored: history(all).stored.slice(0, 2) })],
  stored_twice: [history(all, { stored: [...history(all).stored, stored("a", `${one}-4`)], forks: true })],
  never_posted: [
    history(all, { stored: [...history(all).stored, stored("x", `${one}-4`)] }),
    history([...all, got("x", `${one}-4`)]),
  ],
  other_bytes: [
    history(all, {
      stored: history(all).stored.map((s) => (s.id === "b" ? { ...s, bytesHash: "others" } : s)),
    }),
  ],
  accepted_twice: [
    history(all, {
      posted: new Map(history(all).posted).set(
        "a",
        posted("a", `${one}-1`, {
          attempts: [...posted("a", `${one}-1`).attempts, ...posted("a", `${one}-1`).attempts],
        }),
      ),
    }),
  ],
  moved: [
    history(all, { posted: new Map(history(all).posted).set("c", posted("c", `${one}-4`)) }),
    history([...all.slice(0, 3), got("c", `${one}-4`)]),
  ],
  cursor_names_two: [
    history(all, { posted: new Map(history(all).posted).set("c", posted("c", `${one}-2`)), forks: true }),
    history([...all, got("a", `${one}-2`, { handled: false })], { forks: true }),
  ],
  missing: [history(all.filter((sight) => sight.kind !== "event" || sight.id !== "b"))],
  twice: [history([...all, got("b", undefined, { as: "snapshot" })])],
  sent_twice: [
    history(all, {
      followers: [follower([...all, got("c", `${one}-3`, { handled: false })], { sees: "wire" })],
    }),
  ],
  out_of_order: [
    history([began(`${one}-0`), got("a", `${one}-1`), got("c", `${one}-3`), got("b", `${one}-2`)]),
    // back to an epoch that was left
    history([began(`${one}-0`), got("a", `${two}-1`), got("b", `${one}-2`), got("c", `${two}-3`)], {
      forks: true,
    }),
    // before the beginning
    history([began(`${one}-1`), ...all.slice(1)]),
    // no snapshot, and no cursor
    history([...all.slice(0, 3), got("c", undefined)]),
  ],
  other_content: [history([...all.slice(0, 3), got("c", `${one}-3`, { eventHash: "another" })])],
  not_granted: [
    history([], { followers: [follower([], { refused: true })] }),
    history(all, { followers: [follower(all, { grants: ["token.*?token_id=tok_2", "property.*"] })] }),
  ],
  not_asked: [history(all, { followers: [follower(all, { topics: ["token.created"] })] })],
  false_gap: [
    history([...all, gap("retention", `${one}-0`, `${one}-1`)]),
    history([...all, gap("unknown_cursor", `${one}-0`, `${one}-1`, false)], { forks: true }),
    history([...all, gap("log_lost", `${one}-0`, `${one}-1`)]),
    // certain, though everything in it came
    history([...all, gap("log_lost", `${one}-0`, `${one}-3`)], { forks: true }),
  ],
  after_gap: [
    history(
      [
        began(`${one}-0`),
        got("a", `${one}-1`),
        gap("log_lost", `${one}-1`, `${one}-3`),
        got("c", `${one}-3`),
      ],
      { forks: true },
    ),
  ],
  never_began: [history([])],
  ended: [history([...all, { kind: "ended", at: 4, code: "invalid_cursor", message: "beyond the present" }])],
  incident: [history(all, { incidents: [{ at: 1, what: "relay 0 ended by itself" }] })],
};

describe("a history with one fault", () => {
  it.each(Object.keys(violationKinds) as ViolationKind[])("is found to have it: %s", (kind) => {
    expect(faulty[kind].length).toBeGreaterThan(0);
    for (const one of faulty[kind]) expect(new Set(kinds(one))).toEqual(new Set([kind]));
  });

  it("counts a gap only for its own topics and its own stretch", () => {
    const told = (one: Sight): Sight[] => [all[0] as Sight, all[1] as Sight, one, all[3] as Sight];
    const elsewhere = { ...gap("log_lost", `${one}-1`, `${one}-2`), topics: ["property.*"] } as Sight;
    expect(kinds(history(told(elsewhere), { forks: true }))).toContain("missing");
    expect(kinds(history(told(gap("log_lost", `${one}-2`, `${one}-3`)), { forks: true }))).toContain(
      "missing",
    );
  });

  it("forgets what was named missing with the connection", () => {
    const sights = [
      began(`${one}-0`),
      got("a", `${one}-1`),
      gap("log_lost", `${one}-1`, `${one}-3`),
      { kind: "lost", at: 3, why: "cut" } as const,
      got("c", `${one}-3`),
    ];
    expect(kinds(history(sights, { forks: true }))).toEqual([]);
  });

  it("is told with the life of its event", () => {
    const missing = faulty.missing[0] as History;
    const [violation] = judge(missing).violations;
    const life = new Lives(missing).of(violation as Violation);
    expect(life).toContain("✗ missing b at f");
    expect(life).toContain(`posted to relay 0, accepted ${one}-2`);
    expect(life).toContain(`stored under ${one}-2`);
  });
});
