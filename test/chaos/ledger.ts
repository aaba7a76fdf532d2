/**
 * Judges a run by what was written down. Pure. What was answered 200 is stored once, as posted; what is stored reached
 * every follower that is owed it, once and in order, or a gap said so; no cursor ever named two events.
 */
import { locator } from "./cursors.ts";
import type { History } from "./history.ts";
import { judgeFollower } from "./ledger-follower.ts";
import type { Figures, Verdict, Violation } from "./verdict.ts";

export function judge(history: History): Verdict {
  const { posted, stored, followers, incidents, forks } = history;
  const violations: Violation[] = incidents.map(({ what }) => ({ kind: "incident", detail: what }));
  const names = new Names(violations);

  const places = new Map<string, string>();
  for (const { id, cursor, bytesHash } of stored) {
    names.see(cursor, id, "the log");
    const event = posted.get(id);
    const before = places.get(id);
    places.set(id, cursor);
    if (before !== undefined) {
      violations.push({ kind: "stored_twice", id, detail: `under ${before} and ${cursor}` });
    }
    if (event === undefined) violations.push({ kind: "never_posted", id, detail: `stored under ${cursor}` });
    else if (event.bytesHash !== bytesHash) violations.push({ kind: "other_bytes", id, detail: cursor });
  }

  const counts = { posts: 0, accepted: 0, duplicates: 0, unanswered: 0, putBack: 0 };
  const refused: Record<string, number> = {};
  for (const { id, attempts } of posted.values()) {
    const acceptedAs: string[] = [];
    let answered = false;
    for (const { answer } of attempts) {
      counts.posts += 1;
      switch (answer.kind) {
        case "accepted":
          answered = true;
          counts.accepted += 1;
          acceptedAs.push(answer.cursor);
          names.see(answer.cursor, id, "an answer");
          break;
        case "duplicate":
          answered = true;
          counts.duplicates += 1;
          break;
        case "refused":
          count(refused, `${answer.status} ${answer.code}`);
          break;
        case "no_answer":
          count(refused, answer.why);
          break;
      }
    }
    const place = places.get(id);
    if (!answered) {
      counts.unanswered += 1;
      violations.push({ kind: "unanswered", id, detail: `${attempts.length} posts` });
    } else if (place === undefined) {
      violations.push({ kind: "not_stored", id, detail: `${attempts.length} posts` });
    }
    if (acceptedAs.length > 1 && !forks) {
      violations.push({ kind: "accepted_twice", id, detail: acceptedAs.join(", ") });
    }
    const elsewhere = acceptedAs.find((cursor) => place !== undefined && cursor !== place);
    if (elsewhere !== undefined && !forks) {
      violations.push({ kind: "moved", id, detail: `answered ${elsewhere}, stored under ${place}` });
    } else if (elsewhere !== undefined) counts.putBack += 1;
  }

  for (const { name, sights } of followers) {
    for (const sight of sights) {
      if (sight.kind === "event" && sight.cursor !== undefined) names.see(sight.cursor, sight.id, name);
    }
  }

  const totals = { owed: 0, live: 0, recovered: 0, snapshot: 0, reported: 0, dropped: 0, again: 0 };
  const gaps: Record<string, number> = {};
  const world = { posted, stored, places, forks, locate: locator(stored), named: names.all() };
  for (const follower of followers) {
    const judged = judgeFollower(follower, world);
    violations.push(...judged.violations);
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += judged.counts[name];
    for (const [reason, n] of Object.entries(judged.gaps)) gaps[reason] = (gaps[reason] ?? 0) + n;
  }
  const figures: Figures = {
    events: posted.size,
    ...counts,
    refused,
    stored: stored.length,
    ...totals,
    gaps,
  };
  return { violations, figures };
}

/** Every cursor that was ever seen, and the one event that it names. */
class Names {
  readonly #ids = new Map<string, { readonly id: string; readonly where: string }>();
  readonly #violations: Violation[];

  constructor(violations: Violation[]) {
    this.#violations = violations;
  }

  see(cursor: string, id: string, where: string): void {
    const first = this.#ids.get(cursor);
    if (first === undefined) this.#ids.set(cursor, { id, where });
    else if (first.id !== id) {
      const detail = `${cursor} is ${first.id} in ${first.where}, and ${id} in ${where}`;
      this.#violations.push({ kind: "cursor_names_two", id, detail });
    }
  }

  all(): ReadonlyMap<string, string> {
    return new Map([...this.#ids].map(([cursor, { id }]) => [cursor, id]));
  }
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
