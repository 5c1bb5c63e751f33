/** What a caller shows, once it has been found to hold. */
import type { Principal } from "../runtime/envelope.ts";

export interface Credentials {
  /** Whom the caller speaks for. */
  readonly principal: Principal;
  /** Of one who has signed in; absent for keys, and for tokens that an operator has made. */
  readonly sessionId?: string;
  /** Of an API key that was shown. */
  readonly keyId?: string;
  /** Of a key: all that it may be used for. Absent where it may be used for whatever the principal may. */
  readonly scopes?: readonly string[];
}

/** Tells whom a credential speaks for; undefined for whatever is not a valid one. */
export interface Verifier {
  /**
   * Before a credential that is not known here is looked up elsewhere, `admit` is asked, and what it
   * throws is thrown.
   */
  verify(
    credential: string,
    admit?: () => Promise<unknown>,
  ): Promise<Credentials | undefined>;
}
