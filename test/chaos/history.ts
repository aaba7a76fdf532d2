/** What a run wrote down: every post, the log at the end, and all that each follower saw, in the order it saw it. */

export type Answer =
  | { readonly kind: "accepted"; readonly cursor: string }
  | { readonly kind: "duplicate" }
  /** Anything but 2xx; the sender tries again. */
  | { readonly kind: "refused"; readonly status: number; readonly code: string }
  | { readonly kind: "no_answer"; readonly why: string };

export interface Attempt {
  /** When it was sent, in milliseconds since 1970. */
  readonly at: number;
  readonly tookMs: number;
  readonly node: number;
  readonly answer: Answer;
}

export interface Posted {
  readonly id: string;
  readonly type: string;
  /** `token_id=tok_1`, `address=0x…`: what topics with a key can match. */
  readonly keys: readonly string[];
  /** Of the bytes that were sent. */
  readonly bytesHash: string;
  /** Of the event as a parser sees it. */
  readonly eventHash: string;
  readonly attempts: Attempt[];
}

/** One event of the log when all was over. */
export interface Stored {
  readonly cursor: string;
  readonly id: string;
  readonly bytesHash: string;
}

export type DeliveredAs = "live" | "catch_up" | "snapshot";

export type Sight =
  /** Whatever is stored after this cursor is owed from now on. */
  | { readonly kind: "began"; readonly at: number; readonly cursor: string }
  | { readonly kind: "connected"; readonly at: number; readonly node: number }
  | { readonly kind: "lost"; readonly at: number; readonly why: string }
  /** What the client says of itself; for whoever reads the life of an event. */
  | { readonly kind: "status"; readonly at: number; readonly state: string }
  /** The client's process ended and another one went on from the cursor that was kept; it knows no ids. */
  | { readonly kind: "restarted"; readonly at: number; readonly cursor: string | undefined }
  | {
      readonly kind: "event";
      readonly at: number;
      readonly id: string;
      readonly cursor: string | undefined;
      readonly as: DeliveredAs;
      readonly eventHash: string;
      /** False: it came over the wire and the follower knew it already. */
      readonly handled: boolean;
    }
  | {
      readonly kind: "gap";
      readonly at: number;
      readonly reason: string;
      readonly certain: boolean;
      readonly topics: readonly string[];
      readonly from: string;
      readonly to: string;
    }
  /** The relay will not have the subscription any more. */
  | { readonly kind: "ended"; readonly at: number; readonly code: string; readonly message: string };

/** One handler, or one subscription of a stock client. */
export interface Follower {
  readonly name: string;
  /** `wire`: its sights are all that came over the wire, also what it dropped. `handler`: only what was handled. */
  readonly sees: "handler" | "wire";
  readonly topics: readonly string[];
  /** Topics that its token grants, the default ones included. */
  readonly grants: readonly string[];
  /** It asks for what it is not granted: it must be refused, and get nothing. */
  readonly refused: boolean;
  readonly sights: Sight[];
}

/** What a fault or a node did that no plan foresaw, for example an exit that nobody asked for. */
export interface Incident {
  readonly at: number;
  readonly what: string;
}

export interface History {
  readonly posted: ReadonlyMap<string, Posted>;
  /** In the order of the log. */
  readonly stored: readonly Stored[];
  readonly followers: readonly Follower[];
  readonly incidents: readonly Incident[];
  /** The log may have lost acknowledged writes, which nodes then put back elsewhere. */
  readonly forks: boolean;
}
