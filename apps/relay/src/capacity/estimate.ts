/** How many processes, how much memory, bandwidth and Redis a load needs; pure arithmetic on measured costs. */
import type { Costs } from "./costs.ts";

export interface Load {
  readonly clients: number;
  /** Events a second in all. */
  readonly rate: number;
  /** Events a second that one client gets; at most `rate`. */
  readonly perClient: number;
  /** Of an event as Sharmo sends it. */
  readonly eventBytes: number;
  readonly retentionDays: number;
  /** `RELAY_GATHER_MS`. */
  readonly gatherMs: number;
}

export interface Estimate {
  /** Each takes one core. */
  readonly processes: number;
  readonly clientsPerProcess: number;
  /** Busy share of a process's core in steady state. */
  readonly busy: number;
  readonly memoryBytesPerProcess: number;
  /** Bits a second to clients, of all processes. */
  readonly bandwidthPlain: number;
  readonly bandwidthDeflated: number;
  readonly redis: {
    readonly acceptsPerSecond: number;
    /** Published messages, one to each process. */
    readonly messagesPerSecond: number;
    readonly busy: number;
    readonly memoryBytes: number;
  };
  /** Until all clients of one process are back on the others, in seconds. */
  readonly comeBackSeconds: number;
  readonly limit: Limit | undefined;
}

/** What does not fit whatever is added. */
export type Limit = "redis_accepts" | "redis_messages" | "apply";

/** So much of a core is planned for; the rest is for storms. */
export const planned = 0.6;
const pingSeconds = 25;
const mostProcesses = 100_000;

export function estimate(load: Load, costs: Costs): Estimate {
  const { clients, rate, perClient, eventBytes, retentionDays } = load;
  const writes = load.gatherMs === 0 ? perClient : Math.min(perClient, 1_000 / load.gatherMs);
  const perConnection = writes * costs.write + perClient * costs.frame + costs.ping / pingSeconds;
  const shared = clients * perConnection + rate * costs.accept;
  const own = rate * costs.apply;
  const processes = own >= planned ? mostProcesses : Math.max(1, Math.ceil(shared / (planned - own)));
  const busy = shared / processes + own;
  const clientsPerProcess = Math.ceil(clients / processes);
  const onWire = eventBytes + costs.frameBytes;
  const together = writes === 0 ? 1 : Math.max(1, perClient / writes);
  const { alone, chained } = costs.deflated;
  // the first of each write is compressed alone
  const deflated = (alone + (together - 1) * chained) / together;
  const bits = 8 * clients * perClient * onWire;
  const messagesPerSecond = rate * processes;
  const messageSeconds = 1 / costs.redisMessages;
  return {
    processes,
    clientsPerProcess,
    busy,
    memoryBytesPerProcess: costs.processBytes + clientsPerProcess * costs.connectionBytes,
    bandwidthPlain: bits,
    bandwidthDeflated: bits * deflated,
    redis: {
      acceptsPerSecond: rate,
      messagesPerSecond,
      busy: rate * costs.acceptInRedis + messagesPerSecond * messageSeconds,
      memoryBytes: rate * 86_400 * retentionDays * (eventBytes + costs.storedBytes),
    },
    comeBackSeconds: comeBack(clientsPerProcess, processes, busy, costs),
    limit: limitOf(rate, own, messagesPerSecond, costs),
  };
}

/** Onto the others, or onto the same one when it is back. */
function comeBack(clients: number, processes: number, busy: number, costs: Costs): number {
  const takers = Math.max(1, processes - 1);
  return (clients / takers) * (costs.comeBack / Math.max(0.05, 1 - busy));
}

function limitOf(rate: number, own: number, messages: number, costs: Costs): Limit | undefined {
  if (rate > costs.redisAccepts) return "redis_accepts";
  if (own >= planned) return "apply";
  return messages > costs.redisMessages ? "redis_messages" : undefined;
}
