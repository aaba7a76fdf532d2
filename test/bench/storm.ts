/** wsstorm: clients that lose their connection all at once, come back and resume. */
import { compiled, lastLine, type Quantiles } from "./load.ts";
import { cores, endedWell, launch, untilWritten } from "./processes.ts";

interface StormOptions {
  readonly port: number;
  readonly clients: number;
  readonly events: number;
  /** A token a line, one for each client. */
  readonly tokensFile: string;
  readonly resume: "cursor" | "csr";
  /** Seconds after all are connected. */
  readonly cutAt: number;
  /** Seconds. */
  readonly away: number;
  readonly timeoutSeconds: number;
}

/** What wsstorm saw. */
export interface Weathered {
  readonly missing: number;
  readonly duplicate: number;
  readonly disordered: number;
  readonly neverBack: number;
  readonly refusals: number;
  /** Infinite where a client that came back had lost something. */
  readonly recoveryMs: Quantiles;
  /** The longest time in which the client itself did not look at its sockets. */
  readonly clientStallMs: number;
}

interface RunningStorm {
  /** Resolves when all is delivered and all are back, or nothing more comes. */
  readonly finish: () => Promise<Weathered>;
  readonly stop: () => Promise<void>;
}

/** Resolves once all are connected and subscribed. */
export async function startStorm(options: StormOptions): Promise<RunningStorm> {
  const { port, clients, events, tokensFile, resume, cutAt, away, timeoutSeconds } = options;
  const since = resume === "cursor" ? "{since}" : "";
  const readyWithinMs = 60_000 + clients * 5;
  const program = launch({
    core: cores.client,
    command: compiled("wsstorm"),
    args: [
      ["-p", String(port), "-n", String(clients), "-e", String(events), "--tokens", tokensFile],
      ["--auth", '{"token":"{token}"}', "--sub", `["subscribe",{"topics":["token.price_changed"]${since}}]`],
      ["--resume", resume, "--drop", "all", "--at", String(cutAt), "--offline", String(away)],
      ["--timeout", String(timeoutSeconds), "--ready-timeout", String(readyWithinMs / 1_000), "-q"],
    ].flat(),
  });
  await untilWritten(program, /READY (\d+)/, readyWithinMs + 5_000);
  return {
    async finish() {
      await endedWell(program, "wsstorm");
      const line = lastLine(program);
      const number = (name: string): number => Number(line[name]);
      const recovery = line["recovery_ms"] as { readonly p50: number | null; readonly p99: number | null };
      return {
        missing: number("missing"),
        duplicate: number("duplicate"),
        disordered: number("out_of_order"),
        neverBack: number("never_back") + number("never_connected"),
        refusals: number("refused"),
        recoveryMs: {
          p50: recovery.p50 ?? Number.POSITIVE_INFINITY,
          p99: recovery.p99 ?? Number.POSITIVE_INFINITY,
        },
        clientStallMs: number("client_stall_ms"),
      };
    },
    stop: () => program.stop(),
  };
}
