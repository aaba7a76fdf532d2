/** Who is on the other side, as a verified token says. */
import type { Grants } from "@sharmo-relay/protocol";

export interface Principal {
  readonly subject: string | undefined;
  readonly tokenId: string | undefined;
  readonly issuedAtMs: number | undefined;
  readonly expiresAtMs: number;
  readonly grants: Grants;
}

export type Verified =
  | { readonly ok: true; readonly principal: Principal }
  | {
      readonly ok: false;
      readonly code: "unauthenticated" | "token_expired" | "unavailable";
      readonly message: string;
    };

/** Never rejects; `unavailable` when keys could not be fetched and a later try may succeed. */
export interface TokenVerifier {
  verify(token: string): Promise<Verified>;
}
