/**
 * The port behind which told messages wait until their actor has handled them.
 *
 * They get in and out with the commits of {@linkcode Store}: a turn's messages are written with its
 * events, and a message disappears with the effects of the turn that handled it. What is here is the
 * way from one to the other. All messages to one actor are a *lane*; whoever claims a lane brings its
 * messages to the actor. A claim is a lease: it keeps relays from doing the same work twice, and
 * nothing depends on it. What makes effects happen once is the commit that takes the message out.
 *
 * Every method throws {@linkcode TransientFault} when it cannot be done now.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { Address } from "./envelope.ts";
import type { NewMessage } from "./store.ts";

/** A message that waits, or one that could not be handled. */
export interface OutboxMessage extends Omit<NewMessage, "delayMs"> {
  /** Grows along each lane; unique in the outbox. */
  readonly position: number;
  /** When it was told, in epoch milliseconds. */
  readonly at: number;
}

export interface Claim {
  /** Tells this claim from every other; an integer below 2^53. */
  readonly token: number;
  readonly leaseMs: number;
  readonly limit: number;
}

/** So many that no two claims ever draw the same. */
const TOKENS = 2 ** 53;

export function newToken(env: Pick<Env, "random">): number {
  return Math.floor(env.random() * TOKENS);
}

export interface ClaimedLane {
  readonly address: Address;
  readonly token: number;
  /** How often in a row the message at its head has failed. */
  readonly attempts: number;
  /** Those due, from the head, in order. */
  readonly messages: readonly OutboxMessage[];
}

/** What becomes of a lane after a claim. */
export interface SettledLane {
  readonly address: Address;
  readonly token: number;
  /** Without it the lane is free at once; otherwise nobody touches it for so long. */
  readonly pause?: {
    readonly ms: number;
    /** The message at the head, whose attempts these are. */
    readonly position: number;
    readonly attempts: number;
    readonly error: string;
  };
}

export interface Burial {
  readonly address: Address;
  readonly token: number;
  readonly position: number;
  readonly attempts: number;
  readonly error: string;
  /** Nobody touches the lane any more while it has dead letters. */
  readonly isParked: boolean;
}

/** A message that was handled outside, where no commit takes it out. */
export interface Completion {
  readonly address: Address;
  readonly token: number;
  readonly position: number;
}

/** How a lane stands; of one that never had trouble, all but `waiting` is nothing. */
export interface LaneStanding {
  /** Messages that wait; counted up to a limit. */
  readonly waiting: number;
  /** How often in a row the message at its head has failed. */
  readonly attempts: number;
  /** How long nobody will touch it yet. */
  readonly restMs: number;
}

/** A place in the order of {@linkcode Outbox.due}. */
export interface DueCursor {
  readonly availableAt: string;
  readonly position: number;
}

export interface DuePage {
  /** The lanes of due messages, each once. */
  readonly lanes: readonly Address[];
  /** Undefined at the end. */
  readonly next: DueCursor | undefined;
  /** In how many milliseconds the next message becomes due; undefined if none waits for its time. */
  readonly nextDueMs: number | undefined;
}

export interface OutboxDepth {
  /** Messages that are due, those of parked lanes among them; counted up to a limit. */
  readonly due: number;
  /** How long the oldest of them has been due. */
  readonly oldestMs: number;
  readonly dead: number;
}

export interface Outbox {
  /**
   * Takes those of the lanes that nobody has, and that are neither paused nor parked, for `leaseMs` by
   * the store's own clock, with at most `limit` messages of each. Repeated under one token it takes
   * again what it took before: its answer may have got lost. Jobs are not claimed so, wherever they
   * lie: workers take them.
   */
  claim(lanes: readonly Address[], claim: Claim): Promise<readonly ClaimedLane[]>;

  /** Ends claims that still hold; answers with the lanes freed that have messages due. */
  settle(lanes: readonly SettledLane[]): Promise<readonly Address[]>;

  /**
   * Moves the message from the outbox to the dead letters, and raises the actor's revision, so that
   * no turn that was about to handle it can still be recorded. False if the claim no longer holds or
   * the message was handled meanwhile. Of messages under one id there is one letter, the last.
   */
  bury(burial: Burial): Promise<boolean>;

  /** Takes the message out; false if the claim no longer holds, or somebody else has taken it. */
  complete(completion: Completion): Promise<boolean>;

  /**
   * Has at most `limit` messages of a paused lane become due no sooner than the lane, the last of it
   * first; says how many. Otherwise whoever looks for what is due would come across all of them,
   * again and again, for as long as the lane rests.
   */
  postpone(lane: Address, limit: number): Promise<number>;

  standing(lane: Address, countMax: number): Promise<LaneStanding>;

  /** A page of what is due, oldest first, whether or not somebody has its lane. */
  due(after: DueCursor | undefined, limit: number): Promise<DuePage>;

  depth(countMax: number): Promise<OutboxDepth>;

  /** Frees the room of messages that are gone; to be called every so many messages. */
  tidy(): Promise<void>;
}

/** A message that nobody could handle, and why. */
export interface DeadLetter extends OutboxMessage {
  readonly attempts: number;
  readonly error: string;
  readonly buriedAt: number;
}

export interface DeadLetterQuery {
  readonly kind?: string;
  readonly key?: string;
  /** Positions after this one. */
  readonly after?: number;
  readonly limit: number;
}

/** One letter, or the first so many of a kind or of one actor. */
export type RedriveQuery =
  | { readonly messageId: string }
  | { readonly kind: string; readonly key?: string; readonly limit: number };

/** Who does something that the audit keeps. */
export interface Operator {
  readonly id: string;
  /** The address that it came from; absent where it came over no network. */
  readonly from?: string;
  /** Under which all that it led to can be found. */
  readonly correlationId?: string;
}

/**
 * For operators. A parked lane goes on once none of its letters is left. Every act that changes
 * something is recorded in the audit, with it or not at all.
 */
export interface DeadLetters {
  /** By position. */
  list(query: DeadLetterQuery): Promise<readonly DeadLetter[]>;
  get(messageId: string): Promise<DeadLetter | undefined>;
  /** Replaces what the message says; undefined if there is no such dead letter. */
  edit(
    messageId: string,
    change: { readonly schema: number; readonly command: unknown },
    operator: Operator,
  ): Promise<DeadLetter | undefined>;
  /**
   * Puts the letters back into the outbox, each at the place that it had, so before everything told
   * to its actor since; a job that waits again already, under its id, stays that one. Answers with
   * what was put back.
   */
  redrive(
    which: RedriveQuery,
    operator: Operator,
  ): Promise<readonly DeadLetter[]>;
  /** Drops the letter; false if there is none. */
  discard(messageId: string, operator: Operator): Promise<boolean>;
}

const REASON_CHARS_MAX = 1_000;

/** An error as it is kept beside what failed by it. */
export function reasonOf(error: unknown): string {
  const text = textOf(error);
  return text.replaceAll("\0", "").slice(0, REASON_CHARS_MAX).toWellFormed();
}

/** Anything can be thrown, even what has no text. */
function textOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return `Something of type ${typeof error} without a text`;
  }
}
