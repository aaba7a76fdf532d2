/** `sharmo-simulator run`: a market that runs into a sender, and what a person sees of it. */
import { createMarket, type MarketOptions } from "../market.ts";
import { createRandom } from "../random.ts";
import { run } from "../run.ts";
import type { Delivery } from "../sender/deliveries.ts";
import { vendorDelays } from "../sender/schedule.ts";
import { createSender, type Sender } from "../sender.ts";
import type { RunArguments } from "./arguments.ts";
import {
  createDisplay,
  createRateMeter,
  type Display,
  type Output,
  progressLine,
  summaryLine,
} from "./progress.ts";
import { createWatch, describeAnswer, duration } from "./words.ts";

export interface RunContext {
  readonly output: Output;
  readonly signal: AbortSignal;
  /** Every line goes through it: takes the secret out should a server have answered with it. */
  readonly redact: (text: string) => string;
}

const defaultSeed = "sharmo";

/** 0 when all went well, 1 when events were given up, 130 when `--count` was not reached. */
export async function runCommand(args: RunArguments, secret: string, context: RunContext): Promise<number> {
  const since = Date.now();
  const display = displayOf(context, since);
  const watch = createWatch(args.url, retriesInWords(args.timeScale));
  let lastError: string | undefined;
  const onDelivery = (delivery: Delivery): void => {
    if (delivery.outcome === "retrying" || delivery.outcome === "failed") {
      lastError = describeAnswer(delivery.status, delivery.response);
    }
    const news = watch.see(delivery);
    if (news !== undefined) display.line(news);
  };

  const sender = createSender({
    url: args.url,
    secret,
    scheme: args.scheme,
    style: args.style,
    timeScale: args.timeScale,
    duplicates: args.duplicates,
    late: args.late,
    random: createRandom(args.seed ?? defaultSeed).fork("sender"),
    maxInFlight: args.inFlight,
    onDelivery,
    signal: context.signal,
  });
  const market = createMarket(marketOptions(args, since));
  if (!args.quiet) display.line(`Sending ${args.rate} events a second to ${args.url}; Ctrl-C ends`);

  const meter = createRateMeter(since);
  const tick = (): void => {
    if (args.quiet) return;
    const now = Date.now();
    const stats = sender.stats();
    const rate = meter.measure(stats.sent, now);
    display.progress(
      progressLine({ stats, rate, now, ...(lastError === undefined ? {} : { lastError }) }),
      now,
    );
  };
  const clock = setInterval(tick, 250);
  try {
    await run({
      market,
      sender,
      rate: args.rate,
      burst: args.burst,
      ...(args.count === undefined ? {} : { count: args.count }),
      signal: context.signal,
    });
    if (!context.signal.aborted) await finish(sender, display);
  } finally {
    clearInterval(clock);
    await sender.stop();
  }
  display.end();
  const stats = sender.stats();
  context.output.write(`${summaryLine(stats, Date.now() - since)}\n`);
  // Ctrl-C is how a run without --count ends.
  if (context.signal.aborted) return args.count === undefined ? 0 : 130;
  return stats.failed > 0 ? 1 : 0;
}

function displayOf({ output, redact }: RunContext, now: number): Display {
  const display = createDisplay(output, now);
  return {
    line: (text) => display.line(redact(text)),
    progress: (text, at) => display.progress(redact(text), at),
    end: display.end,
  };
}

/** Only a run that is to be repeatable has simulated times; any other tells the real time. */
function marketOptions(args: RunArguments, now: number): MarketOptions {
  const { seed = defaultSeed, tokens, start } = args;
  if (args.seed === undefined && start === undefined) return { seed, tokens, start: now, now: Date.now };
  return { seed, tokens, ...(start === undefined ? {} : { start }) };
}

/** Waits for retries that are still due, and says so if that can take a while. */
async function finish(sender: Sender, display: Display): Promise<void> {
  const finished = sender.finish();
  const say = setTimeout(() => {
    const { waiting, nextAt } = sender.stats();
    if (waiting === 0 || nextAt === undefined) return;
    const left = duration(nextAt - Date.now());
    display.line(
      `All events are out; ${waiting} wait for a retry, the first in ${left}. Ctrl-C ends without them`,
    );
  }, 1_000);
  await finished;
  clearTimeout(say);
}

function retriesInWords(timeScale: number): string {
  const delays = vendorDelays.map((delay) => {
    const seconds = delay / timeScale / 1_000;
    if (seconds >= 3_600) return `${round(seconds / 3_600)} h`;
    if (seconds >= 60) return `${round(seconds / 60)} min`;
    return seconds >= 1 ? `${round(seconds)} s` : `${round(seconds * 1_000)} ms`;
  });
  return `Each is tried again after ${delays.join(", ")}`;
}

function round(value: number): string {
  return String(Number(value.toPrecision(2)));
}
