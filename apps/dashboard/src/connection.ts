/** The connection's state in plain words. */
import type { ConnectionState, Status } from "@sharmo-relay/client";

export interface Connection {
  readonly state: ConnectionState;
  readonly tone: "good" | "busy" | "bad" | "off";
  /** One or two words for the badge. */
  readonly word: string;
  /** A sentence that explains it. */
  readonly explanation: string;
  /** When the next try is due, in ms; only while one is waited for. */
  readonly retryAt?: number;
  /** Since when nothing arrives although it should, in ms. */
  readonly brokenSince?: number;
}

const words: Readonly<Record<ConnectionState, Pick<Connection, "tone" | "word" | "explanation">>> = {
  idle: { tone: "busy", word: "Connecting", explanation: "Nothing has been asked for yet." },
  connecting: { tone: "busy", word: "Connecting", explanation: "The first connection is on its way." },
  live: { tone: "good", word: "Live", explanation: "Events arrive as they happen." },
  catching_up: {
    tone: "busy",
    word: "Catching up",
    explanation: "Connected; what was missed is on its way.",
  },
  reconnecting: { tone: "busy", word: "Reconnecting", explanation: "The relay cannot be reached." },
  offline: { tone: "bad", word: "Offline", explanation: "This device has no network." },
  signed_out: { tone: "off", word: "Signed out", explanation: "A token is needed to see events." },
  refused: { tone: "bad", word: "Refused", explanation: "The relay refuses this page." },
  closed: { tone: "off", word: "Closed", explanation: "The connection was closed." },
};

const broken: ReadonlySet<ConnectionState> = new Set(["reconnecting", "offline", "refused"]);
const working: ReadonlySet<ConnectionState> = new Set(["live", "catching_up"]);

/** `before`: the connection as it was shown until now. */
export function connectionOf(status: Status, now: number, before?: Connection): Connection {
  const { tone, word, explanation } = words[status.state];
  const troubled = status.degraded && status.state === "live";
  const waits =
    status.retryAt !== undefined && (status.state === "reconnecting" || status.state === "offline");
  const since = working.has(status.state) ? undefined : (before?.brokenSince ?? now);
  return {
    state: status.state,
    tone: troubled ? "busy" : tone,
    word: troubled ? "Live, with trouble" : word,
    // The SDK's own sentence where it knows more than the state tells.
    explanation: troubled || status.state === "refused" ? status.message : explanation,
    ...(waits && status.retryAt !== undefined ? { retryAt: status.retryAt } : {}),
    ...(since !== undefined && (broken.has(status.state) || before?.brokenSince !== undefined)
      ? { brokenSince: since }
      : {}),
  };
}
