import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Epoch } from "@sharmo-relay/protocol";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { openEmbeddedLog } from "../log/embedded-log.ts";
import type {
  Entry,
  EpochRecord,
  EventLog,
  LogListener,
  LogSettings,
  LogState,
  NewEvent,
} from "../log/event-log.ts";
import { Follower } from "./follower.ts";
import { memoryLimits } from "./memory.ts";

const day = 86_400_000;
const settings: LogSettings = { dedupeMs: day, latestMax: 100, maxTypes: 100, commandTimeoutMs: 5_000 };

function event(id: string): NewEvent {
  return { id, type: "token.created", createdAt: 1, filters: [], body: Buffer.from(`{"id":"${id}"}`) };
}

/** The real log, with a hand on what reaches the follower. */
async function setUp(
  more: Partial<LogSettings> = {},
  hand: (log: EventLog) => Partial<EventLog> = () => ({}),
  compareMs = 20,
  options: { readonly replacedMs?: number } = {},
) {
  const dir = await mkdtemp(join(tmpdir(), "sharmo-follower-"));
  const log = await openEmbeddedLog({ dir, settings: { ...settings, ...more } });
  const held = hand(log);
  const port = new Proxy<EventLog>(log, {
    get(target, name) {
      const replaced: unknown = Reflect.get(held, name);
      const value: unknown = replaced ?? Reflect.get(target, name);
      return typeof value === "function" ? value.bind(replaced === undefined ? target : held) : value;
    },
  });
  const applied: Entry[] = [];
  const restarts: number[] = [];
  const follower = new Follower({
    log: port,
    memory: { maxEntries: 1_000, maxBytes: 1e8 },
    latestMax: 100,
    compareMs,
    ...options,
    listener: {
      applied: (entry) => applied.push(entry),
      forked: () => undefined,
      restarted: (from) => restarts.push(from),
      holeFilled: () => undefined,
      junk: () => undefined,
      ready: () => undefined,
      trouble: () => undefined,
      putBack: () => undefined,
      lost: () => undefined,
    },
  });
  onTestFinished(async () => {
    await follower.close();
    await log.close();
    await rm(dir, { recursive: true, force: true });
  });
  return { log, follower, applied, restarts };
}

describe("a node that follows the log", () => {
  it("has what it accepted in its own memory before the sender is answered, announced or not", async () => {
    const { follower } = await setUp({}, () => ({ listen: async () => async () => undefined }));
    await follower.start();
    const accepted = await follower.accept(event("evt_1"));
    expect(accepted.status).toBe("accepted");
    expect(follower.tail?.position).toBe(1);
    expect(follower.tail?.memory.at(1)).toMatchObject({ id: "evt_1" });
  });

  it("finds what was never announced by comparing heads", async () => {
    const { follower, log, applied } = await setUp({}, () => ({ listen: async () => async () => undefined }));
    await follower.start();
    await log.accept(event("evt_1"), undefined);
    await vi.waitFor(() => expect(applied).toMatchObject([{ id: "evt_1" }]));
  });

  it("compares at once when announcements were interrupted", async () => {
    let listener: LogListener | undefined;
    const listen: EventLog["listen"] = async (given) => {
      listener = given;
      return async () => undefined;
    };
    const { follower, log, applied } = await setUp({}, () => ({ listen }), 60_000);
    await follower.start();
    await log.accept(event("evt_1"), undefined);
    listener?.reconnected();
    await vi.waitFor(() => expect(applied).toMatchObject([{ id: "evt_1" }]));
  });

  it("has what it accepted before the log's first answer in its memory, too", async () => {
    const { follower } = await setUp();
    await follower.accept(event("evt_1"));
    expect(follower.tail?.memory.at(1)).toMatchObject({ id: "evt_1" });
  });

  it("answers for a duplicate once it has the event itself", async () => {
    const { follower, log } = await setUp({}, () => ({ listen: async () => async () => undefined }), 60_000);
    await follower.start();
    await log.accept(event("evt_1"), undefined);
    expect(await follower.accept(event("evt_1"))).toMatchObject({ status: "duplicate" });
    expect(follower.tail?.memory.at(1)).toMatchObject({ id: "evt_1" });
  });

  it("does not count an answer that was asked for on an earlier connection", async () => {
    let listener: LogListener | undefined;
    const held: { resolve: (state: LogState) => void; state: LogState }[] = [];
    let holding = false;
    const { follower, log } = await setUp({}, (real) => ({
      listen: async (given) => {
        listener = given;
        return async () => undefined;
      },
      state: async (known) => {
        const state = await real.state(known);
        return holding ? new Promise<LogState>((resolve) => held.push({ resolve, state })) : state;
      },
    }));
    await follower.start();
    holding = true;
    await vi.waitFor(() => expect(held).toHaveLength(1));
    // what a demoted master would say: a history that is not ours any more
    const [first] = held;
    listener?.reconnected();
    holding = false;
    await log.accept(event("evt_1"), undefined);
    first?.resolve({ ...first.state, history: [], head: 0 });
    await vi.waitFor(() => expect(follower.tail?.position).toBe(1));
    expect(follower.tail?.history).not.toEqual([]);
  });

  it("begins anew behind a hole that was trimmed, and says from where everyone has to catch up", async () => {
    const rule = { maxAgeMs: 30 * day, maxCount: 1 };
    const { follower, log, applied, restarts } = await setUp(
      { retention: { default: rule, types: new Map() } },
      () => ({ listen: async () => async () => undefined }),
      60_000,
    );
    await follower.start();
    for (let n = 0; n < 3; n++) await log.accept(event(`evt_${n}`), undefined);
    await log.trim(100);
    await follower.compare();
    await vi.waitFor(() => expect(follower.tail?.position).toBe(3));
    expect(restarts).toEqual([0]);
    expect(applied).toEqual([]);
    expect(follower.tail?.memory.start).toBe(3);
  });

  it("listens anew when events are stored and not announced", async () => {
    let listening = 0;
    const { follower, log } = await setUp({}, () => ({
      alone: false,
      listen: async () => {
        listening++;
        return async () => undefined;
      },
    }));
    await follower.start();
    await log.accept(event("evt_1"), undefined);
    await vi.waitFor(() => expect(listening).toBe(2));
  });

  it("remembers no further back than two thirds of the shortest retention, in count and in age", async () => {
    const rule = { maxAgeMs: 30 * day, maxCount: 9 };
    const { follower } = await setUp({
      retention: { default: { maxAgeMs: 30 * day }, types: new Map([["token.created", rule]]) },
    });
    await follower.start();
    for (let n = 0; n < 20; n++) await follower.accept(event(`evt_${n}`));
    expect(follower.tail?.memory.length).toBe(6);
    expect(follower.tail?.memory.start).toBe(14);
    const wanted = { maxEntries: 1_000, maxBytes: 1e8 };
    const retention = {
      default: { maxAgeMs: day },
      types: new Map([["token.created", { maxAgeMs: 900_000 }]]),
    };
    expect(memoryLimits(wanted, retention)).toEqual({ ...wanted, maxAgeMs: 600_000 });
  });

  it("waits while a master answers that was replaced; if it stays, the log begins another epoch there", async () => {
    const other: EpochRecord = { epoch: "bbbbbbbbbbbb" as Epoch, first: 1 };
    let shown: "own" | "other" = "own";
    const { follower } = await setUp(
      {},
      (log) => ({
        async state(known) {
          if (shown === "own") return log.state(known);
          return { ...(await log.state(undefined)), history: [other] };
        },
      }),
      20,
      { replacedMs: 300 },
    );
    await follower.start();
    const own = follower.tail?.epoch;
    shown = "other";
    await vi.waitFor(() => expect(follower.tail?.epoch).toBe(other.epoch));
    shown = "own";
    expect(await follower.compare()).toBe(false);
    await expect(follower.accept(event("evt_lost"))).rejects.toMatchObject({ code: "unavailable" });
    expect(follower.tail?.epoch).toBe(other.epoch);
    await vi.waitFor(() => expect(follower.tail?.epoch).not.toBe(other.epoch));
    expect(follower.tail?.epoch).not.toBe(own);
    expect(follower.tail?.history.map(({ epoch }) => epoch)).toContain(own);
    // what it took meanwhile was answered with an error, and came along all the same
    expect(follower.tail?.position).toBe(1);
  });
});
