/**
 * The two ways in which a call can fail without the rules having said no.
 *
 * @module
 */

/** Whether a write that failed may have taken effect all the same. */
export type FaultOutcome = "not-applied" | "unknown";

/**
 * The world cannot do it now: a lost connection, a full mailbox, a deadline passed.
 *
 * The same request may succeed later. With the outcome `unknown` it may have succeeded
 * already, so it is only repeated under the same message id.
 */
export class TransientFault extends Error {
  override readonly name = "TransientFault";
  readonly outcome: FaultOutcome;
  /** How long a caller had better wait before it tries again. */
  readonly retryAfterMs: number;
  /** Nothing was tried, and to try again before `retryAfterMs` is of no use: a breaker is open. */
  readonly isRefusal: boolean;

  constructor(
    message: string,
    options: {
      readonly cause?: unknown;
      readonly outcome?: FaultOutcome;
      readonly retryAfterMs?: number;
      readonly isRefusal?: boolean;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.outcome = options.outcome ?? "not-applied";
    this.retryAfterMs = options.retryAfterMs ?? 1_000;
    this.isRefusal = options.isRefusal ?? false;
  }
}

/**
 * The store refuses this content whenever it is sent: a value out of range, a broken constraint.
 *
 * Repeating it is useless; in a batch, it is the other commits that deserve another try.
 */
export class PoisonFault extends Error {
  override readonly name = "PoisonFault";
}
