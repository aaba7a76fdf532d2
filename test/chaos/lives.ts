/** The life of an event that something is wrong with: when it was posted and answered, where it is, who saw it as what. */
import type { Follower, History, Sight } from "./history.ts";
import type { Violation } from "./verdict.ts";

interface Seen {
  readonly follower: Follower;
  /** Among the sights of the follower. */
  readonly index: number;
}

/** How many events behind a missing one are looked for at the follower. */
const near = 200;

export class Lives {
  readonly #history: History;
  readonly #seen = new Map<string, Seen[]>();
  readonly #places = new Map<string, number[]>();

  constructor(history: History) {
    this.#history = history;
    for (const follower of history.followers) {
      for (const [index, sight] of follower.sights.entries()) {
        if (sight.kind === "event") push(this.#seen, sight.id, { follower, index });
      }
    }
    for (const [index, { id }] of history.stored.entries()) push(this.#places, id, index);
  }

  /** Several lines. */
  of({ kind, id, follower: name, detail }: Violation): string {
    const what = [kind, ...(id === undefined ? [] : [id]), ...(name === undefined ? [] : ["at", name])].join(
      " ",
    );
    const follower = this.#history.followers.find((one) => one.name === name);
    const event = id === undefined ? undefined : this.#history.posted.get(id);
    const lines = [`✗ ${what}: ${detail}`];
    if (id === undefined || event === undefined) {
      lines.push(...connectionsBefore(follower?.sights ?? [], follower?.sights.length ?? 0, 6));
      return lines.join("\n");
    }
    lines.push(`    ${event.type} ${event.keys.join(" ")}`);
    for (const { at, tookMs, node, answer } of event.attempts) {
      const { kind: outcome, ...rest } = answer;
      lines.push(`    ${time(at)} posted to relay ${node}, ${outcome} ${words(rest)}after ${tookMs} ms`);
    }
    const places = this.#places.get(id) ?? [];
    const cursors = places.map((place) => this.#history.stored[place]?.cursor);
    lines.push(cursors.length === 0 ? "    not in the log" : `    stored under ${cursors.join(", ")}`);
    for (const { follower: one, index } of this.#seen.get(id) ?? []) {
      const sight = one.sights[index];
      if (sight?.kind !== "event") continue;
      const how = sight.handled ? sight.as : `${sight.as}, dropped`;
      lines.push(`    ${time(sight.at)} ${one.name} got it with ${sight.cursor ?? "no cursor"} (${how})`);
      if (one === follower) lines.push(...connectionsBefore(one.sights, index, 4));
    }
    if (kind === "missing" && follower !== undefined) lines.push(...this.#beside(follower, places[0] ?? 0));
    return lines.join("\n");
  }

  /** What a follower saw when it went past an event that it missed. */
  #beside({ sights }: Follower, place: number): string[] {
    const later = new Set(this.#history.stored.slice(place + 1, place + near).map(({ id }) => id));
    const index = sights.findIndex((sight) => sight.kind === "event" && later.has(sight.id));
    const shown = index < 0 ? sights.slice(-6) : sights.slice(Math.max(0, index - 5), index + 2);
    return shown.map((sight) => `        beside: ${textOf(sight)}`);
  }
}

/** The last that happened to a follower's connection before this. */
function connectionsBefore(sights: readonly Sight[], index: number, most: number): string[] {
  const lines: string[] = [];
  for (let at = index - 1; at >= 0 && lines.length < most; at--) {
    const sight = sights[at];
    if (sight !== undefined && sight.kind !== "event") lines.unshift(`        before: ${textOf(sight)}`);
  }
  return lines;
}

function textOf({ at, kind, ...rest }: Sight): string {
  return `${time(at)} ${kind} ${words(rest)}`.trimEnd();
}

function words(values: object): string {
  return Object.values(values)
    .map((value) => `${String(value)} `)
    .join("");
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23);
}

function push<V>(lists: Map<string, V[]>, key: string, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
