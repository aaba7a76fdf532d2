import { describe, expect, it } from "vitest";
import { parseOptions } from "./options.ts";

describe("the command line of a bench run", () => {
  it("has defaults for everything: all short scenarios, five rounds, the relay on Redis", () => {
    expect(parseOptions([])).toEqual({
      kind: "run",
      options: {
        scenarios: ["fanout", "rooms", "idle", "ingest", "recovery"],
        rounds: 5,
        seconds: 5,
        log: "redis",
        env: {},
      },
    });
  });

  it("takes all that it names", () => {
    const args =
      "idle fanout --rounds 3 --seconds 2 --clients 50 --rates 50,saturated --systems relay,naive --log embedded " +
      "--relay a --against b --env RELAY_GATHER_MS=5 --env X=a=b --json j --markdown m --svg s";
    expect(parseOptions(args.split(" "))).toEqual({
      kind: "run",
      options: {
        scenarios: ["fanout", "idle"],
        rounds: 3,
        seconds: 2,
        clients: 50,
        rates: [50, "saturated"],
        systems: ["relay", "naive"],
        log: "embedded",
        relay: "a",
        against: "b",
        env: { RELAY_GATHER_MS: "5", X: "a=b" },
        json: "j",
        markdown: "m",
        svg: "s",
      },
    });
    expect(parseOptions(["--help"])).toEqual({ kind: "help" });
  });

  it.each([
    [["sideways"], '"sideways": expected one of fanout, rooms, idle, ingest, recovery, compression'],
    [["--rounds", "0"], '--rounds: expected a whole number from 1 to 50, not "0"'],
    [["--rounds", "2.5"], "--rounds: expected a whole number"],
    [["--seconds", ""], "--seconds: expected a whole number"],
    [["--clients", "many"], "--clients: expected a whole number"],
    [["--rates", "50,fast"], '--rates: expected whole numbers from 1 to 20000 or "saturated", not "fast"'],
    [["--rates", "0"], "--rates: expected"],
    [
      ["--systems", "relay,naïve"],
      '--systems: expected some of relay, naive, ws, nchan, nats, csr, koa, http, not "naïve"',
    ],
    [["--log", "mongo"], '--log: expected redis or embedded, not "mongo"'],
    [["--env", "RELAY_GATHER_MS"], '--env: expected NAME=VALUE, not "RELAY_GATHER_MS"'],
    [["--round", "1"], "--round"],
  ])("names what is wrong with %j", (args, message) => {
    expect(parseOptions(args)).toMatchObject({ kind: "wrong", message: expect.stringContaining(message) });
  });
});
