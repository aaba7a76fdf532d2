import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Principal } from "../auth/principal.ts";
import { Session } from "./session.ts";

function principal(lifeMs: number): Principal {
  return {
    subject: "user_1",
    tokenId: undefined,
    issuedAtMs: undefined,
    expiresAtMs: Date.now() + lifeMs,
    grants: { events: [], read: false, admin: false } as unknown as Principal["grants"],
  };
}

const open: Session[] = [];

/** What a session of so many milliseconds was told, and when. */
function begin(lifeMs: number): { session: Session; told: string[] } {
  const begun = performance.now();
  const told: string[] = [];
  const tell = (what: string): void => {
    // the clock is looked at five times a second
    const seconds = Math.floor((performance.now() - begun) / 200) / 5;
    told.push(`${what} after ${seconds} s`);
  };
  const session = new Session(principal(lifeMs), {
    expiring: () => tell("warned"),
    expired: () => tell("ended"),
  });
  open.push(session);
  return { session, told };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  for (const session of open.splice(0)) session.close();
  vi.useRealTimers();
});

it("warns a minute before the token expires, and ends with it", () => {
  const { told } = begin(3_600_000);
  vi.advanceTimersByTime(3_599_000);
  expect(told).toEqual(["warned after 3540 s"]);
  vi.advanceTimersByTime(1_200);
  expect(told.slice(1)).toEqual(["ended after 3600 s"]);
  vi.advanceTimersByTime(3_600_000);
  expect(told).toHaveLength(2);
});

it("warns at four fifths of a life shorter than five minutes", () => {
  const { told } = begin(10_000);
  vi.advanceTimersByTime(20_000);
  expect(told).toEqual(["warned after 8 s", "ended after 10 s"]);
});

it("begins anew with a new token", () => {
  const { session, told } = begin(10_000);
  vi.advanceTimersByTime(9_000);
  session.renewed(principal(100_000));
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual(["warned after 8 s"]);
  vi.advanceTimersByTime(60_000);
  expect(told.slice(1)).toEqual(["warned after 89 s", "ended after 109 s"]);
});

it("does not outlive its token because somebody sets the clock back", () => {
  const { told } = begin(10_000);
  vi.advanceTimersByTime(1_000);
  vi.setSystemTime(Date.now() - 3_600_000);
  vi.advanceTimersByTime(7_000);
  expect(told).toEqual(["warned after 8 s"]);
});

it("has one timer with all others, which goes when the last is closed", () => {
  const sessions = Array.from({ length: 100 }, () => begin(10_000).session);
  expect(vi.getTimerCount()).toBe(1);
  for (const session of sessions.slice(1)) session.close();
  expect(vi.getTimerCount()).toBe(1);
  sessions[0]?.close();
  sessions[0]?.close();
  expect(vi.getTimerCount()).toBe(0);
});
