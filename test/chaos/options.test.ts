import { describe, expect, it } from "vitest";
import { parseOptions } from "./options.ts";

describe("the command line of a chaos run", () => {
  it("has defaults for everything", () => {
    expect(parseOptions([])).toMatchObject({
      kind: "run",
      options: { seed: expect.stringMatching(/^\d+$/), minutes: 1, log: "embedded", nodes: 1, rate: 40 },
    });
    expect(parseOptions(["--log", "redis"])).toMatchObject({ options: { nodes: 2, empty: false } });
    expect(parseOptions(["--log", "redis", "--empty"])).toMatchObject({ options: { empty: true } });
  });

  it("takes all that it names", () => {
    const args = "--seed s --minutes 0.5 --log cluster --nodes 3 --rate 20 --json a.json --output out".split(
      " ",
    );
    expect(parseOptions(args)).toEqual({
      kind: "run",
      options: {
        seed: "s",
        minutes: 0.5,
        log: "cluster",
        nodes: 3,
        rate: 20,
        empty: false,
        json: "a.json",
        output: "out",
      },
    });
    expect(parseOptions(["--help"])).toEqual({ kind: "help" });
  });

  it.each([
    [["--empty"], "--empty: goes with --log redis only"],
    [["--minutes", "no"], '--minutes: expected a number from 0.1 to 1440, not "no"'],
    [["--minutes", ""], "--minutes: expected a number"],
    [["--nodes", "1.5", "--log", "redis"], "--nodes: expected a whole number from 1 to 5"],
    [["--rate", "1000"], "--rate: expected a number from 1 to 200"],
    [["--log", "mongo"], '--log: expected one of embedded, redis, sentinel, cluster, not "mongo"'],
    [["--nodes", "2"], "--nodes: the embedded log has one node"],
    [["--seed", ""], "--seed: expected a text"],
    [["--sead", "1"], "--sead"],
    [["1"], "1"],
  ])("names what is wrong with %j", (args, message) => {
    expect(parseOptions(args)).toMatchObject({ kind: "wrong", message: expect.stringContaining(message) });
  });
});
