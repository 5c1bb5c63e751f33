/**
 * What happened in a run, as those saw it who took part: what was asked and answered, what was
 * committed, what arrived outside.
 *
 * Ticks tell what came before what; no two things have the same.
 *
 * @module
 */
import type { DeadLetter, OutboxMessage } from "../../lib/runtime/outbox.ts";
import type { Commit, StoredEvent } from "../../lib/runtime/store.ts";
import type { Answer } from "./acts.ts";
import type { Effects } from "./database.ts";
import type { Operation } from "./plan.ts";

export type Ending =
  | {
    readonly is: "accepted";
    readonly version: number;
    readonly answer: Answer;
    readonly replayed: boolean;
  }
  | {
    readonly is: "refused";
    readonly version: number;
    readonly reason: string;
    readonly replayed: boolean;
  }
  | { readonly is: "read"; readonly version: number; readonly view: unknown }
  | { readonly is: "fault"; readonly outcome: "not-applied" | "unknown"; readonly why: string }
  /** The store can never take it. */
  | { readonly is: "poison" }
  /** Anything else that was thrown. */
  | { readonly is: "defect"; readonly error: unknown };

export interface Attempt {
  readonly messageId: string;
  readonly node: number;
  readonly invokedAt: number;
  /** The least version that a read asks for. */
  readonly atLeast: number;
  /** In virtual milliseconds. */
  readonly invokedMs: number;
  endedAt: number;
  endedMs: number;
  ending: Ending | undefined;
}

export interface Performed {
  readonly operation: Operation;
  readonly attempts: Attempt[];
  /** All message ids under which it was sent: more than attempts where the network doubled one. */
  readonly messageIds: string[];
}

/** What a node said to one request, whether anyone heard it or not. */
export interface Told {
  readonly operation: Operation;
  readonly messageId: string;
  readonly ending: Ending;
}

export interface Committed {
  readonly tick: number;
  readonly commit: Commit;
  readonly transaction: string;
  /** In the outbox, of the first of its messages; the others follow. */
  readonly position: number;
  /** What waited for the actor at that moment, by its position. */
  readonly waiting: readonly number[];
}

/** What the outside heard. */
export interface Rung {
  readonly message: OutboxMessage;
  readonly tick: number;
}

export interface History {
  readonly performed: readonly Performed[];
  readonly told: readonly Told[];
  /** In the order in which they became visible. */
  readonly commits: readonly Committed[];
  readonly rung: readonly Rung[];
  /** By address text; as the database has them at the end. */
  readonly streams: ReadonlyMap<string, readonly StoredEvent[]>;
  readonly effects: ReadonlyMap<string, Effects>;
  readonly deadLetters: readonly DeadLetter[];
  /** What actors are told and have not handled, due or not. */
  readonly waiting: readonly OutboxMessage[];
  /** Requests that nodes took and never answered. */
  readonly unanswered: number;
  /** Messages that still wait though they are due. */
  readonly undelivered: number;
  /** Jobs that have not ended. */
  readonly openJobs: number;
  /** Lanes and jobs that somebody still holds. */
  readonly leases: number;
  /** When everything was well again, in virtual milliseconds. */
  readonly healedAtMs: number;
  /** Whether it came to rest after that in time. */
  readonly isAtRest: boolean;
}
