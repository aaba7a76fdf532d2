/** What the ledger finds: violations by kind, and figures. */

export const violationKinds = {
  unanswered: "posted again and again, never answered 200",
  not_stored: "answered 200, not in the log",
  stored_twice: "in the log more than once",
  never_posted: "in the log or delivered, never posted",
  other_bytes: "stored with other bytes than were posted",
  accepted_twice: "answered `accepted` more than once",
  moved: "answered or delivered with another cursor than it is stored under",
  cursor_names_two: "one cursor, two events",
  missing: "stored, owed, neither delivered nor named in a gap",
  twice: "handled more than once",
  sent_twice: "the same event under the same cursor sent twice",
  out_of_order: "delivered out of the order of cursors",
  other_content: "delivered with other content than was posted",
  not_granted: "delivered outside the grants",
  not_asked: "delivered outside the topics",
  false_gap: "a gap told without cause",
  after_gap: "named missing, then delivered on the same connection",
  never_began: "a subscription that never began",
  ended: "a subscription that the relay ended without cause",
  incident: "a process did what it must not",
} as const;

export type ViolationKind = keyof typeof violationKinds;

export interface Violation {
  readonly kind: ViolationKind;
  /** Of the event, where there is one. */
  readonly id?: string;
  readonly follower?: string;
  readonly detail: string;
}

export interface Figures {
  readonly events: number;
  readonly posts: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly unanswered: number;
  readonly stored: number;
  /** Acknowledged under a cursor that the log lost, and stored under another. */
  readonly putBack: number;
  readonly owed: number;
  /** By handlers, as `live`, `catch_up` and `snapshot`. */
  readonly live: number;
  readonly recovered: number;
  readonly snapshot: number;
  /** Owed, and covered by a gap that was told. */
  readonly reported: number;
  /** Came over the wire and was known already; only a fork can cause it. */
  readonly dropped: number;
  /** Handled before and after a restart of the client's process, with a fork between. */
  readonly again: number;
  readonly gaps: Readonly<Record<string, number>>;
}

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly figures: Figures;
}
