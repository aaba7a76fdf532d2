/** Reads variables by name, collects what is wrong with them, and knows afterwards which names exist. */
import { type Form, quote } from "./config-forms.ts";

export interface Setting<T> {
  readonly form: Form<T>;
  readonly fallback: T;
  /** A right value, as one would type it. */
  readonly example: string;
  /** Its value stands in no message. */
  readonly secret?: true;
}

interface Problem {
  readonly name: string;
  readonly problem: string;
  readonly expected: string;
  readonly example: string;
}

/** Variables with these beginnings are meant for the relay: one that it does not know is a slip. */
const ourPrefixes = ["RELAY_", "WEBHOOK_", "SHARMO_", "JWT_"];

export class ConfigReader {
  readonly #env: NodeJS.ProcessEnv;
  readonly #known = new Set<string>();
  readonly #problems: Problem[] = [];

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** The value, or `fallback` if it is not set, is empty, or is wrong. */
  read<T>(name: string, setting: Setting<T>): T {
    this.#known.add(name);
    const given = this.#env[name];
    if (given === undefined || given.trim() === "") return setting.fallback;
    const parsed = setting.form.schema.safeParse(setting.secret ? given : given.trim());
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const unsaid = setting.secret ? "is something else" : `is ${quote(given)}`;
    this.#add(name, setting, issue?.code === "custom" ? issue.message : unsaid);
    return setting.fallback;
  }

  /** A variable that may be left out, or be so, here and not there. */
  missing(name: string, setting: Pick<Setting<unknown>, "form" | "example">, why: string): void {
    if (!this.#problems.some((p) => p.name === name)) this.#add(name, setting, why);
  }

  #add(name: string, setting: Pick<Setting<unknown>, "form" | "example">, problem: string): void {
    const line = problem.replaceAll(/\p{Cc}+/gu, " ").slice(0, 200);
    this.#problems.push({ name, problem: line, expected: setting.form.expected, example: setting.example });
  }

  /** One line for each bad variable; undefined if there is none. */
  message(): string | undefined {
    const problems = this.#problems;
    if (problems.length === 0) return undefined;
    const names = Math.max(...problems.map((p) => p.name.length));
    const whats = Math.min(40, Math.max(...problems.map((p) => p.problem.length)));
    const lines = problems.map(
      (p) =>
        `  ${p.name.padEnd(names)}  ${p.problem.padEnd(whats)}  expected ${p.expected}, e.g. ${p.name}=${quoted(p.example)}`,
    );
    const count = problems.length === 1 ? "one setting is" : `${problems.length} settings are`;
    return [`The relay cannot start: ${count} wrong.`, ...lines].join("\n");
  }

  /** Names that look as if they were meant for the relay and that nothing reads. */
  strangers(): string[] {
    const notes: string[] = [];
    for (const name of Object.keys(this.#env).sort()) {
      if (this.#known.has(name) || !ourPrefixes.some((prefix) => name.startsWith(prefix))) continue;
      const near = nearest(name, this.#known);
      const advice = near === undefined ? "" : `; did you mean ${near}?`;
      notes.push(`${quote(name).slice(1, -1)} is set, but the relay knows no such variable${advice}`);
    }
    return notes;
  }
}

/** As a shell takes it. */
function quoted(example: string): string {
  if (example.startsWith("$(")) return `"${example}"`;
  return /^[A-Za-z0-9_./:@,-]+$/.test(example) ? example : `'${example}'`;
}

/** The known name with the fewest changes, if they are few enough to be a slip. */
function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const changes = distance(name, candidate);
    if (changes < least) [best, least] = [candidate, changes];
  }
  return best;
}

/** Levenshtein. Names longer than any of ours by far are not compared. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > b.length) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
