import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Answer, accepted, freePort, startReceiver } from "./receiver.test-receiver.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const cli = fileURLToPath(new URL("./cli.ts", import.meta.url));
const secret = "whsec_T3stT3stT3st";

interface Running {
  readonly process: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** The exit code. */
  readonly end: Promise<number | null>;
}

/** Starts the command from its sources, as `sharmo-simulator` would run. */
function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const node = ["--conditions=sharmo-source", "--import", "tsx", cli, ...args];
  const { SHARMO_WEBHOOK_SECRET: _, ...inherited } = process.env;
  const child = spawn(process.execPath, node, { cwd: root, env: { ...inherited, ...env } });
  let out = "";
  let err = "";
  child.stdout.on("data", (text: Buffer) => {
    out += text.toString();
  });
  child.stderr.on("data", (text: Buffer) => {
    err += text.toString();
  });
  const end = new Promise<number | null>((done) => child.once("close", (code) => done(code)));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await end;
    // Whatever a test was about: the secret is never printed.
    expect(out + err).not.toContain(secret);
  });
  return { process: child, out: () => out, err: () => err, end };
}

function fileWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "simulator-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "secret"), text);
  return join(folder, "secret");
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 45_000, interval: 20 });

// Each test starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

describe("sharmo-simulator run", () => {
  it("should send --count signed events, tell how it went, and exit 0", async () => {
    const receiver = await startReceiver();
    const args = ["run", "--url", receiver.url, "--secret", secret, "--count", "50", "--rate", "1000"];
    const run = start([...args, "--duplicates", "0.2", "--late", "0.2"]);
    expect(await run.end).toBe(0);
    expect(new Set(receiver.requests.map(({ id }) => id)).size).toBe(50);
    const extra = receiver.requests.length - 50;
    expect(run.out()).toMatch(
      new RegExp(
        `\\n50 events sent, 50 accepted, ${extra} duplicates?, \\d+ late, 0 failed, 0 not settled, in [\\d.]+ s\\n$`,
      ),
    );
    expect(run.err()).toBe("");
    for (const { headers, body, text } of receiver.requests) {
      expect(headers["x-sharmo-signature"]).toBe(createHmac("sha256", secret).update(body).digest("hex"));
      const { created_at } = JSON.parse(text) as { created_at: string };
      expect(Math.abs(Date.parse(created_at) - Date.now())).toBeLessThan(60_000);
    }
  });

  it("should send the same bytes for the same seed, and other events each time without", async () => {
    const bytes = async (...more: string[]) => {
      const receiver = await startReceiver();
      const args = ["run", "--url", receiver.url, "--secret", secret, "--count", "30", "--quiet"];
      expect(await start([...args, "--in-flight", "1", ...more]).end).toBe(0);
      return receiver.requests.map(({ text }) => text).join("\n");
    };
    const [one, two, three, four] = await Promise.all([
      bytes("--rate", "1000", "--seed", "7"),
      bytes("--rate", "500", "--seed", "7"),
      bytes("--rate", "1000"),
      bytes("--rate", "1000"),
    ]);
    expect(one).toContain("2025-01-01T00:00:00");
    expect(two === one).toBe(true);
    expect(three).not.toBe(four);
  });

  it("should take the secret from a JSON file, a plain file, and the environment", async () => {
    const receiver = await startReceiver();
    const args = [
      "run",
      "--url",
      receiver.url,
      "--count",
      "1",
      "--quiet",
      "--late",
      "0",
      "--scheme",
      "timestamped",
    ];
    const runs = [
      start([...args, "--secret-file", fileWith(JSON.stringify({ webhook_secret: secret }))]),
      start([...args, "--secret-file", fileWith(`${secret}\n`)]),
      start(args, { SHARMO_WEBHOOK_SECRET: secret }),
    ];
    expect(await Promise.all(runs.map(({ end }) => end))).toEqual([0, 0, 0]);
    expect(receiver.requests.length).toBeGreaterThanOrEqual(3);
    for (const { headers, body } of receiver.requests) {
      const [, t, v1] = /^t=(\d+),v1=(.*)$/.exec(String(headers["sharmo-signature"])) ?? [];
      expect(v1).toBe(createHmac("sha256", secret).update(`${t}.`).update(body).digest("hex"));
    }
    for (const run of runs) expect(run.out()).toMatch(/^1 event sent, 1 accepted, /);
  });

  it("should say that the relay is not there, go on by the schedule, and say when it is", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/hooks`;
    const run = start([
      "run",
      "--url",
      url,
      "--secret",
      secret,
      "--count",
      "3",
      "--rate",
      "100",
      "--time-scale",
      "300",
    ]);
    await until(() =>
      expect(run.out()).toContain(
        `${url} does not accept events: nothing listens at 127.0.0.1:${port}. Each is tried again after 1 s, 3 s, 6 s, 12 s, 24 s\n`,
      ),
    );
    const receiver = await startReceiver(() => accepted, port);
    expect(await run.end).toBe(0);
    expect(receiver.requests.length).toBeGreaterThanOrEqual(3);
    expect(run.out()).toContain(`${url} accepts events again\n`);
    expect(run.out()).toContain("3 events sent, 3 accepted");
  });

  it("should exit 1 when events were given up, with the receiver's own words", async () => {
    // One that does not look like a secret, so that only its being known can hide it.
    const ordinary = "correct horse";
    const answer: Answer = {
      status: 401,
      body: `{"code":"invalid_signature","message":"no match for ${ordinary}","details":{}}`,
    };
    const receiver = await startReceiver(() => answer);
    const args = [
      "run",
      "--url",
      receiver.url,
      "--secret",
      ordinary,
      "--count",
      "2",
      "--time-scale",
      "100000",
    ];
    const run = start([...args, "--rate", "100"]);
    expect(await run.end).toBe(1);
    expect(run.out()).toContain("does not accept events: 401 invalid_signature: no match for (secret)");
    expect(run.out()).toContain("2 events sent, 0 accepted, 0 duplicates, ");
    expect(run.out()).toContain(" 2 failed, 0 not settled");
  });

  it.each([
    ["SIGINT", 0],
    ["SIGTERM", 0],
  ] as const)("should end at once on %s, with a closing line", async (signal, code) => {
    // One waits for a retry and others for an answer: nothing may hold the end up.
    const answers: readonly Answer[] = [accepted, { status: 503 }];
    const receiver = await startReceiver((_, index) => answers[index]);
    const run = start(["run", "--url", receiver.url, "--secret", secret, "--rate", "20", "--late", "0"]);
    await until(() => expect(receiver.requests.length).toBeGreaterThan(3));
    const since = performance.now();
    run.process.kill(signal);
    expect(await run.end).toBe(code);
    // A second, and some more for a busy machine; a request that is waited for would take ten.
    expect(performance.now() - since).toBeLessThan(6_000);
    expect(run.out()).toMatch(/\n\d+ events sent, 1 accepted, .* not settled, in [\d.]+ s\n$/);
    expect(run.err()).toBe("");
  });

  it("should exit 130 when it is interrupted before --count is reached", async () => {
    const receiver = await startReceiver();
    const run = start(["run", "--url", receiver.url, "--secret", secret, "--count", "1000", "--rate", "10"]);
    await until(() => expect(receiver.requests.length).toBeGreaterThan(1));
    run.process.kill("SIGINT");
    expect(await run.end).toBe(130);
  });

  it("should end quietly when nobody reads on", async () => {
    const receiver = await startReceiver();
    const run = start(["run", "--url", receiver.url, "--secret", secret, "--rate", "50", "--count", "100"]);
    run.process.stdout?.destroy();
    expect(await run.end).toBe(0);
    expect(run.err()).toBe("");
  });
});

describe("sharmo-simulator", () => {
  it("should answer bad arguments and missing secrets with one line and exit code 2", async () => {
    const missing = join(tmpdir(), "sharmo-no-such-file");
    const cases: readonly (readonly [readonly string[], string])[] = [
      [
        ["run", "--rate", secret],
        '--rate: expected a number from 0.01 to 100000, got "whsec_…"; for example --rate 20',
      ],
      [["walk"], "expected a command: run, register, send, types; for example sharmo-simulator run --help"],
      [
        ["run"],
        "no webhook secret: expected --secret-file, --secret or SHARMO_WEBHOOK_SECRET, for example --secret-file ./data/dev-secrets.json",
      ],
      [["run", "--secret-file", missing], `cannot read the secret file ${missing}: no such file`],
    ];
    const empty = fileWith(`{"jwt_secret":"${secret}"}`);
    const runs = [
      ...cases.map(([args, line]) => ({ run: start(args), line })),
      {
        run: start(["register", "--secret-file", empty]),
        line: `the secret file ${empty} holds no webhook_secret: expected {"webhook_secret": "whsec_…"}, or the secret as plain text`,
      },
    ];
    for (const { run, line } of runs) {
      expect(await run.end).toBe(2);
      expect(run.err()).toBe(`sharmo-simulator: ${line}\n`);
      expect(run.out()).toBe("");
    }
  });

  it("should register, and say why if it cannot", async () => {
    const receiver = await startReceiver(({ text }, index) => {
      if (index > 0) return { status: 401, body: '{"code":"invalid_signature","message":"no","details":{}}' };
      const { data } = JSON.parse(text) as { data: unknown };
      return { status: 200, body: JSON.stringify(data) };
    });
    const good = start(["register", "--url", receiver.url]);
    expect(await good.end).toBe(0);
    expect(good.out()).toBe(`${receiver.url} is registered: it answered the challenge\n`);
    const bad = start(["register", "--url", receiver.url, "--signed"], { SHARMO_WEBHOOK_SECRET: secret });
    expect(await bad.end).toBe(1);
    expect(bad.err()).toBe(
      `${receiver.url} is not registered: expected status 200, got 401 invalid_signature: no\n`,
    );
    expect(receiver.requests.map(({ headers }) => "x-sharmo-signature" in headers)).toEqual([false, true]);
  });

  it("should send one test event with edited data and show the answer", async () => {
    const receiver = await startReceiver((_, index) =>
      index === 0 ? accepted : { status: 422, body: "no" },
    );
    const args = ["--url", receiver.url, "--secret", secret];
    const good = start([
      "send",
      "token.price_changed",
      ...args,
      "--set",
      "token_id=tok_1",
      "--set",
      "current_price=12.50",
    ]);
    expect(await good.end).toBe(0);
    expect(good.out()).toBe('token.price_changed: 200 {"status":"accepted"}\n');
    expect(receiver.requests[0]?.text).toMatch(/"data":\{"token_id":"tok_1",.*"current_price":12\.50\}\}$/);
    const bad = start(["send", "token.brand_new", ...args, "--data", "{}", "--id", "evt_7"]);
    expect(await bad.end).toBe(1);
    expect(bad.err()).toBe("token.brand_new: 422 no\n");
    expect(receiver.requests[1]?.id).toBe("evt_7");
  });

  it("should list the types and show help and version", async () => {
    const [types, help, version] = [start(["types"]), start(["--help"]), start(["--version"])];
    expect(await Promise.all([types.end, help.end, version.end])).toEqual([0, 0, 0]);
    expect(types.out().trim().split("\n").length).toBe(28);
    expect(help.out()).toContain("Usage:");
    expect(version.out()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
