/**
 * The relay's log: JSON lines, or one readable line each on a terminal in development. Ids, types, codes and counts
 * go in; what an event or a token says never does. What slips in all the same is withheld here.
 */
import { type DestinationStream, destination, type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";
import type { Config } from "../config.ts";
import { prettyLine } from "./pretty.ts";

/** No `child`: pino would put what it is given into every line unseen by the cleaning below. */
export type Logger = Pick<PinoLogger, "debug" | "info" | "warn" | "error">;

export interface LoggerOptions {
  readonly level: Config["logLevel"];
  readonly production: boolean;
  /** Which of several processes on one port writes the lines. */
  readonly worker?: number;
  /** Where lines go; the standard output if absent. */
  readonly stream?: DestinationStream;
  /** Whether a person reads along; found out by itself if absent. */
  readonly terminal?: boolean;
}

export function createLogger(options: LoggerOptions): Logger {
  const pretty = !options.production && (options.terminal ?? process.stdout.isTTY);
  const out = options.stream ?? (pretty ? process.stdout : destination({ dest: 1, sync: false }));
  const stream = pretty
    ? { write: (line: string) => out.write(prettyLine(line, process.env["NO_COLOR"] === undefined)) }
    : out;
  return pino(
    {
      level: options.level,
      base: options.worker === undefined ? null : { worker: options.worker },
      timestamp: stdTimeFunctions.isoTime,
      // serializers would see fields that `log` has already cleaned
      serializers: { err: (error: unknown) => error },
      formatters: {
        level: (level) => ({ level }),
        log: (fields) => cleanFields(fields),
      },
      hooks: {
        logMethod(args, method) {
          // an error alone would lend its own message to the line
          const [first] = args as unknown[];
          if (first instanceof Error && args.length === 1) method.apply(this, [{ err: first }, first.name]);
          else method.apply(this, args);
        },
        streamWrite: mask,
      },
    },
    stream,
  );
}

/** Names under which someone might hand over contents. */
const withheld = new Set(
  "data event events entry body payload raw text token tokens auth authorization headers cookie secret secrets password signature claims principal".split(
    " ",
  ),
);
const maxDepth = 3;
const maxItems = 20;
const maxText = 300;

function cleanFields(fields: object): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields).slice(0, maxItems)) {
    clean[key] = withheld.has(key.toLowerCase()) ? "[withheld]" : cleanValue(value, 1);
  }
  return clean;
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return value.length > maxText ? `${value.slice(0, maxText)}…` : value;
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return cleanError(value, depth);
  if (value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= maxDepth) return "[…]";
  if (Array.isArray(value)) return value.slice(0, maxItems).map((item) => cleanValue(item, depth + 1));
  const clean: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value).slice(0, maxItems)) {
    clean[key] = withheld.has(key.toLowerCase()) ? "[withheld]" : cleanValue(inner, depth + 1);
  }
  return clean;
}

/** `JSON.parse` quotes its input in the message, so a syntax error keeps its name only. */
function cleanError(error: Error, depth: number): Record<string, unknown> {
  const code = "code" in error ? error.code : undefined;
  const frames = (error.stack ?? "").split("\n").filter((line) => line.startsWith("    at "));
  return {
    type: error.name,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(error instanceof SyntaxError ? {} : { message: cleanValue(error.message, depth) }),
    stack: frames.slice(0, 10).map((line) => line.trim()),
    ...(error.cause instanceof Error && depth < maxDepth
      ? { cause: cleanError(error.cause, depth + 1) }
      : {}),
  };
}

/** The last net: whatever looks like a token, a webhook secret or a password in a URL. */
function mask(line: string): string {
  return line
    .replaceAll(/eyJ[\w-]{6,}\.[\w-]*\.?[\w-]*/g, "[token]")
    .replaceAll(/whsec_\w+/g, "[secret]")
    .replaceAll(/(\w:\/\/)[^\s"/@]*@/g, "$1[withheld]@");
}
