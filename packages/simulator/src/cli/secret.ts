/** Finds the webhook secret. No message ever holds it, or any part of a file that may. */
import { readFileSync } from "node:fs";
import { SimulatorError } from "../errors.ts";
import { secretVariable } from "./options.ts";

export interface SecretSources {
  readonly secret?: string;
  readonly file?: string;
}

/** The secret from the command line, the file, or the environment, in this order. */
export function requireSecret(sources: SecretSources, env: NodeJS.ProcessEnv): string {
  const secret = findSecret(sources, env);
  if (secret !== undefined) return secret;
  throw new SimulatorError(
    "no_secret",
    `no webhook secret: expected --secret-file, --secret or ${secretVariable}, for example --secret-file ./data/dev-secrets.json`,
  );
}

function findSecret(sources: SecretSources, env: NodeJS.ProcessEnv): string | undefined {
  if (sources.secret !== undefined) return notEmpty(sources.secret, "--secret is empty");
  if (sources.file !== undefined) return fromFile(sources.file);
  const fromEnvironment = env[secretVariable];
  return fromEnvironment === undefined || fromEnvironment === "" ? undefined : fromEnvironment;
}

function fromFile(path: string): string {
  const text = read(path).trim();
  if (!text.startsWith("{")) return notEmpty(text, `the secret file ${path} is empty`);
  const secret = secretIn(text);
  if (typeof secret === "string" && secret !== "") return secret;
  throw new SimulatorError(
    "no_secret",
    `the secret file ${path} holds no webhook_secret: expected {"webhook_secret": "whsec_…"}, or the secret as plain text`,
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const why = code === "ENOENT" ? "no such file" : code === "EACCES" ? "no permission" : String(code);
    throw new SimulatorError("no_secret", `cannot read the secret file ${path}: ${why}`);
  }
}

function secretIn(text: string): unknown {
  try {
    const content: unknown = JSON.parse(text);
    return typeof content === "object" && content !== null && "webhook_secret" in content
      ? content.webhook_secret
      : undefined;
  } catch {
    return undefined;
  }
}

function notEmpty(secret: string, message: string): string {
  if (secret !== "") return secret;
  throw new SimulatorError("no_secret", `${message}: expected a secret such as whsec_…`);
}
