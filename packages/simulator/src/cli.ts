#!/usr/bin/env node
/**
 * The command `sharmo-simulator`: arguments in, signals, exit codes; nothing else.
 *
 * Exit codes: 0 done, 1 something was not delivered, 2 wrong usage or no secret, 130 and 143 interrupted.
 */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { readArguments } from "./cli/arguments.ts";
import { commandHelp, overview } from "./cli/options.ts";
import { type Outcome, registerCommand, sendCommand, typesCommand } from "./cli/other-commands.ts";
import { runCommand } from "./cli/run-command.ts";
import { requireSecret } from "./cli/secret.ts";
import { SimulatorError } from "./errors.ts";

const stopping = new AbortController();

/** What must never be printed, whoever answers with it. */
const secrets: string[] = [];

function redact(text: string): string {
  // By its shape, too: one typed in the wrong place is not known as a secret yet.
  let clean = text.replace(/whsec_\w+/g, "whsec_…");
  for (const secret of secrets) clean = clean.replaceAll(secret, "(secret)");
  return clean;
}

function remembered(secret: string): string {
  secrets.push(secret);
  return secret;
}

async function main(args: readonly string[]): Promise<number> {
  const command = readArguments(args);
  const { env, stdout } = process;
  const { signal } = stopping;
  switch (command.command) {
    case "help":
      return say({ code: 0, text: command.about === undefined ? overview() : commandHelp(command.about) });
    case "version":
      return say({ code: 0, text: version() });
    case "types":
      return say(typesCommand());
    case "register": {
      const secret = command.signed ? remembered(requireSecret(command.secret, env)) : undefined;
      return say(await registerCommand(command, secret, signal));
    }
    case "send":
      return say(await sendCommand(command, remembered(requireSecret(command.secret, env)), signal));
    case "run":
      return runCommand(command, remembered(requireSecret(command.secret, env)), {
        output: stdout,
        signal,
        redact,
      });
  }
}

function say({ code, text }: Outcome): number {
  const output = code === 0 ? process.stdout : process.stderr;
  output.write(`${redact(text).trimEnd()}\n`);
  return code;
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const content = JSON.parse(text) as { readonly version: string };
  return content.version;
}

let interrupted = 0;
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    // Whoever asks twice does not want to wait for a closing line.
    if (interrupted !== 0) process.exit(interrupted);
    interrupted = 128 + constants.signals[name];
    stopping.abort();
  });
}

// A reader that goes away, as in `… | head`, is no error.
process.stdout.on("error", () => process.exit(0));

try {
  const code = await main(process.argv.slice(2));
  process.exitCode = code === 130 ? interrupted || 130 : code;
} catch (error) {
  if (!(error instanceof SimulatorError)) throw error;
  process.stderr.write(`sharmo-simulator: ${redact(error.message)}\n`);
  process.exitCode = 2;
}
