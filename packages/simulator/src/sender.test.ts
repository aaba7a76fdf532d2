import { createHmac } from "node:crypto";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createMarket, type Market, type SimulatedEvent } from "./market.ts";
import { createRandom } from "./random.ts";
import { type Answer, accepted, freePort, startReceiver } from "./receiver.test-receiver.ts";
import { run } from "./run.ts";
import { vendorDelays } from "./sender/schedule.ts";
import { createSender, type Sender, type SenderOptions } from "./sender.ts";

const secret = "whsec_T3stT3stT3st";
/** 5 minutes become 10 ms, 2 hours 240. */
const fast = 30_000;
const busy = { status: 503, body: '{"code":"storage_unavailable","message":"not now","details":{}}' };

function sender(options: Omit<SenderOptions, "secret">): Sender {
  const made = createSender({ secret, timeScale: fast, ...options });
  onTestFinished(() => made.stop());
  return made;
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 45_000, interval: 5 });

async function sendAll(to: Sender, events: readonly SimulatedEvent[]): Promise<void> {
  for (const event of events) expect(await to.send(event)).toBe(true);
}

function take(count: number, market: Market = createMarket()): SimulatedEvent[] {
  return Array.from({ length: count }, () => market.next());
}

// Hundreds of real requests, on a machine that may be busy.
vi.setConfig({ testTimeout: 60_000 });

describe("createSender", () => {
  it("should deliver every event once, signed under both schemes over the exact bytes", async () => {
    const receiver = await startReceiver();
    const to = sender({ url: receiver.url, scheme: "both", style: "python" });
    const events = take(60);
    await sendAll(to, events);
    await to.finish();

    expect(receiver.requests.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id).sort());
    for (const { headers, body, path } of receiver.requests) {
      expect(path).toBe("/api/sharmo-webhooks");
      expect(headers["content-type"]).toBe("application/json");
      expect(headers["x-sharmo-signature"]).toBe(createHmac("sha256", secret).update(body).digest("hex"));
      const [, t = "", v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["sharmo-signature"])) ?? [];
      expect(createHmac("sha256", secret).update(`${t}.`).update(body).digest("hex")).toBe(v1);
      expect(Math.abs(Number(t) - Date.now() / 1_000)).toBeLessThan(30);
    }
    expect(to.stats()).toMatchObject({
      sent: 60,
      accepted: 60,
      duplicates: 0,
      late: 0,
      failed: 0,
      attempts: 60,
    });
  });

  it("should keep few requests in flight, on connections that are used again", async () => {
    const receiver = await startReceiver();
    const to = sender({ url: receiver.url, maxInFlight: 3 });
    await sendAll(to, take(60));
    await to.finish();
    expect(receiver.mostAtOnce()).toBeLessThanOrEqual(3);
    expect(receiver.connections()).toBeLessThan(15);
  });

  it("should keep the order of events with one request in flight", async () => {
    const receiver = await startReceiver();
    const to = sender({ url: receiver.url, maxInFlight: 1 });
    const events = take(40);
    await sendAll(to, events);
    await to.finish();
    expect(receiver.requests.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
  });

  it("should try again on the vendor's schedule, with the same bytes, until it is answered 2xx", async () => {
    const receiver = await startReceiver((_, index) => (index < 4 ? busy : accepted));
    const to = sender({ url: receiver.url });
    await sendAll(to, take(1));
    await until(() => expect(to.stats().accepted).toBe(1));

    expect(new Set(receiver.requests.map(({ text }) => text)).size).toBe(1);
    const deliveries = to.deliveries();
    expect(deliveries.map(({ attempt, status, outcome }) => [attempt, status, outcome])).toEqual([
      [1, 503, "retrying"],
      [2, 503, "retrying"],
      [3, 503, "retrying"],
      [4, 503, "retrying"],
      [5, 200, "delivered"],
    ]);
    // Each retry was due its step of the schedule after the attempt before it had ended, and not sooner.
    deliveries.slice(0, -1).forEach((delivery, index) => {
      const wait = Date.parse(delivery.nextAt ?? "") - Date.parse(delivery.at) - delivery.tookMs;
      const step = (vendorDelays[index] ?? 0) / fast;
      expect(wait).toBeGreaterThanOrEqual(step - 5);
      expect(wait).toBeLessThan(step + 500);
      const next = deliveries[index + 1];
      // A timer may fire up to a millisecond before its time.
      expect(Date.parse(next?.at ?? "")).toBeGreaterThanOrEqual(Date.parse(delivery.nextAt ?? "") - 2);
    });
  });

  it("should mark a delivery failed after the fifth retry", async () => {
    const receiver = await startReceiver(() => busy);
    const to = sender({ url: receiver.url });
    await sendAll(to, take(1));
    await to.finish();
    expect(receiver.requests.length).toBe(6);
    expect(to.stats()).toMatchObject({ sent: 1, accepted: 0, failed: 1, attempts: 6, waiting: 0 });
    expect(to.deliveries().at(-1)).toMatchObject({ attempt: 6, outcome: "failed", response: busy.body });
  });

  it("should take anything but 2xx for a failure, redirects too", async () => {
    const statuses = [301, 400, 401, 404, 500, 204];
    const receiver = await startReceiver((_, index) => ({ status: statuses[index] ?? 500, location: "/" }));
    const to = sender({ url: receiver.url });
    await sendAll(to, take(1));
    await to.finish();
    expect(to.deliveries().map(({ status }) => status)).toEqual(statuses);
    expect(to.stats()).toMatchObject({ accepted: 1, failed: 0 });
    expect(receiver.requests.every(({ path }) => path === "/api/sharmo-webhooks")).toBe(true);
  });

  it("should try again when no answer comes in time, and when nothing listens", async () => {
    const receiver = await startReceiver((_, index) => (index === 0 ? undefined : accepted));
    const to = sender({ url: receiver.url, timeoutMs: 1_000 });
    await sendAll(to, take(1));
    await to.finish();
    expect(to.deliveries().map(({ response }) => response)).toEqual(["no answer within 1 s", accepted.body]);

    const port = await freePort();
    const early = sender({ url: `http://127.0.0.1:${port}/hooks`, timeScale: 300 });
    await sendAll(early, take(1));
    await until(() => expect(early.stats().attempts).toBe(1));
    expect(early.deliveries()[0]).toMatchObject({
      response: `nothing listens at 127.0.0.1:${port}`,
      outcome: "retrying",
    });
    await startReceiver(() => accepted, port);
    await early.finish();
    expect(early.stats()).toMatchObject({ accepted: 1, failed: 0 });
  });

  it("should send again, though they were answered, a share of events that the seed decides", async () => {
    const again = async () => {
      const receiver = await startReceiver();
      const to = sender({ url: receiver.url, duplicates: 0.4, random: createRandom("7") });
      await sendAll(to, take(80));
      await until(() => expect(to.stats()).toMatchObject({ waiting: 0, inFlight: 0 }));
      const counts = new Map<string, number>();
      for (const { id } of receiver.requests) counts.set(id, (counts.get(id) ?? 0) + 1);
      expect(Math.max(...counts.values())).toBeLessThanOrEqual(3);
      const extra = receiver.requests.length - 80;
      expect(extra).toBeGreaterThan(15);
      expect(to.stats()).toMatchObject({ sent: 80, accepted: 80, duplicates: extra, failed: 0 });
      const lost = to.deliveries().filter(({ outcome }) => outcome === "lost_answer");
      expect(lost.length).toBeGreaterThan(0);
      expect(lost.every(({ nextAt, at }) => Date.parse(nextAt ?? "") - Date.parse(at) >= 9)).toBe(true);
      return [...counts].filter(([, count]) => count > 1).map(([id]) => id);
    };
    expect((await again()).sort()).toEqual((await again()).sort());
  });

  it("should hold back a share of events, so that newer ones overtake them", async () => {
    const receiver = await startReceiver();
    const to = sender({ url: receiver.url, late: 0.2, maxInFlight: 1 });
    const events = take(80);
    await sendAll(to, events);
    await until(() => expect(to.stats()).toMatchObject({ waiting: 0, inFlight: 0 }));
    const { late } = to.stats();
    expect(late).toBeGreaterThan(8);
    const order = receiver.requests.map(({ id }) => events.findIndex((event) => event.id === id));
    expect([...order].sort((a, b) => a - b)).toEqual(events.map((_, index) => index));
    let newest = -1;
    let overtaken = 0;
    for (const index of order) {
      if (index < newest) overtaken += 1;
      else newest = index;
    }
    // One at the very end has none behind it that could overtake.
    expect(overtaken).toBeGreaterThan(late / 2);
    expect(overtaken).toBeLessThanOrEqual(late);
    // Its attempts that got nowhere count: a late event has fewer left.
    expect(to.deliveries().some(({ attempt }) => attempt > 1)).toBe(true);
  });

  it("should send at once, when it is to finish, what it holds back on purpose", async () => {
    const receiver = await startReceiver();
    const to = sender({ url: receiver.url, late: 0.3, duplicates: 0.3, timeScale: 1 });
    await sendAll(to, take(100));
    expect(to.stats().waiting).toBeGreaterThan(10);
    await to.finish();
    const { accepted: arrived, late, duplicates, waiting } = to.stats();
    expect({ arrived, waiting }).toEqual({ arrived: 100, waiting: 0 });
    expect(late).toBeGreaterThan(10);
    expect(duplicates).toBeGreaterThan(10);
    expect(receiver.requests.length).toBe(100 + duplicates);
  });

  it("should let the market wait when too much is open, and go on when there is room again", async () => {
    let answer: Answer = busy;
    const receiver = await startReceiver(() => answer);
    const to = sender({ url: receiver.url, maxOpen: 20, maxInFlight: 4, timeScale: 1_000 });
    const all = sendAll(to, take(60));
    await until(() => expect(to.stats()).toMatchObject({ sent: 20, waiting: 20, full: true }));
    answer = accepted;
    await all;
    await to.finish();
    expect(to.stats()).toMatchObject({ sent: 60, accepted: 60, failed: 0, full: false });
  });

  it("should keep room for real retries from what it holds back on purpose", async () => {
    const receiver = await startReceiver();
    const to = sender({ url: receiver.url, maxOpen: 20, late: 1, duplicates: 1, timeScale: 1 });
    await sendAll(to, take(100));
    await until(() => expect(to.stats().inFlight).toBe(0));
    expect(to.stats()).toMatchObject({ sent: 100, waiting: 10, accepted: 90 });
  });

  it("should end everything at once when it is stopped: requests, retries, and who waits for room", async () => {
    const receiver = await startReceiver((_, index) => (index === 0 ? busy : undefined));
    const stopping = new AbortController();
    const to = sender({ url: receiver.url, maxInFlight: 1, timeScale: 1, signal: stopping.signal });
    await sendAll(to, take(1));
    await until(() => expect(to.stats().waiting).toBe(1));
    await sendAll(to, take(1));
    const asking = to.send(take(1)[0] as SimulatedEvent);
    const finishing = to.finish();
    await until(() => expect(receiver.requests.length).toBe(2));
    const since = performance.now();
    stopping.abort();
    expect(await asking).toBe(false);
    await finishing;
    await to.stop();
    expect(performance.now() - since).toBeLessThan(6_000);
    expect(await to.send(take(1)[0] as SimulatedEvent)).toBe(false);
    expect(to.stats()).toMatchObject({ sent: 2, accepted: 0, inFlight: 0 });
  });

  it("should keep a bounded record of deliveries with the beginning of each answer", async () => {
    const receiver = await startReceiver(() => ({ status: 200, body: `x${"é".repeat(4_000)}` }));
    const seen: string[] = [];
    const to = sender({
      url: receiver.url,
      keepDeliveries: 5,
      onDelivery: ({ eventId }) => seen.push(eventId),
    });
    await sendAll(to, take(12));
    await to.finish();
    expect(seen.length).toBe(12);
    expect(to.deliveries().map(({ eventId }) => eventId)).toEqual(seen.slice(-5));
    expect(to.deliveries()[0]?.response).toBe(`x${"é".repeat(511)}`);
  });
});

describe("run", () => {
  it("should send at the rate it is told, in bursts if it is told so", async () => {
    const receiver = await startReceiver();
    const to = sender({ url: receiver.url });
    const since = performance.now();
    await run({ market: createMarket(), sender: to, rate: 200, burst: 20, count: 100 });
    // Five bursts: four pauses of 100 ms, not ninety-nine of 5 ms.
    expect(performance.now() - since).toBeGreaterThan(390);
    await to.finish();
    expect(to.stats().accepted).toBe(100);
  });

  it("should end with its signal and with its sender", async () => {
    const receiver = await startReceiver();
    const stopping = new AbortController();
    const to = sender({ url: receiver.url });
    const endless = run({ market: createMarket(), sender: to, rate: 0.01, signal: stopping.signal });
    await until(() => expect(to.stats().accepted).toBe(1));
    stopping.abort();
    await endless;
    const other = run({ market: createMarket(), sender: to, rate: 1_000 });
    await to.stop();
    await other;
  });
});
