/**
 * The port behind which events, snapshots and remembered replies are kept.
 *
 * Every method throws {@linkcode TransientFault} when the store cannot do it now, and nothing else
 * on purpose but what it says. A lost race is an answer (`conflict`), never an exception.
 *
 * @module
 */
import type { JobTraits } from "./aggregate.ts";
import type { Address, Principal } from "./envelope.ts";

export interface NewEvent {
  readonly type: string;
  /** Which form `data` has; the aggregate upcasts older ones. */
  readonly schema: number;
  readonly data: unknown;
  readonly correlationId: string;
  /** The id of the message that led to this event. */
  readonly causationId: string;
  readonly principalId: string;
}

export interface StoredEvent extends NewEvent {
  readonly version: number;
  /** When it was decided, in epoch milliseconds. */
  readonly at: number;
}

/** A snapshot is a cache: it may be missing, outdated or of a form that nobody reads any more. */
export interface Snapshot {
  readonly version: number;
  readonly schema: number;
  readonly state: unknown;
}

export interface LoadRequest {
  readonly address: Address;
  /** Events after this version only, and no snapshot; without it, the snapshot and its tail. */
  readonly afterVersion?: number;
}

/** Where an actor stands; all from one moment. */
export interface Loaded {
  /** Counts the commits of the actor: the fence. 0 for one never written. */
  readonly revision: number;
  /** Counts its events. */
  readonly version: number;
  /** The transaction of the newest commit; "0" for an actor never written. */
  readonly transaction: string;
  readonly snapshot?: Snapshot;
  /** What follows the snapshot, or `afterVersion`; in order, without a gap. */
  readonly events: readonly StoredEvent[];
}

/** What was answered to one idempotency key of one principal at one actor. */
export interface RememberedReply {
  readonly principalId: string;
  readonly key: string;
  readonly requestHash: string;
  /** JSON, as the caller received it. */
  readonly outcome: unknown;
}

/** A command for another actor, on its way into the outbox. */
export interface NewMessage {
  readonly messageId: string;
  readonly to: Address;
  readonly schema: number;
  readonly command: unknown;
  readonly correlationId: string;
  /** The id of the message that led to this one. */
  readonly causationId: string;
  readonly principal: Principal;
  /** How long after the commit's `at` it is due; 0 is at once, whatever `at` says. */
  readonly delayMs: number;
  readonly traceparent?: string;
  readonly job?: JobTraits;
}

/**
 * The result of one turn: applied whole, or not at all. Without events, replies and consumed messages
 * it only verifies.
 */
export interface Commit {
  readonly address: Address;
  /** The fence: applied only if the actor still stands at this revision. */
  readonly revision: number;
  /** The version before `events`. */
  readonly version: number;
  readonly at: number;
  readonly events: readonly NewEvent[];
  readonly replies: readonly RememberedReply[];
  /** What goes into the outbox, in the order in which each target is to have it. */
  readonly messages?: readonly NewMessage[];
  /** Positions in the outbox of the messages to this actor that the turn has handled. */
  readonly consumed?: readonly number[];
}

/** Whether there is anything to apply; other commits only verify. */
export function isWriting({ events, replies, consumed = [] }: Commit): boolean {
  return events.length > 0 || replies.length > 0 || consumed.length > 0;
}

export type CommitOutcome =
  /** Durable. `transaction` is where feeds will meet it; the token of the write. */
  | { readonly is: "ok"; readonly transaction: string }
  /** The actor stands elsewhere: another writer was first, or this very commit was, unheard. */
  | { readonly is: "conflict" }
  /** Some of its keys were answered before, with these replies; nothing of it was applied. */
  | { readonly is: "duplicate"; readonly replies: readonly RememberedReply[] }
  /**
   * The outbox has some of the consumed messages no more: they were handled, or buried, before.
   * Nothing of the commit was applied.
   */
  | { readonly is: "consumed"; readonly gone: readonly number[] }
  /** The store can never take this content. */
  | { readonly is: "poison"; readonly cause: unknown };

/** A place in the feed. Both are decimal integers, too large perhaps for a number. */
export interface FeedCursor {
  readonly transaction: string;
  readonly position: string;
}

export const feedStart: FeedCursor = { transaction: "0", position: "0" };

export interface FeedEvent extends StoredEvent {
  readonly address: Address;
  readonly cursor: FeedCursor;
}

export interface FeedQuery {
  readonly after: FeedCursor;
  readonly limit: number;
  /** One, or any of several. */
  readonly kind?: string | readonly string[];
  readonly types?: readonly string[];
  /** Whether the store has an index of just these kinds and types, so that it steps over no others. */
  readonly hasIndex?: boolean;
  /** Decided at or after, in epoch milliseconds. */
  readonly from?: number;
  /** Decided before. */
  readonly to?: number;
}

export interface FeedPage {
  readonly events: readonly FeedEvent[];
  /** All transactions up to this one are in this page or before it; nothing can appear there later. */
  readonly through: string;
}

export interface Store {
  /** One answer per request, in their order; many actors cost one round trip. */
  load(requests: readonly LoadRequest[]): Promise<readonly Loaded[]>;

  /**
   * Applies each commit or says why not; one commit's outcome never depends on another's.
   *
   * At most one commit per actor. Safe to repeat: what was applied before is a conflict now, and
   * its events are found in the stream under their causation ids.
   *
   * @throws {PoisonFault} when the content of some commit is refused; none is applied then.
   */
  commit(batch: readonly Commit[]): Promise<readonly CommitOutcome[]>;

  /**
   * Takes the actor's row, tells `decide` what happened after `afterVersion`, and applies what it
   * returns, all in one transaction: other writers wait rather than collide.
   *
   * @throws {PoisonFault} like `commit`.
   */
  commitExclusively(
    address: Address,
    afterVersion: number,
    decide: (caughtUp: Loaded) => Commit,
  ): Promise<CommitOutcome>;

  /** The newest snapshot of each actor wins, whatever the order of arrival. */
  saveSnapshots(
    snapshots: readonly { readonly address: Address; readonly snapshot: Snapshot }[],
  ): Promise<void>;

  /** Drops at most `limit` replies given before that moment; says how many. */
  forgetReplies(givenBefore: number, limit: number): Promise<number>;

  /** The events of one actor with `after < version <= through`, in order. */
  readStream(
    address: Address,
    range?: { readonly after?: number; readonly through?: number; readonly limit?: number },
  ): Promise<readonly StoredEvent[]>;

  /**
   * Everything recorded, in an order that never grows behind a reader: an event that commits late
   * is met later, not skipped.
   */
  readFeed(query: FeedQuery): Promise<FeedPage>;
}
