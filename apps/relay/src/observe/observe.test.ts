import { describe, expect, test } from "vitest";
import { LogError } from "../log/event-log.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";
import { createMetrics, createPrimaryMetrics, lastingOf, renderTogether } from "./metrics.ts";

function logging(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  return { lines, logger: createLogger({ level: "debug", production: true, stream, ...options }) };
}

describe("the log", () => {
  test("is JSON, a line for each entry, with a level in words and a time with zone", () => {
    const { lines, logger } = logging();
    logger.info({ id: "evt_1", type: "token.created", sequence: 7 }, "accepted");
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      id: "evt_1",
      type: "token.created",
      sequence: 7,
      msg: "accepted",
    });
  });

  test("leaves out what is below its level", () => {
    const { lines, logger } = logging({ level: "warn" });
    logger.info("quiet");
    logger.warn("loud");
    expect(lines).toHaveLength(1);
    const silent = logging({ level: "silent" });
    silent.logger.error("nothing");
    expect(silent.lines).toEqual([]);
  });

  test("names the worker that wrote it where there are several", () => {
    const { lines, logger } = logging({ worker: 2 });
    logger.info({ id: "evt_1" }, "accepted");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ worker: 2, id: "evt_1", msg: "accepted" });
  });

  const word = "hidden-word";
  const jwt = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from('{"sub":"u1"}').toString("base64url")}.abcdefghij`;
  test.each<[string, object]>([
    ["data", { data: { owner: word } }],
    ["an event", { event: { id: "x", data: word } }],
    ["a body as bytes", { bytes: Buffer.from(word) }],
    ["a body by name", { body: word }],
    ["headers", { request: { headers: { "x-y": word } } }],
    ["a token", { token: word }],
    ["an authorization deep inside", { a: { Authorization: word } }],
    ["secrets", { config: { secrets: [word] } }],
    ["a list of events", { list: [{ data: word }] }],
    ["what lies too deep", { a: { b: { c: { d: word } } } }],
  ])("withholds %s", (_name, fields) => {
    const { lines, logger } = logging();
    logger.info(fields, "message");
    expect(lines.join()).not.toContain(word);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ msg: "message" });
  });

  test("masks what looks like a secret wherever it stands", () => {
    const { lines, logger } = logging();
    logger.info(
      { note: jwt, url: "redis://user:pass%20word@redis:6379" },
      `got whsec_4f9c1e7ab0d25836 and ${jwt}`,
    );
    logger.error(new Error(`could not check ${jwt}`), "failed");
    const all = lines.join();
    for (const part of [...jwt.split("."), "4f9c1e7ab0d25836", "pass%20word"])
      expect(all).not.toContain(part);
    expect(all).toContain("redis:6379");
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
  });

  test("tells of an error by type, code, message and cause, but never what a parser quoted", () => {
    const { lines, logger } = logging();
    logger.warn(
      { err: new LogError("unavailable", "no answer", { cause: new TypeError("socket closed") }) },
      "log",
    );
    expect(JSON.parse(lines[0] ?? "").err).toMatchObject({
      type: "LogError",
      code: "unavailable",
      message: "no answer",
      cause: { type: "TypeError", message: "socket closed" },
      stack: expect.any(Array),
    });
    let parserError: unknown;
    try {
      JSON.parse(`{"owner": ${word}`);
    } catch (error) {
      parserError = error;
    }
    expect(String(parserError)).toContain(word.slice(0, 6));
    logger.error({ err: parserError }, "bad");
    logger.error(parserError);
    expect(lines.slice(1).join()).not.toContain(word.slice(0, 6));
    expect(JSON.parse(lines[2] ?? "")).toMatchObject({ msg: "SyntaxError", err: { type: "SyntaxError" } });
  });

  test("cuts what is long, and survives what refers to itself", () => {
    const { lines, logger } = logging();
    const round: Record<string, unknown> = { n: 1n };
    round["self"] = round;
    logger.info({ round, long: "x".repeat(10_000), many: Array.from({ length: 1_000 }, () => 1) }, "m");
    expect(lines[0]?.length).toBeLessThan(1_000);
  });

  test("is one readable line on a terminal in development", () => {
    const { lines, logger } = logging({ production: false, terminal: true });
    logger.warn({ id: "evt_1", why: "too late\u001b[31m\n" }, "late\nevent\u001b[2J");
    const line = (lines[0] ?? "").replaceAll("\u001b[33m", "").replaceAll("\u001b[0m", "");
    expect(line.slice(0, 12)).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/);
    expect(line.slice(12)).toBe(' WARN  late event [2J id=evt_1 why="too late\\u001b[31m\\n"\n');
    expect(lines[0]?.split("\n")).toHaveLength(2);
  });

  test("is JSON in production even on a terminal, and in development where nobody reads along", () => {
    for (const options of [
      { production: true, terminal: true },
      { production: false, terminal: false },
    ]) {
      const { lines, logger } = logging(options);
      logger.info("m");
      expect(JSON.parse(lines[0] ?? "")).toMatchObject({ msg: "m" });
    }
  });
});

describe("the figures", () => {
  test("count what happened, by closed labels that are there from the start", async () => {
    const metrics = createMetrics();
    const first = (await metrics.render()).body;
    for (const line of [
      'sharmo_relay_webhooks_total{outcome="storage_unavailable"} 0',
      'sharmo_relay_gaps_total{reason="log_lost"} 0',
      'sharmo_relay_subscriptions{state="tailing"} 0',
      "sharmo_relay_head_sequence 0",
      "nodejs_eventloop_lag_p99_seconds",
      "process_resident_memory_bytes",
    ]) {
      expect(first).toContain(line);
    }

    metrics.ingest.answered("accepted");
    metrics.ingest.answered("accepted");
    metrics.ingest.acceptTook(0.003);
    metrics.ingest.schemaProblem();
    metrics.log.failed("not_writable");
    metrics.tail.junkAnnouncement();
    metrics.tail.announcementsLost(3);
    metrics.tail.holeFilled();
    metrics.tail.putBack(4);
    metrics.tail.lost(2);
    metrics.fanout.delivered(500, "live");
    metrics.fanout.lagged();
    metrics.fanout.paged("memory");
    metrics.fanout.gap("retention");
    metrics.fanout.gap("made up");
    metrics.fanout.subscriptions(1);
    metrics.fanout.connections(1);
    metrics.fanout.connections(1);
    metrics.fanout.connections(-1);
    metrics.realtime.frameBytes(1_234);
    metrics.watch({
      head: () => 9,
      position: () => 8,
      subscriptions: () => ({ snapshot: 1, catching_up: 2, tailing: 3 }),
      logSize: () => ({ fileBytes: 8_192, usedBytes: 4_096 }),
    });
    const { body } = await metrics.render();
    for (const line of [
      'sharmo_relay_webhooks_total{outcome="accepted"} 2',
      'sharmo_relay_accept_duration_seconds_bucket{le="0.005"} 1',
      "sharmo_relay_schema_problems_total 1",
      'sharmo_relay_log_errors_total{code="not_writable"} 1',
      "sharmo_relay_junk_announcements_total 1",
      "sharmo_relay_announcements_lost_total 3",
      "sharmo_relay_holes_filled_total 1",
      'sharmo_relay_deliveries_total{kind="live"} 500',
      "sharmo_relay_lagged_total 1",
      'sharmo_relay_catch_up_pages_total{source="memory"} 1',
      'sharmo_relay_gaps_total{reason="retention"} 1',
      "sharmo_relay_subscriptions_open 1",
      "sharmo_relay_connections 1",
      "sharmo_relay_frame_bytes_total 1234",
      "sharmo_relay_head_sequence 9",
      "sharmo_relay_fanout_sequence 8",
      'sharmo_relay_subscriptions{state="catching_up"} 2',
      'sharmo_relay_log_bytes{kind="file"} 8192',
      'sharmo_relay_log_bytes{kind="used"} 4096',
    ]) {
      expect(body).toContain(line);
    }
    expect(body).not.toContain("made up");
  });

  test("of two relays in one process do not mix", async () => {
    const [a, b] = [createMetrics(), createMetrics()];
    a.ingest.answered("duplicate");
    expect((await b.render()).body).toContain('outcome="duplicate"} 0');
  });

  test("of several processes are sums, but for the end of the log and who is furthest behind", async () => {
    const workers = [createMetrics(), createMetrics()];
    for (const [n, metrics] of workers.entries()) {
      metrics.ingest.answered("accepted");
      metrics.ingest.acceptTook(0.003);
      metrics.fanout.delivered(10 + n, "live");
      metrics.fanout.connections(1);
      metrics.watch({
        head: () => 9 + n,
        position: () => 8 + n,
        subscriptions: () => ({ snapshot: 0, catching_up: 1, tailing: 3 }),
        logSize: () => ({ fileBytes: 8_192, usedBytes: 4_096 }),
      });
    }
    const primary = createPrimaryMetrics();
    primary.replaced();
    const ended = createMetrics();
    ended.fanout.delivered(100, "live");
    ended.fanout.connections(1);
    // as it goes from process to process
    const all = structuredClone(
      await Promise.all([
        primary.figures(2),
        lastingOf([await ended.figures()]),
        ...workers.map((one) => one.figures()),
      ]),
    );
    const { contentType, body } = await renderTogether(all);
    expect(contentType).toBe((await createMetrics().render()).contentType);
    for (const line of [
      "sharmo_relay_workers 2",
      "sharmo_relay_workers_replaced_total 1",
      'sharmo_relay_webhooks_total{outcome="accepted"} 2',
      'sharmo_relay_accept_duration_seconds_bucket{le="0.005"} 2',
      "sharmo_relay_accept_duration_seconds_count 2",
      'sharmo_relay_deliveries_total{kind="live"} 121',
      "sharmo_relay_connections 2",
      'sharmo_relay_subscriptions{state="tailing"} 6',
      "sharmo_relay_head_sequence 10",
      "sharmo_relay_fanout_sequence 8",
      'sharmo_relay_log_bytes{kind="used"} 4096',
    ]) {
      expect(body.split("\n")).toContain(line);
    }
  });
});
