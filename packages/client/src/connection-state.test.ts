import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as happens from "./connection-state.ts";

const { defaultTiming: timing, idleConnection, nextTick } = happens;
type State = happens.ConnectionState;
const at = (now: number, random = 0.5): happens.Env => ({ now, random, timing });
const asking = happens.wanted(idleConnection);
const connecting = happens.tokenGiven(asking, at(1_000));
const open = happens.connected(connecting);

/** Ticks each second from `from`; `heard` tells whether anything arrived before a tick. */
function ticks(
  state: State,
  from: number,
  count: number,
  heard: (i: number) => boolean = () => false,
): State {
  let next = state;
  for (let i = 1; i <= count; i++) next = happens.tick(next, at(from + i * 1_000), heard(i));
  return next;
}

describe("a connection", () => {
  test("is made when there is something to connect for, once", () => {
    expect(asking).toMatchObject({ phase: "asking", attempt: 1, reason: "connect" });
    expect(happens.wanted(asking)).toBe(asking);
    expect(connecting).toMatchObject({ phase: "connecting", reason: undefined });
    expect(open.phase).toBe("open");
  });

  test("that is lost comes back soon, then later and later, until it has proven good", () => {
    let state = open;
    const bounds: number[] = [];
    for (let i = 0; i < 8; i++) {
      state = happens.lost(happens.connected(happens.tokenGiven(state, at(0))), at(0, 1), "gone");
      bounds.push(state.due);
    }
    expect(bounds).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
    expect(happens.lost(happens.proven(open), at(0, 1), "gone").due).toBe(500);
  });

  test("that hears nothing for 15 s is left, and one that hears something is not", () => {
    expect(ticks(open, 1_000, 14).phase).toBe("open");
    expect(ticks(open, 1_000, 15).phase).toBe("waiting");
    expect(ticks(open, 1_000, 100, (i) => i % 10 === 0).phase).toBe("open");
    expect(ticks(connecting, 1_000, 15).phase).toBe("waiting");
  });

  test("has five seconds to be heard after sleep, not the whole time", () => {
    const awake = happens.tick(ticks(open, 1_000, 3), at(3_600_000), false);
    expect(awake.phase).toBe("open");
    expect(ticks(awake, 3_600_000, 3).phase).toBe("open");
    expect(ticks(awake, 3_600_000, 4).phase).toBe("waiting");
    expect(ticks(awake, 3_600_000, 4, (i) => i === 2).phase).toBe("open");
  });

  test("is found dead also where timers are always late", () => {
    let state = open;
    for (let i = 1; i <= 5; i++) state = happens.tick(state, at(i * 60_000), false);
    expect(state.phase).toBe("waiting");
  });

  test("waits no longer than it must: a tick when the time has come, or when the network is back", () => {
    const waiting = happens.lost(open, at(10_000, 0.25), "gone");
    expect(nextTick(waiting, at(10_000))).toBe(125);
    expect(happens.tick(waiting, at(10_124), false).phase).toBe("waiting");
    expect(happens.tick(waiting, at(10_125), false).phase).toBe("asking");
    expect(happens.online(waiting).phase).toBe("asking");
    expect(happens.online(open)).toBe(open);
  });

  test("leaves a relay that drains when it says, and does not come back before", () => {
    const draining = happens.draining(open, at(10_000), 4_000);
    expect(nextTick(draining, at(13_500))).toBe(500);
    expect(happens.tick(draining, at(13_999), true).phase).toBe("open");
    expect(happens.tick(draining, at(14_000), true).phase).toBe("asking");
    expect(happens.lost(draining, at(11_000, 0), "gone")).toMatchObject({ phase: "waiting", due: 14_000 });
  });
});

describe("a refusal", () => {
  const refuse = (
    state: State,
    code: "unauthenticated" | "token_expired" | "revoked" | "unavailable",
    random = 1,
  ): State => happens.refused(state, at(0, random), { code, message: code });

  test("of the token asks for a new one at once, and after that later and later", () => {
    let state = refuse(connecting, "token_expired");
    expect(state).toMatchObject({ phase: "asking", reason: "expired" });
    const waits: number[] = [];
    for (let i = 0; i < 7; i++) {
      state = refuse(happens.tokenGiven(state, at(0)), "unauthenticated");
      expect(state).toMatchObject({ phase: "waiting", reason: "refused" });
      waits.push(state.due);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(refuse(happens.connected(happens.tokenGiven(state, at(0))), "unauthenticated").phase).toBe(
      "asking",
    );
  });

  test("for good ends the attempts", () => {
    expect(refuse(connecting, "revoked")).toMatchObject({ phase: "refused", problem: "revoked" });
    expect(nextTick(refuse(connecting, "revoked"), at(0))).toBeUndefined();
  });

  test("for now is like no connection", () => {
    expect(refuse(connecting, "unavailable")).toMatchObject({
      phase: "waiting",
      due: 500,
      reason: undefined,
    });
  });
});

describe("the token provider", () => {
  test("that fails is asked again, later and later", () => {
    const state = happens.tokenFailed(happens.tokenFailed(asking, at(0, 1), "500"), at(0, 1), "500");
    expect(state).toMatchObject({ phase: "waiting", due: 2_000, problem: "500", reason: "connect" });
  });

  test("that says nobody is signed in is not asked again until told to", () => {
    const out = happens.signedOut(asking);
    expect(nextTick(out, at(0))).toBeUndefined();
    expect(happens.wanted(out)).toBe(out);
    expect(happens.again(out)).toMatchObject({ phase: "asking", reason: "connect", attempt: 2 });
  });

  test("is asked for a new token when the relay itself ended the connection", () => {
    expect(happens.expired(open, at(0))).toMatchObject({ phase: "waiting", reason: "expired" });
    expect(happens.lost(open, at(0), "gone").reason).toBeUndefined();
    expect(happens.replaced(open)).toMatchObject({ phase: "asking", reason: undefined });
  });
});

test("whatever happens, it comes back by itself unless signed out or refused", () => {
  type Event = (state: State, now: number) => State;
  const events: Event[] = [
    happens.wanted,
    happens.online,
    (state) => (state.phase === "asking" ? happens.tokenGiven(state, at(0)) : state),
    (state, now) => (state.phase === "asking" ? happens.tokenFailed(state, at(now), "500") : state),
    (state) => (state.phase === "connecting" ? happens.connected(state) : state),
    (state, now) => happens.lost(state, at(now), "gone"),
    (state, now) => happens.expired(state, at(now)),
    (state, now) =>
      state.phase === "connecting"
        ? happens.refused(state, at(now), { code: "unauthenticated", message: "" })
        : state,
    (state, now) => (state.phase === "open" ? happens.draining(state, at(now), 700) : state),
    happens.proven,
    (state, now) => happens.tick(state, at(now), false),
  ];
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...events), fc.nat({ max: 40_000 }))), (script) => {
      let state = happens.wanted(idleConnection);
      let now = 0;
      for (const [event, ms] of script) {
        now += ms;
        state = event(state, now);
        expect(["asking", "connecting", "open", "waiting"]).toContain(state.phase);
        if (state.phase === "waiting") expect(state.due - now).toBeLessThanOrEqual(30_000);
        if (state.phase !== "asking") expect(nextTick(state, at(now))).toBeDefined();
      }
      for (let i = 0; i < 60 && state.phase !== "asking"; i++) {
        now += 1_000;
        state = happens.tick(state, at(now), false);
      }
      expect(state.phase).toBe("asking");
    }),
  );
});
