/** Brings a run to rest: everything is up, everything was answered, and everybody has what they are owed. */
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../support/until.ts";
import type { Engine } from "./engine.ts";
import type { Incident, Stored } from "./history.ts";
import type { Node } from "./nodes.ts";
import type { Sender } from "./sender.ts";
import { readStored } from "./stored.ts";
import type { Verdict, ViolationKind } from "./verdict.ts";

export interface RestDeps {
  readonly engine: Engine;
  readonly nodes: readonly Node[];
  readonly sender: Sender;
  readonly incidents: Incident[];
  readonly judge: (stored: readonly Stored[]) => Verdict;
}

const limits = { ready: 60_000, answered: 90_000, read: 180_000, caughtUp: 60_000, rest: 600_000 };
/** What comes though nobody waits for it, a repeat above all, gets so long to show. */
const graceMs = 2_000;
/** What may only be on its way yet. */
const onItsWay: readonly ViolationKind[] = ["missing", "never_began", "not_stored"];

/** Resolves with the log as it stands at the end. Whatever does not come to rest is an incident, or the ledger sees it. */
export async function bringToRest({
  engine,
  nodes,
  sender,
  incidents,
  judge,
}: RestDeps): Promise<readonly Stored[]> {
  const tell = (what: string): void => void incidents.push({ at: Date.now(), what });
  for (const node of nodes) {
    if (node.state === "stopped") node.resume();
    if (node.state === "down") await node.start().catch((error: Error) => tell(error.message));
  }
  await engine.settle().catch((error: unknown) => tell(`the log did not settle: ${String(error)}`));
  await Promise.all(
    nodes.map((node) => ready(node).catch((error: Error) => tell(`relay ${node.index}: ${causeOf(error)}`))),
  );
  await sender.finish(limits.answered);

  let stored: readonly Stored[] = [];
  let least = Number.POSITIVE_INFINITY;
  const latest = Date.now() + limits.rest;
  let deadline = Date.now() + limits.read;
  for (;;) {
    const before = Date.now();
    try {
      const read = await readAll(nodes);
      // that the first one of a long run takes its time is no fault of the relays
      if (stored.length === 0) deadline = Date.now() + limits.caughtUp;
      stored = read;
      const owed = judge(stored).violations.filter(({ kind }) => onItsWay.includes(kind)).length;
      if (owed === 0) break;
      // who is still on the way may have a long one: on a busy machine a slow reader needs its time
      if (owed < least) deadline = Date.now() + limits.caughtUp;
      least = Math.min(least, owed);
    } catch (error) {
      if (before > Math.min(deadline, latest)) tell(`the log could not be read: ${causeOf(error as Error)}`);
    }
    if (before > Math.min(deadline, latest)) break;
    // judging a long run takes a while: the relays need the processor too
    await sleep(500 + 2 * (Date.now() - before));
  }
  await sleep(graceMs);
  for (const node of nodes) node.watch();
  return stored;
}

/** The log as every node shows it; they must agree. */
async function readAll(nodes: readonly Node[]): Promise<readonly Stored[]> {
  const [first = [], ...others] = await Promise.all(nodes.map(({ url }) => readStored(url)));
  for (const [index, other] of others.entries()) {
    const at = first.findIndex(({ id, cursor }, n) => other[n]?.id !== id || other[n].cursor !== cursor);
    if (at >= 0 || other.length !== first.length) {
      throw new Error(`relays 0 and ${index + 1} show different logs, from event ${at} of ${first.length}`);
    }
  }
  return first;
}

async function ready({ url }: Node): Promise<void> {
  await until(
    async () => {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
      const body = await response.text();
      if (!response.ok) throw new Error(`/readyz answers ${response.status} ${body}`);
      return true;
    },
    { within: limits.ready, every: 100, what: "/readyz" },
  );
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
