/**
 * Secrets for development, so that the first start needs no settings: made once, kept in the data folder, readable
 * by its owner only. Never used in production.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";

export interface DevSecrets {
  readonly webhookSecret: string;
  readonly jwtSecret: string;
}

export type DevSecretsResult =
  | { readonly ok: true; readonly secrets: DevSecrets; readonly file: string; readonly made: boolean }
  | { readonly ok: false; readonly message: string };

const contents = z.object({
  webhook_secret: z.string().regex(/^\S{16,}$/),
  jwt_secret: z.string().refine((secret) => Buffer.byteLength(secret) >= 32),
});

/** The secrets of this data folder; makes them if there are none. */
export function devSecrets(dataDir: string): DevSecretsResult {
  const file = join(dataDir, "dev-secrets.json");
  try {
    let text = read(file);
    const made = text === undefined;
    if (text === undefined) {
      mkdirSync(dataDir, { recursive: true });
      create(file, print(makeSecrets()));
      // what counts is what stands there: another process may have been first
      text = read(file);
    }
    const secrets = parse(text ?? "");
    if (secrets !== undefined) return { ok: true, secrets, file, made };
    return {
      ok: false,
      message: `${file} is damaged. Delete it and the relay makes new development secrets.`,
    };
  } catch (error) {
    const code = codeOf(error);
    const why = code === undefined ? "" : ` (${code})`;
    return {
      ok: false,
      message: `The development secrets cannot be kept in ${file}${why}. Make the folder writable, or set RELAY_DATA_DIR.`,
    };
  }
}

function makeSecrets(): DevSecrets {
  return {
    webhookSecret: `whsec_${randomBytes(24).toString("hex")}`,
    jwtSecret: randomBytes(48).toString("base64url"),
  };
}

function print(secrets: DevSecrets): string {
  return `${JSON.stringify({ webhook_secret: secrets.webhookSecret, jwt_secret: secrets.jwtSecret }, undefined, 2)}\n`;
}

function parse(text: string): DevSecrets | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = contents.safeParse(json);
  return parsed.success
    ? { webhookSecret: parsed.data.webhook_secret, jwtSecret: parsed.data.jwt_secret }
    : undefined;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all, and never over an existing file: written beside it, flushed, then linked under its name. */
function create(file: string, text: string): void {
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    const descriptor = openSync(draft, "wx", 0o600);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    link(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}

function link(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    // some file systems know no links; then two first starts in the same instant could differ
    renameSync(draft, file);
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
