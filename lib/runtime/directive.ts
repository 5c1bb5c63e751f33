/**
 * What becomes of whatever failed: the policy of supervision, without its mechanism.
 *
 * @module
 */
import { TransientFault } from "../fault.ts";
import { backoffMs } from "../resilience/backoff.ts";
import { type Address, addressText } from "./envelope.ts";

/** From the least grave to the gravest. */
export type Failure =
  /** The world could not do it, and nothing happened. */
  | "fault"
  /** The world did not say whether it happened. */
  | "unknown-outcome"
  /**
   * A defect met by messages out of the outbox alone. Whoever brings them waits longer after each
   * attempt, and buries what goes on failing.
   */
  | "told-defect"
  /** The code is wrong, or what it was given cannot be read. */
  | "defect"
  /** The store knows less than it once acknowledged. */
  | "data-loss";

export interface Failed {
  readonly is: Failure;
  readonly error: unknown;
}

export type Directive =
  /** Go on: what is in memory still holds. */
  | { readonly do: "resume" }
  /** Forget what is in memory, and begin again from the store. */
  | { readonly do: "restart"; readonly inMs: number; readonly isCounted: boolean }
  /** Into quarantine. */
  | { readonly do: "stop"; readonly forMs: number }
  /** More is in doubt than whoever failed can answer for: it is for the one above. */
  | { readonly do: "escalate" };

export interface RestartStrategy {
  /** Counted restarts within the window; one more failure leads into quarantine. */
  readonly restartsMax: number;
  readonly restartWindowMs: number;
  /** Before the second restart in a row; the first is immediate, further ones wait twice as long. */
  readonly pauseFirstMs: number;
  readonly pauseMostMs: number;
  readonly quarantineMs: number;
}

export interface Circumstances {
  /** In monotonic milliseconds. */
  readonly now: number;
  /** Uniform in [0, 1). */
  readonly random: number;
}

/** `restarts` are the moments of those that were counted, and not forgiven since. */
export function directiveFor(
  failure: Failure,
  restarts: readonly number[],
  strategy: RestartStrategy,
  { now, random }: Circumstances,
): Directive {
  switch (failure) {
    case "fault":
      return { do: "resume" };
    case "unknown-outcome":
    case "told-defect":
      // The one is the world's doing. The other has bounds already: were it counted here as well, a
      // message that kills would take its actor away before it is buried, and its successors with it.
      return { do: "restart", inMs: 0, isCounted: false };
    case "data-loss":
      return { do: "escalate" };
    case "defect": {
      const { restartsMax, pauseFirstMs: firstMs, pauseMostMs: mostMs } = strategy;
      const recent = recentOf(restarts, strategy.restartWindowMs, now).length;
      if (recent >= restartsMax) return { do: "stop", forMs: strategy.quarantineMs };
      const inMs = recent === 0 ? 0 : backoffMs(recent, random, { firstMs, mostMs });
      return { do: "restart", inMs, isCounted: true };
    }
  }
}

/** Those moments that lie within the window. */
export function recentOf(
  moments: readonly number[],
  windowMs: number,
  now: number,
): readonly number[] {
  return moments.filter((at) => now - at < windowMs);
}

export function failedBy(error: unknown): Failed {
  return { is: failureOf(error), error };
}

function failureOf(error: unknown): Failure {
  if (error instanceof DataLoss) return "data-loss";
  if (!(error instanceof TransientFault)) return "defect";
  return error.outcome === "unknown" ? "unknown-outcome" : "fault";
}

const gravity: readonly Failure[] = [
  "fault",
  "unknown-outcome",
  "told-defect",
  "defect",
  "data-loss",
];

/** Of two failures of one turn, the one to go by; of equal ones the first. */
export function graver(one: Failed | undefined, other: Failed): Failed {
  if (one === undefined) return other;
  return gravity.indexOf(other.is) > gravity.indexOf(one.is) ? other : one;
}

export interface Place {
  readonly version: number;
  readonly revision: number;
}

/** The store has gone back behind what it acknowledged: to a copy that was behind, or a backup. */
export class DataLoss extends Error {
  override readonly name = "DataLoss";
  readonly address: Address;
  readonly known: Place;
  readonly stored: Place;

  constructor(address: Address, known: Place, stored: Place) {
    const places = `is known at ${known.version}, stored at ${stored.version}`;
    super(`The store lost events: ${addressText(address)} ${places}`);
    this.address = address;
    this.known = known;
    this.stored = stored;
  }
}

/** What is stored of an actor can be made nothing of: whatever it is sent is not to blame. */
export class Unreadable extends Error {
  override readonly name = "Unreadable";
}
