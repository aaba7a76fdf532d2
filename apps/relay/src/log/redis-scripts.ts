/** The Lua scripts of the Redis log, read from the files beside this one. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

export interface Script {
  readonly text: string;
  /** By which Redis knows it once it has seen the text. */
  readonly sha: string;
}

export interface Scripts {
  readonly accept: Script;
  readonly state: Script;
  readonly range: Script;
  readonly latest: Script;
  readonly event: Script;
  readonly unknown: Script;
  readonly branches: Script;
  readonly due: Script;
  readonly trim: Script;
  readonly quarantinePut: Script;
  readonly quarantineRead: Script;
  readonly quarantineRemove: Script;
}

export function loadScripts(): Scripts {
  return {
    accept: load("ids", "accept"),
    state: load("state"),
    range: load("range"),
    latest: load("latest"),
    event: load("ids", "event"),
    unknown: load("ids", "unknown"),
    branches: load("branches"),
    due: load("ids", "rules", "due"),
    trim: load("rules", "trim"),
    quarantinePut: load("quarantine-put"),
    quarantineRead: load("quarantine-read"),
    quarantineRemove: load("quarantine-remove"),
  };
}

/** One script of several files, the prologue first. */
function load(...files: readonly string[]): Script {
  const text = ["prologue", ...files].map(read).join("\n");
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

function read(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), "utf8");
}
