/** What Redis or the way to it says, as a `LogError`: the code to act on, and a line for the person who must. */
import { LogError, type LogErrorCode } from "./event-log.ts";

interface Meaning {
  readonly says: RegExp;
  readonly code: LogErrorCode;
  /** Completes "Redis at … (REDIS_URL) …"; what was said follows in parentheses if it ends with a colon. */
  readonly message: string;
}

const ownDatabase =
  "give the relay a Redis or a database number of its own, or remove what is not the relay's";

/** Says nothing of why: whoever knows more says that instead. */
export const brokenConnection = "broke the connection";

/** The first that fits counts. Redis sets some codes at the front, some inside the text of a script's error. */
const meanings: readonly Meaning[] = [
  {
    says: /\bSHARMO_FORMAT\b/,
    code: "unusable",
    message: "holds a log of another format than this build reads: start the newer Sharmo Relay again",
  },
  {
    says: /\bSHARMO_FOREIGN\b|\bWRONGTYPE\b/,
    code: "unusable",
    message: `holds keys under {sharmo} that are not this log's: ${ownDatabase}`,
  },
  {
    says: /\bSHARMO_DAMAGED\b/,
    code: "unusable",
    message: `holds a damaged log: bring back a backup, or ${ownDatabase}`,
  },
  {
    says: /\bREADONLY\b|\bUNBLOCKED\b|WAIT cannot be used with replica/,
    code: "not_writable",
    message: "is a read-only replica: point REDIS_URL at the master",
  },
  {
    says: /\bOOM\b/,
    code: "not_writable",
    message: "is out of memory: raise maxmemory or shorten RELAY_RETENTION",
  },
  {
    says: /\bMISCONF\b/,
    code: "not_writable",
    message: "cannot save to its disk and refuses writes: see its own log, and whether its disk is full",
  },
  {
    says: /\bNOREPLICAS\b/,
    code: "not_writable",
    message: "has fewer replicas than its min-replicas-to-write asks for",
  },
  {
    says: /\bNOAUTH\b|\bWRONGPASS\b|invalid password|without any password configured/i,
    code: "unavailable",
    message: "refuses the relay: check user and password in REDIS_URL",
  },
  {
    says: /\bNOPERM\b|user executing the script can't/,
    code: "unavailable",
    message: "does not allow what the relay needs: the user in REDIS_URL needs ~{sharmo}* &{sharmo}* +@all",
  },
  { says: /\bLOADING\b/, code: "unavailable", message: "is still loading its data" },
  { says: /\bBUSY\b/, code: "unavailable", message: "is busy with a script" },
  { says: /\bMASTERDOWN\b/, code: "unavailable", message: "is a replica that has lost its master" },
  {
    says: /\bTRYAGAIN\b|\bCLUSTERDOWN\b|\bMOVED\b|\bASK\b/,
    code: "unavailable",
    message: "is part of a Cluster that is being rearranged",
  },
  {
    says: /max number of clients/,
    code: "unavailable",
    message: "has no connection left: raise its maxclients",
  },
  {
    says: /unknown command/i,
    code: "unavailable",
    message: "does not know a command that the relay needs: Redis 6.2 or newer, or Valkey, is required",
  },
  {
    says: /the master is now/,
    code: "unavailable",
    message: "has failed over:",
  },
  {
    says: /knows no master of that name/,
    code: "unavailable",
    message: "is not known to its Sentinels: check the master name at the end of REDIS_URL",
  },
  {
    says: /certificate|altnames/i,
    code: "unavailable",
    message: "has a certificate that is not trusted; name its authority with NODE_EXTRA_CA_CERTS:",
  },
  { says: /timed out|ETIMEDOUT|Socket timeout/, code: "unavailable", message: "does not answer:" },
  {
    says: /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/,
    code: "unavailable",
    message: "cannot be reached:",
  },
  {
    says: /Connection is closed|Stream isn't writeable|max retries per request|connection close|ECONNRESET|EPIPE/,
    code: "unavailable",
    message: brokenConnection,
  },
];

/** Another server is the master, or may be: it is time to connect anew. */
export function isNotMaster(text: string): boolean {
  return /\bREADONLY\b|\bUNBLOCKED\b|WAIT cannot be used with replica|\bMOVED\b|\bCLUSTERDOWN\b/.test(text);
}

/** The part of an error that may be shown: one line, none of a command's arguments. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  // Where a name has several addresses, Node reports all that failed under an empty message.
  const [first] = error instanceof AggregateError ? (error.errors as readonly unknown[]) : [];
  if (first instanceof Error && error.message === "") return textOf(first);
  const line = error.message.split(/[\r\n]/, 1)[0] ?? "";
  return (/^(.*?unknown command.*?), with args/i.exec(line)?.[1] ?? line).slice(0, 200);
}

export function explain(error: unknown, label: string): LogError {
  if (error instanceof LogError) return error;
  return explainText(textOf(error), label);
}

export function explainText(text: string, label: string): LogError {
  const meaning = meanings.find(({ says }) => says.test(text));
  // ioredis hangs the command with all its arguments on its errors: the cause is the text alone.
  const cause = new Error(text);
  const { code, message }: Omit<Meaning, "says"> = meaning ?? { code: "unavailable", message: "failed:" };
  const words = message.endsWith(":") ? `${message.slice(0, -1)} (${text})` : message;
  return new LogError(code, `${label} ${words}`, { cause });
}
