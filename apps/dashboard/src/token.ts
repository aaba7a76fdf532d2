/**
 * Where the page's token comes from: in development from the relay itself, otherwise from the person. A pasted token
 * lives in a variable of this module's caller and nowhere else: not in storage, not in the address.
 */
import type { TokenReason } from "@sharmo-relay/client";
import { formatTime } from "./format.ts";

type TokenState =
  /** The relay has not been asked yet. */
  | { readonly kind: "unknown" }
  | { readonly kind: "development" }
  | { readonly kind: "given" }
  /** A person has to paste one; `problem` says why the last one did not do. */
  | { readonly kind: "needed"; readonly problem: string | undefined };

export interface TokenSource {
  readonly state: () => TokenState;
  readonly subscribe: (listener: () => void) => () => void;
  /** For the SDK: a token, or null while a person has to sign in. Throws when the relay cannot be asked. */
  readonly provide: (reason: TokenReason, signal: AbortSignal) => Promise<string | null>;
  /** Takes a pasted token; answers why it cannot be right, if that shows without asking the relay. */
  readonly give: (token: string) => string | undefined;
  /** The relay did not take the pasted token. */
  readonly refuse: (problem: string) => void;
}

type Fetch = (
  path: string,
  init: { readonly signal: AbortSignal; readonly cache: "no-store" },
) => Promise<Response>;

/** Why the SDK wants another token than the pasted one. */
const problems: Readonly<Partial<Record<TokenReason, string>>> = {
  expired: "Your token has expired or was revoked. Ask for a new one.",
  refused: "The relay does not accept this token: it was signed with another key, or made for another relay.",
};

export function createTokenSource(request: Fetch, now: () => number = Date.now): TokenSource {
  let state: TokenState = { kind: "unknown" };
  let given: string | undefined;
  const listeners = new Set<() => void>();
  const become = (next: TokenState): void => {
    state = next;
    for (const listener of listeners) listener();
  };
  const refuse = (problem: string): void => {
    if (given === undefined) return;
    given = undefined;
    become({ kind: "needed", problem });
  };

  return {
    state: () => state,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    provide: async (reason, signal) => {
      const problem = problems[reason];
      if (problem !== undefined) refuse(problem);
      if (given !== undefined) return given;
      if (state.kind === "needed") return null;
      const answer = await askRelay(request, signal);
      // Meanwhile a person may have pasted one.
      if (given !== undefined) return given;
      if (answer.kind === "token") {
        if (state.kind !== "development") become({ kind: "development" });
        return answer.token;
      }
      become({ kind: "needed", problem: answer.problem });
      return null;
    },
    give: (token) => {
      const problem = tokenProblem(token, now());
      if (problem !== undefined) return problem;
      given = token;
      become({ kind: "given" });
      return undefined;
    },
    refuse,
  };
}

/** What is wrong with a token that can be seen from outside; whether it is genuine only the relay knows. */
export function tokenProblem(token: string, now: number): string | undefined {
  const parts = token.split(".");
  const claims = parts.length === 3 ? claimsOf(parts[1] ?? "") : undefined;
  if (claims === undefined) {
    return "This is not a JWT: it should be three long parts with dots between them. Was all of it copied?";
  }
  const { exp } = claims;
  if (typeof exp !== "number") return "This token has no time of expiry (exp), which the relay insists on.";
  if (exp * 1000 <= now) return `This token expired at ${formatTime(exp * 1000, now)}. Ask for a new one.`;
  return undefined;
}

function claimsOf(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) =>
      c.charCodeAt(0),
    );
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null ? { ...claims } : undefined;
  } catch {
    return undefined;
  }
}

type Answer =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "none"; readonly problem: string | undefined };

/** `GET /dev/token` exists in development only, and answers 403 with a reason where it is not for this browser. */
async function askRelay(request: Fetch, signal: AbortSignal): Promise<Answer> {
  const response = await request("/dev/token", { signal, cache: "no-store" });
  if (response.status === 404) return { kind: "none", problem: undefined };
  const body: unknown = await response.json().catch(() => undefined);
  const fields: Readonly<Record<string, unknown>> =
    typeof body === "object" && body !== null ? { ...body } : {};
  if (response.status === 403) {
    const { message } = fields;
    return { kind: "none", problem: typeof message === "string" ? capital(message) : undefined };
  }
  const { token } = fields;
  if (!response.ok || typeof token !== "string")
    throw new Error(`the relay answered ${response.status} when asked for a token`);
  return { kind: "token", token };
}

function capital(message: string): string {
  const text = message.slice(0, 1).toUpperCase() + message.slice(1);
  return text.endsWith(".") ? text : `${text}.`;
}
