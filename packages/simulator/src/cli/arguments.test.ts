import { describe, expect, it } from "vitest";
import { SimulatorError } from "../errors.ts";
import { readArguments } from "./arguments.ts";
import { commandHelp, commands, isCommandName, options, overview } from "./options.ts";

function messageOf(...args: string[]): string {
  try {
    readArguments(args);
  } catch (error) {
    if (error instanceof SimulatorError && error.code === "usage") return error.message;
    throw error;
  }
  return "no error";
}

describe("readArguments", () => {
  it("should fill in what is not given", () => {
    expect(readArguments(["run"])).toEqual({
      command: "run",
      url: "http://127.0.0.1:3000/api/sharmo-webhooks",
      secret: {},
      scheme: "body",
      rate: 5,
      burst: 1,
      tokens: 12,
      timeScale: 1,
      duplicates: 0.02,
      late: 0.02,
      style: "json",
      inFlight: 8,
      quiet: false,
    });
  });

  it("should read every option", () => {
    const line =
      "run --url https://relay.example/hooks --secret s --scheme both --rate 0.5 --burst 3 --count 10 --seed 7 --start 2025-06-01T00:00:00+02:00 --tokens 4 --time-scale 60 --duplicates 0 --late 1 --style dotnet --in-flight 2 --quiet";
    expect(readArguments(line.split(" "))).toEqual({
      command: "run",
      url: "https://relay.example/hooks",
      secret: { secret: "s" },
      scheme: "both",
      rate: 0.5,
      burst: 3,
      count: 10,
      seed: "7",
      start: Date.parse("2025-05-31T22:00:00Z"),
      tokens: 4,
      timeScale: 60,
      duplicates: 0,
      late: 1,
      style: "dotnet",
      inFlight: 2,
      quiet: true,
    });
  });

  it("should read edits as JSON where they are, and as text where they are not", () => {
    const args = ["send", "token.created", "--set", "a=12.50", "--set", "b=tok_1", "--set", 'c={"d":1}'];
    expect(readArguments([...args, "--set", "e=", "--set", "f=x=y"])).toMatchObject({
      command: "send",
      type: "token.created",
      edits: new Map([
        ["a", "12.50"],
        ["b", '"tok_1"'],
        ["c", '{"d":1}'],
        ["e", '""'],
        ["f", '"x=y"'],
      ]),
    });
  });

  it("should take data as it is written, also for types it does not know", () => {
    const data = '{"n": 10.50}';
    expect(readArguments(["send", "token.brand_new", "--data", ` ${data} `])).toMatchObject({ data });
  });

  it("should sign the challenge when it is told to or given a secret", () => {
    expect(readArguments(["register"])).toMatchObject({ signed: false });
    expect(readArguments(["register", "--signed"])).toMatchObject({ signed: true });
    expect(readArguments(["register", "--secret-file", "x"])).toMatchObject({ signed: true });
  });

  it.each([
    ["--rate fast", '--rate: expected a number from 0.01 to 100000, got "fast"; for example --rate 20'],
    ["--rate 0", '--rate: expected a number from 0.01 to 100000, got "0"; for example --rate 20'],
    ["--rate 1e9", '--rate: expected a number from 0.01 to 100000, got "1e9"; for example --rate 20'],
    ["--rate", "--rate: expected a value; for example --rate 20"],
    ["--rate --quiet", "--rate: expected a value; for example --rate 20"],
    ["--rate 1 --rate 2", "--rate is given twice"],
    [
      "--count 1.5",
      '--count: expected a whole number from 1 to 1000000000, got "1.5"; for example --count 100',
    ],
    ["--late 2", '--late: expected a number from 0 to 1, got "2"; for example --late 0.1'],
    [
      "--scheme hmac",
      '--scheme: expected one of body, timestamped, both, got "hmac"; for example --scheme timestamped',
    ],
    [
      "--url relay",
      '--url: expected an http or https URL, got "relay"; for example --url http://127.0.0.1:3000/api/sharmo-webhooks',
    ],
    [
      "--start 2025-06-01",
      '--start: expected a time with zone, got "2025-06-01"; for example --start 2025-06-01T00:00:00Z',
    ],
    ["--quiet=yes", "--quiet takes no value"],
    ["--bogus", "run has no option --bogus; see sharmo-simulator run --help"],
    ["--signed", "run has no option --signed; see sharmo-simulator run --help"],
    ["-x", "run has no option of this name; see sharmo-simulator run --help"],
    ["whsec_abc", "expected only options after run; see sharmo-simulator run --help"],
  ])("should say what was expected: run %s", (line, message) => {
    expect(messageOf("run", ...line.split(" "))).toBe(message);
  });

  it.each([
    [["walk"], "expected a command: run, register, send, types; for example sharmo-simulator run --help"],
    [["send"], "expected an event type, for example sharmo-simulator send token.price_changed"],
    [["send", "relay.gap"], "expected an event type, for example sharmo-simulator send token.price_changed"],
    [["send", "token.new"], 'there is no sample of token.new: expected --data, or a type that "types" lists'],
    [
      ["send", "token.created", "--set", "=1"],
      '--set: expected KEY=VALUE, got "=1"; for example --set current_price=12.50',
    ],
    [
      ["send", "token.created", "--data", "[]"],
      `--data: expected a JSON object, got "[]"; for example --data '{"token_id":"tok_1"}'`,
    ],
    [
      ["send", "token.created", "--data", "{}", "--set", "a=1"],
      "--set edits the sample data: expected it or --data",
    ],
    [
      ["send", "token.created", "extra"],
      "expected only options after the event type; see sharmo-simulator send --help",
    ],
  ])("should say what was expected: %j", (args, message) => {
    expect(messageOf(...args)).toBe(message);
  });

  it("should never repeat a password or a secret in the wrong place", () => {
    const line = messageOf("run", "--url", "http://user:hunter2@host/");
    expect(line).toBe(
      "--url: expected a URL without user name and password; for example --url http://127.0.0.1:3000/api/sharmo-webhooks",
    );
    expect(messageOf("run", "--secrte", "whsec_abc")).not.toContain("whsec_abc");
    expect(messageOf("run", "--secrte=whsec_abc")).not.toContain("whsec_abc");
  });
});

describe("help", () => {
  it("should name every command and option, in lines that fit a terminal", () => {
    const pages = Object.keys(commands).filter(isCommandName).map(commandHelp);
    const text = [overview(), ...pages].join("\n");
    for (const name of Object.keys(options)) expect(text).toContain(`--${name}`);
    for (const name of Object.keys(commands)) expect(overview()).toContain(name);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });
});
