/** `register`, `send` and `types`. */
import { catalogue, eventTypes, isEventType } from "@sharmo-relay/protocol";
import { register } from "../sender/register.ts";
import { editData, sampleData, sendTestEvent } from "../sender/test-event.ts";
import type { RegisterArguments, SendArguments } from "./arguments.ts";
import { describeAnswer, plain } from "./words.ts";

/** What a command has to say, and its exit code. */
export interface Outcome {
  readonly code: number;
  readonly text: string;
}

export async function registerCommand(
  args: RegisterArguments,
  secret: string | undefined,
  signal: AbortSignal,
): Promise<Outcome> {
  const { url, scheme } = args;
  const result = await register({ url, scheme, signal, ...(secret === undefined ? {} : { secret }) });
  if (result.ok) return { code: 0, text: `${url} is registered: it answered the challenge` };
  const got =
    result.status === undefined ? "" : `, got ${describeAnswer(result.status, result.response ?? "")}`;
  return { code: 1, text: `${url} is not registered: ${result.reason}${got}` };
}

export async function sendCommand(
  args: SendArguments,
  secret: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { url, scheme, type, id, createdAt } = args;
  const result = await sendTestEvent({
    url,
    secret,
    scheme,
    type,
    data: args.data ?? (isEventType(type) ? editData(sampleData(type), args.edits) : "{}"),
    ...(id === undefined ? {} : { id }),
    ...(createdAt === undefined ? {} : { createdAt }),
    signal,
  });
  switch (result.kind) {
    case "stopped":
      return { code: 130, text: `${type}: stopped` };
    case "no_answer":
      return { code: 1, text: `${type}: ${result.reason}` };
    case "answer": {
      const { status, body } = result;
      const arrived = status >= 200 && status < 300;
      const answer = arrived ? `${status} ${plain(body)}`.trim() : describeAnswer(status, body);
      return { code: arrived ? 0 : 1, text: `${type}: ${answer}` };
    }
  }
}

export function typesCommand(): Outcome {
  const lines = eventTypes.map((type) => {
    const note = catalogue[type].source === "variant" ? "only in the vendor's other guides" : "";
    return `${type.padEnd(34)}${note}`.trimEnd();
  });
  return { code: 0, text: lines.join("\n") };
}
