/**
 * What is broken when. Pure: a seed gives the same plan. Lanes run side by side: one node at a time, one failover at a
 * time, what else can happen to the log, and the clients. A failover can lose what was acknowledged in its last moments;
 * only the nodes still know it then. So no node dies from `knownFor` before one until `knownFor` after it.
 */
import type { Random } from "@sharmo-relay/simulator";
import type { LogKind } from "./options.ts";

export const faultKinds = {
  node_kill: "relay killed (SIGKILL) and started again",
  node_drain: "relay ended (SIGTERM) and started again",
  node_stop: "relay stopped (SIGSTOP) and continued",
  client_cut: "client's connection cut",
  client_stall: "client's connection stalled for a while",
  client_dead: "client's connection dead, and nobody told",
  client_roam: "client moved to another relay",
  client_restart: "client ended, another went on from its cursor",
  link_cut: "a relay's connections to Redis cut",
  link_dead: "a relay's connections to Redis dead, and nobody told",
  link_stall: "a relay's connections to Redis stalled for a while",
  pubsub_kill: "subscriber connections killed",
  clients_kill: "all connections of the relays killed in Redis",
  scripts_flush: "scripts flushed",
  log_restart: "Redis ended and started again",
  log_kill: "Redis killed (SIGKILL) and started again",
  log_stop: "Redis stopped (SIGSTOP) and continued",
  failover_kill: "failover: master killed",
  failover_lossy: "failover that loses acknowledged writes",
  failover_hang: "failover: master stopped, and back when another had taken over",
  log_empty: "Redis killed and started again empty",
  burst: "burst of large events",
} as const;

export type FaultKind = keyof typeof faultKinds;

export const lanes = ["node", "failover", "log", "client"] as const;
type Lane = (typeof lanes)[number];

export interface Fault {
  readonly lane: Lane;
  readonly kind: FaultKind;
  /** From the beginning of the run, in milliseconds, as `forMs`. */
  readonly at: number;
  /** How long it lasts, or what is broken by it stays broken. 0: a moment. */
  readonly forMs: number;
  /** Which node or client. */
  readonly target: number;
  /** Where a client goes. */
  readonly to: number;
}

export interface PlanOptions {
  readonly durationMs: number;
  readonly log: LogKind;
  readonly nodes: number;
  readonly clients: number;
  /** Redis loses everything once, early: what nodes remember is all there is. */
  readonly empty: boolean;
}

/** A node that lives for so long around a failover has all that the failover can lose. */
export const knownFor = 10_000;
/** What a failover can take before everything is in step again. */
const failoverMs = 8_000;

interface Choice {
  readonly kind: FaultKind;
  readonly weight: number;
  readonly forMs?: readonly [number, number];
}

const nodeChoices: readonly Choice[] = [
  { kind: "node_kill", weight: 4, forMs: [200, 3_000] },
  { kind: "node_drain", weight: 3, forMs: [200, 2_000] },
  { kind: "node_stop", weight: 3, forMs: [500, 8_000] },
];

const clientChoices: readonly Choice[] = [
  { kind: "client_cut", weight: 5 },
  { kind: "client_stall", weight: 3, forMs: [500, 6_000] },
  { kind: "client_dead", weight: 1 },
  { kind: "client_roam", weight: 3 },
  { kind: "client_restart", weight: 4 },
];

const bus: readonly Choice[] = [
  { kind: "pubsub_kill", weight: 3 },
  { kind: "clients_kill", weight: 2 },
  { kind: "scripts_flush", weight: 2 },
  { kind: "burst", weight: 1 },
];

const logChoices: Readonly<Record<LogKind, readonly Choice[]>> = {
  embedded: [{ kind: "burst", weight: 1 }],
  redis: [
    ...bus,
    { kind: "link_cut", weight: 3 },
    { kind: "link_dead", weight: 1 },
    { kind: "link_stall", weight: 2, forMs: [500, 5_000] },
    { kind: "log_restart", weight: 2, forMs: [0, 2_000] },
    { kind: "log_kill", weight: 2, forMs: [0, 2_000] },
    { kind: "log_stop", weight: 2, forMs: [500, 5_000] },
  ],
  sentinel: bus,
  cluster: bus,
};

/** Of a log with replicas. */
const failoverChoices: readonly Choice[] = [
  { kind: "failover_kill", weight: 2, forMs: [0, 5_000] },
  { kind: "failover_lossy", weight: 3, forMs: [300, 2_500] },
  { kind: "failover_hang", weight: 2, forMs: [0, 4_000] },
];

export const isFailover = ({ lane }: Pick<Fault, "lane">): boolean => lane === "failover";
export const isDeath = ({ kind }: Pick<Fault, "kind">): boolean =>
  kind === "node_kill" || kind === "node_drain";

/** When all of it can be over. */
export const endOf = (fault: Fault): number => fault.at + fault.forMs + (isFailover(fault) ? failoverMs : 0);

export function planFaults(options: PlanOptions, random: Random): Fault[] {
  const { log, nodes, clients, durationMs, empty } = options;
  const lane = (
    name: Lane,
    choices: readonly Choice[],
    targets: number,
    pause: readonly [number, number],
  ) => {
    const draw = random.fork(name);
    const faults: Fault[] = [];
    for (let at = 1_500 + draw.integer(...pause); ; ) {
      const choice = pick(choices, draw);
      const forMs = choice.forMs === undefined ? 0 : draw.integer(...choice.forMs);
      const target = draw.integer(0, targets - 1);
      const to = draw.integer(0, nodes - 1);
      const fault = { lane: name, kind: choice.kind, at, forMs, target, to };
      // the last one is over before the run is
      if (endOf(fault) > durationMs) return faults;
      faults.push(fault);
      at = endOf(fault) + draw.integer(...pause);
    }
  };
  const failovers = lane("failover", failoverChoices, 1, [8_000, 40_000]);
  // so early that no node can have died before: of what they knew then, all that was accepted
  const emptied: Fault = { lane: "failover", kind: "log_empty", at: 8_000, forMs: 500, target: 0, to: 0 };
  const forks = [...(hasReplicas(log) ? failovers : []), ...(empty ? [emptied] : [])];
  const ofLog = lane("log", logChoices[log], nodes, log === "embedded" ? [15_000, 25_000] : [2_500, 6_000]);
  const ofNodes = lane("node", nodeChoices, nodes, [1_500, 5_000]).filter(
    (fault) => !isDeath(fault) || forks.every((fork) => areApart(fault, fork)),
  );
  const ofClients = lane("client", clientChoices, clients, [200, 900]);
  return [...forks, ...ofLog, ...ofNodes, ...ofClients].sort((a, b) => a.at - b.at);
}

const hasReplicas = (log: LogKind): boolean => log === "sentinel" || log === "cluster";

/** Whether a death and what can lose writes, each with all the time it can take, are `knownFor` apart. */
function areApart(death: Fault, fork: Fault): boolean {
  return death.at >= endOf(fork) + knownFor || endOf(death) + knownFor <= fork.at;
}

function pick(choices: readonly Choice[], random: Random): Choice {
  const total = choices.reduce((sum, { weight }) => sum + weight, 0);
  let left = random.next() * total;
  for (const choice of choices) {
    left -= choice.weight;
    if (left < 0) return choice;
  }
  throw new RangeError("nothing to choose from");
}
