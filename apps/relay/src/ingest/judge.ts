/** What is to be done with a body that came whole: pure, so that every row of the answer table can be had without a socket. */
import { type DataProblem, dataProblems } from "@sharmo-relay/protocol/schemas";
import type { Config } from "../config.ts";
import type { NewEvent, QuarantineItem } from "../log/event-log.ts";
import { challengeOf, smallChallengeOf } from "./challenge.ts";
import { type EnvelopeResult, readDocument, readEnvelope } from "./envelope.ts";
import type { Refusal } from "./outcome.ts";
import { clockDifference, refusals } from "./refusals.ts";
import { type CheckSignature, createSignatureCheck, type SignatureProblem } from "./signature.ts";

/** An authentic body that is no event, and what its sender is told once it is kept. */
export interface Keep {
  readonly reason: QuarantineItem["reason"];
  readonly message: string;
  readonly refusal: Refusal;
}

export type Verdict =
  | { readonly kind: "refuse"; readonly refusal: Refusal }
  | { readonly kind: "challenge"; readonly challenge: string }
  | { readonly kind: "keep"; readonly keep: Keep; readonly problems: readonly SchemaProblem[] }
  | { readonly kind: "accept"; readonly event: NewEvent; readonly problems: readonly SchemaProblem[] };

/** A documented field of a known type that is missing or of another kind; both names are of the catalogue. */
interface SchemaProblem extends DataProblem {
  readonly type: string;
}

export type Judge = (rawHeaders: readonly string[], body: Buffer, nowMs: number) => Verdict;

export function createJudge(settings: Config["webhook"]): Judge {
  const { secrets, maxAgeMs, schemaMode } = settings;
  const check: CheckSignature = createSignatureCheck(secrets, maxAgeMs);
  const unsigned = (body: Buffer, refusal: Refusal): Verdict => {
    const challenge = settings.challenge === "open" ? smallChallengeOf(body) : undefined;
    return challenge === undefined ? refuse(refusal) : { kind: "challenge", challenge };
  };
  return (rawHeaders, body, nowMs) => {
    // A signature may be there, made with a secret that is not known here yet.
    if (secrets.length === 0) return unsigned(body, refusals.notConfigured);
    const signature = check(rawHeaders, body, nowMs);
    switch (signature.status) {
      case "missing":
        return unsigned(body, refusals.signatureMissing);
      case "invalid":
        return refuse(refusalOf(signature.problem));
      case "stale":
        return judgeStale(body, signature.behindMs, maxAgeMs);
      case "ok":
        return judgeAuthentic(body, schemaMode);
    }
  };
}

function refuse(refusal: Refusal): Verdict {
  return { kind: "refuse", refusal };
}

function refusalOf(problem: SignatureProblem): Refusal {
  switch (problem.kind) {
    case "mismatch":
      return refusals.signatureMismatch;
    case "repeated":
      return refusals.signatureRepeated(problem.header);
    case "malformed":
      return refusals.signatureMalformed(problem.header, problem.form);
  }
}

/** Kept, since it is authentic: a sender that does not sign its retries anew must not lose events unseen. */
function judgeStale(body: Buffer, behindMs: number, maxAgeMs: number): Verdict {
  // A challenge is no event; nothing is lost with it.
  if (smallChallengeOf(body) !== undefined) return refuse(refusals.staleChallenge(behindMs, maxAgeMs));
  const message = `The time of the signature was ${clockDifference(behindMs)}.`;
  return keep("stale_signature", message, refusals.signatureStale(behindMs, maxAgeMs));
}

function judgeAuthentic(body: Buffer, schemaMode: Config["webhook"]["schemaMode"]): Verdict {
  const read = readDocument(body);
  if (!read.ok) {
    const { reason, message } = read;
    return keep(
      reason,
      message,
      reason === "invalid_json" ? refusals.invalidJson(message) : refusals.invalidEvent(message, {}),
    );
  }
  const challenge = challengeOf(read.document);
  if (challenge !== undefined) return { kind: "challenge", challenge };
  const envelope = readEnvelope(read.document, body);
  if (!envelope.ok) return keepInvalid(envelope);

  const { event, data } = envelope;
  const problems = dataProblems(event.type, data).map((problem) => ({ type: event.type, ...problem }));
  const [first] = problems;
  if (first === undefined || schemaMode === "deliver") return { kind: "accept", event, problems };
  const message = `Send data.${first.field} as a ${first.expected}, or set RELAY_SCHEMA_MODE=deliver.`;
  const refusal = refusals.invalidEvent(message, { problems });
  return { kind: "keep", keep: { reason: "schema", message, refusal }, problems };
}

function keepInvalid({ field, message }: Extract<EnvelopeResult, { ok: false }>): Verdict {
  return keep("invalid_event", message, refusals.invalidEvent(message, field === undefined ? {} : { field }));
}

function keep(reason: Keep["reason"], message: string, refusal: Refusal): Verdict {
  return { kind: "keep", keep: { reason, message, refusal }, problems: [] };
}

/** An event that the log refused because it would bring one type too many. */
export function keepTooManyTypes(): Keep {
  const message = "Use an event type that came before: the relay's log holds as many types as it can.";
  return { reason: "too_many_types", message, refusal: refusals.invalidEvent(message, { field: "type" }) };
}
