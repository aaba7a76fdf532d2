/** Quarantine in Redis, see `quarantine-put.lua`. */
import { LogError, type Quarantine, type QuarantineItem } from "./event-log.ts";
import type { ScriptArgument } from "./redis-connection.ts";
import { asBytes, asList, asNumber, asText } from "./redis-reply.ts";
import type { Scripts } from "./redis-scripts.ts";

const maxItems = 1_000;
const maxBytes = 16 * 1024 * 1024;

/** Runs a script of the log; the prologue's arguments are seen to. */
export type Run = (script: keyof Scripts, ...args: readonly ScriptArgument[]) => Promise<unknown>;

const reasons: readonly QuarantineItem["reason"][] = [
  "stale_signature",
  "invalid_event",
  "invalid_json",
  "id_reused",
  "schema",
  "too_many_types",
];

export class RedisQuarantine implements Quarantine {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async put({ id, reason, message, body }: Parameters<Quarantine["put"]>[0]): Promise<void> {
    await this.#run("quarantinePut", id, reason, message, body, String(maxItems), String(maxBytes));
  }

  async list(limit: number): Promise<QuarantineItem[]> {
    return limit < 1 ? [] : readItems(await this.#run("quarantineRead", "", String(limit)));
  }

  async get(id: string): Promise<QuarantineItem | undefined> {
    return id === "" ? undefined : readItems(await this.#run("quarantineRead", id, "1"))[0];
  }

  async remove(id: string): Promise<boolean> {
    return asNumber(await this.#run("quarantineRemove", id)) === 1;
  }
}

function readItems(reply: unknown): QuarantineItem[] {
  const values = asList(reply);
  const items: QuarantineItem[] = [];
  for (let i = 0; i < values.length; i += 3) {
    items.push(readItem(asText(values[i]), asText(values[i + 1]), asBytes(values[i + 2])));
  }
  return items;
}

function readItem(id: string, kept: string, body: Buffer): QuarantineItem {
  const [, firstAt, lastAt, count, name, message] =
    /^([0-9]+) ([0-9]+) ([0-9]+) [0-9]+ ([a-z_]+) (.*)$/s.exec(kept) ?? [];
  const reason = reasons.find((one) => one === name);
  if (reason === undefined || message === undefined) {
    throw new LogError("unusable", `the quarantined item ${id} cannot be read: remove it`);
  }
  return {
    id,
    reason,
    message,
    body,
    firstAt: Number(firstAt),
    lastAt: Number(lastAt),
    count: Number(count),
  };
}
