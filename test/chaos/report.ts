/** What a run says at the end: a table, and the life of each event that something is wrong with. */
import { Lives } from "./lives.ts";
import { type FaultKind, faultKinds } from "./plan.ts";
import type { Outcome, Progress } from "./run.ts";
import { type Violation, type ViolationKind, violationKinds } from "./verdict.ts";

const mostShown = 12;
const mostAlike = 3;
const number = new Intl.NumberFormat("en-US");

export function progressLine({ elapsedMs, phase, events, open, handled, faults, nodes }: Progress): string {
  const seconds = Math.round(elapsedMs / 1_000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const signs = nodes.map((state) => ({ up: "●", stopped: "◐", down: "○" })[state]).join("");
  const what = phase === "faults" ? `${faults} faults` : `${faults} faults, coming to rest`;
  return `${clock}  ${signs}  ${number.format(events)} events, ${number.format(open)} unanswered  ${number.format(handled)} sights  ${what}`;
}

export function reportOf(outcome: Outcome): string {
  const { options, faults, verdict, history, brokenMs, restMs, outputDir } = outcome;
  const { figures, violations } = verdict;
  const rows: (readonly [string, string | number] | undefined)[] = [
    ["log", options.log],
    ["relays", options.nodes],
    ["seed", options.seed],
    ["faults for", `${(brokenMs / 1_000).toFixed(1)} s, then ${(restMs / 1_000).toFixed(1)} s to rest`],
    undefined,
    ...Object.entries(faults.counts).map(([kind, n]) => [faultKinds[kind as FaultKind], n] as const),
    ["faults", faults.list.length],
    ...(faults.skipped > 0 ? [["left out, too close to a failover", faults.skipped] as const] : []),
    ...faults.failed.map((what) => ["not done to its end", what] as const),
    ...(faults.undone.length > 0 ? [["could not be done", faults.undone.length] as const] : []),
    undefined,
    ["events", figures.events],
    ["posts", figures.posts],
    ["  answered accepted", figures.accepted],
    ["  answered duplicate", figures.duplicates],
    ...Object.entries(figures.refused).map(([what, n]) => [`  ${what}`, n] as const),
    ["slowest answer", `${outcome.slowestAnswerMs} ms`],
    ["stored", figures.stored],
    ["put back after a failover", figures.putBack],
    undefined,
    ["followers", history.followers.length],
    ["owed", figures.owed],
    ["delivered", figures.live + figures.recovered + figures.snapshot],
    ["  live", figures.live],
    ["  recovered", figures.recovered],
    ["  snapshot", figures.snapshot],
    ["dropped as known", figures.dropped + figures.again],
    ["owed and named in a gap", figures.reported],
    ...Object.entries(figures.gaps).map(([reason, n]) => [`gaps: ${reason}`, n] as const),
    ...(Object.keys(figures.gaps).length === 0 ? [["gaps", 0] as const] : []),
    undefined,
    ["violations", violations.length],
    ...Object.entries(countsOf(violations)).map(
      ([kind, n]) => [`  ${violationKinds[kind as ViolationKind]}`, n] as const,
    ),
  ];
  const width = Math.max(...rows.map((row) => row?.[0].length ?? 0));
  const lines = rows.map((row) => {
    if (row === undefined) return "";
    const value = typeof row[1] === "number" ? number.format(row[1]) : row[1];
    return `${row[0].padEnd(width)}  ${value}`;
  });
  if (violations.length === 0) return `${lines.join("\n")}\n`;
  const all = new Lives(history);
  const lives = examples(violations).map((violation) => all.of(violation));
  const more = violations.length - lives.length;
  return [
    ...lines,
    "",
    ...lives,
    ...(more > 0 ? [`… and ${more} more; --json FILE has them all`] : []),
    `the relays' output is in ${outputDir}`,
    "",
  ].join("\n");
}

/** A few, and not all of one kind. */
function examples(violations: readonly Violation[]): Violation[] {
  const alike = new Map<string, number>();
  const chosen = violations.filter(({ kind, follower }) => {
    const n = (alike.get(`${kind} ${follower}`) ?? 0) + 1;
    alike.set(`${kind} ${follower}`, n);
    return n <= mostAlike;
  });
  return chosen.slice(0, mostShown);
}

function countsOf(violations: readonly Violation[]): Partial<Record<ViolationKind, number>> {
  const counts: Partial<Record<ViolationKind, number>> = {};
  for (const { kind } of violations) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
