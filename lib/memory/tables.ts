/**
 * What a database would keep, as plain data: it can be looked at, copied and put back whole.
 *
 * @module
 */
import type { JobTraits } from "../runtime/aggregate.ts";
import type { Address } from "../runtime/envelope.ts";
import type { DeadLetter, OutboxMessage } from "../runtime/outbox.ts";
import type { FeedEvent, RememberedReply, Snapshot, StoredEvent } from "../runtime/store.ts";

export interface ActorRow {
  readonly address: Address;
  revision: number;
  transaction: number;
  readonly events: StoredEvent[];
  readonly replies: Map<string, { readonly reply: RememberedReply; readonly at: number }>;
}

export interface FeedRow {
  readonly transaction: number;
  readonly position: number;
  readonly event: FeedEvent;
}

export interface WaitingRow {
  readonly message: OutboxMessage;
  availableAt: number;
}

export interface LaneRow {
  readonly address: Address;
  token: number;
  leaseUntil: number;
  nextAt: number;
  attempts: number;
  /** The position of the message whose attempts are counted. */
  attempted: number | undefined;
  isParked: boolean;
}

/** A job's place among others, and whose duplicates it keeps out. */
export type Traits = JobTraits;

export interface JobRow {
  readonly message: OutboxMessage;
  readonly traits: Traits;
  availableAt: number;
  token: number | undefined;
  leaseUntil: number;
  attempts: number;
  error: string | undefined;
  progress: unknown;
  cancelledBy: string | undefined;
}

/** A job that counts against the limits of its queue. */
export interface RunningRow {
  readonly queue: string;
  readonly token: number;
  readonly concurrencyKey: string | undefined;
  leaseUntil: number;
}

export interface StartRow {
  readonly queue: string;
  readonly token: number;
  jobs: number;
  countsUntil: number;
}

export interface FinishedRow {
  readonly job: JobRow;
  readonly result: unknown;
  readonly finishedAt: number;
  readonly keepUntil: number;
}

export interface LetterRow {
  readonly letter: DeadLetter;
  readonly traits: Traits;
}

export interface AuditRow {
  readonly principal: string;
  readonly act: string;
  readonly messageId: string;
}

export interface Tables {
  /** By the text of their addresses, like lanes and snapshots. */
  readonly actors: Map<string, ActorRow>;
  readonly snapshots: Map<string, Snapshot>;
  /** In the order of transaction and position. */
  readonly feed: FeedRow[];
  /** Of each lane that is not empty, its messages in the order of their positions. */
  readonly outbox: Map<string, WaitingRow[]>;
  readonly lanes: Map<string, LaneRow>;
  /** By message id. */
  readonly letters: Map<string, LetterRow>;
  /** By position, like those that run. */
  readonly jobs: Map<number, JobRow>;
  readonly running: Map<number, RunningRow>;
  readonly starts: StartRow[];
  /** By message id. */
  readonly finished: Map<string, FinishedRow>;
  readonly audit: AuditRow[];
  /** What was drawn last; never drawn again, whatever becomes of it. */
  readonly drawn: { transaction: number; event: number; message: number };
}

export function emptyTables(): Tables {
  return {
    actors: new Map(),
    snapshots: new Map(),
    feed: [],
    outbox: new Map(),
    lanes: new Map(),
    letters: new Map(),
    jobs: new Map(),
    running: new Map(),
    starts: [],
    finished: new Map(),
    audit: [],
    drawn: { transaction: 0, event: 0, message: 0 },
  };
}
