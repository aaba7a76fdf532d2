#!/usr/bin/env node
/** `sharmo-relay`: what an operator asks without a running relay. */
import { readArguments, usage } from "./capacity/arguments.ts";
import { measured } from "./capacity/costs.ts";
import { estimate } from "./capacity/estimate.ts";
import { words } from "./capacity/words.ts";

const [command, ...rest] = process.argv.slice(2);

if (command === undefined || command === "help" || command === "--help" || command === "-h") {
  process.stdout.write(`${usage}\n`);
} else if (command !== "capacity") {
  fail(
    `${command}: expected a command: capacity; for example sharmo-relay capacity --clients 10000 --rate 20`,
  );
} else if (rest.includes("--help") || rest.includes("-h")) {
  process.stdout.write(`${usage}\n`);
} else {
  const read = readArguments(rest);
  if (read.ok) process.stdout.write(`${words(read.load, estimate(read.load, measured))}\n`);
  else fail(read.message);
}

function fail(message: string): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = 2;
}
