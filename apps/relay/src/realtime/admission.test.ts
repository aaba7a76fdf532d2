import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Admission } from "./admission.ts";

const limits = { atOnce: 2, waiting: 3, waitMs: 1_000, placeMs: 100 };

interface Guest {
  readonly name: number;
  leave: (() => void) | undefined;
  giveUp: () => void;
}

function setUp(): { admission: Admission; said: string[]; come: (name: number) => Guest } {
  const admission = new Admission(limits);
  const said: string[] = [];
  const come = (name: number): Guest => {
    const guest: Guest = { name, leave: undefined, giveUp: () => undefined };
    guest.giveUp = admission.enter({
      admitted: (leave) => {
        said.push(`${name} in`);
        guest.leave = leave;
      },
      refused: () => said.push(`${name} refused`),
    });
    return guest;
  };
  return { admission, said, come };
}

describe("handshakes", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("begin at once while there are places, and wait in the order they came when there are none", () => {
    const { said, come } = setUp();
    const [first, second] = [come(1), come(2)];
    come(3);
    come(4);
    expect(said).toEqual(["1 in", "2 in"]);
    second.leave?.();
    vi.advanceTimersByTime(0);
    expect(said.slice(2)).toEqual(["3 in"]);
    first.leave?.();
    first.leave?.();
    vi.advanceTimersByTime(0);
    expect(said.slice(3)).toEqual(["4 in"]);
  });

  it("are refused when too many wait, or for too long", () => {
    const { said, come } = setUp();
    const inside = [come(1), come(2)];
    for (let name = 3; name <= 6; name++) come(name);
    expect(said.slice(2)).toEqual(["6 refused"]);
    for (const { leave } of inside) leave?.();
    vi.advanceTimersByTime(1);
    expect(said.slice(3)).toEqual(["3 in", "4 in"]);
  });

  it("are refused once their wait is over, the longest first, though nobody leaves", () => {
    const admission = new Admission({ ...limits, placeMs: 10_000 });
    const said: number[] = [];
    const come = (name: number) =>
      admission.enter({ admitted: () => undefined, refused: () => said.push(name) });
    come(1);
    come(2);
    come(3);
    vi.advanceTimersByTime(600);
    come(4);
    vi.advanceTimersByTime(450);
    expect(said).toEqual([3]);
    vi.advanceTimersByTime(600);
    expect(said).toEqual([3, 4]);
  });

  it("that go no further keep their place for a moment only", () => {
    const { said, come } = setUp();
    for (let name = 1; name <= 4; name++) come(name);
    vi.advanceTimersByTime(101);
    expect(said).toEqual(["1 in", "2 in", "3 in", "4 in"]);
  });

  it("of those who hung up take nobody's turn", () => {
    const { said, come } = setUp();
    const first = come(1);
    come(2);
    const third = come(3);
    come(4);
    third.giveUp();
    first.leave?.();
    vi.advanceTimersByTime(0);
    expect(said.slice(2)).toEqual(["4 in"]);
  });

  it("are never more at once than allowed, and everyone is let in, refused or gone in the end", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("come" as const) }),
      fc.record({ do: fc.constant("leave" as const), pick: fc.nat(9) }),
      fc.record({ do: fc.constant("hang up" as const), pick: fc.nat(9) }),
      fc.record({ do: fc.constant("wait" as const), ms: fc.nat(400) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { admission, said, come } = setUp();
        const guests: Guest[] = [];
        const gone = new Set<number>();
        for (const s of steps) {
          if (s.do === "come") guests.push(come(guests.length));
          else if (s.do === "wait") vi.advanceTimersByTime(s.ms);
          else {
            const guest = guests[s.pick % Math.max(guests.length, 1)];
            if (s.do === "leave") guest?.leave?.();
            else if (guest !== undefined) {
              guest.giveUp();
              gone.add(guest.name);
            }
          }
          expect(admission.underWay).toBeLessThanOrEqual(limits.atOnce);
          expect(admission.waiting).toBeLessThanOrEqual(limits.waiting);
        }
        vi.advanceTimersByTime(5_000);
        expect(admission.waiting).toBe(0);
        expect(admission.underWay).toBe(0);
        const answered = said.map((line) => Number(line.split(" ")[0]));
        expect(new Set(answered).size).toBe(answered.length);
        for (const { name } of guests) expect(gone.has(name) || answered.includes(name)).toBe(true);
        const entered = said.filter((line) => line.endsWith("in")).map((line) => Number(line.split(" ")[0]));
        expect(entered).toEqual([...entered].sort((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });
});
