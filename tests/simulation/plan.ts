/**
 * All that a run consists of, as data: made from the seed before it begins, and written down as JSON
 * when it fails. What is left out of it simply does not happen; the rest does as before.
 *
 * @module
 */
import type { Deal, TradingKind } from "./deals.ts";
import type { CommitMishap, FaultPlan, Pace, StatementError } from "./postgres/fault_plan.ts";

/** What a client does once its last operation is answered. */
export interface Operation {
  /** Stays the same while others are dropped. */
  readonly id: number;
  readonly client: number;
  /** How long it rests before. */
  readonly afterMs: number;
  /** The node it turns to first; after that, to the next. */
  readonly node: number;
  readonly act: Act;
  /** With one, it goes on asking until there is an answer; without, it asks once. */
  readonly key?: string;
  /** Once answered, it asks so often again. */
  readonly repeats?: number;
}

export type Act =
  | { readonly is: "open"; readonly purse: number; readonly amount: number }
  | {
    readonly is: "transfer";
    readonly from: number;
    readonly to: number;
    readonly amount: number;
  }
  | Append
  | { readonly is: "trade"; readonly deal: Deal }
  | { readonly is: "schedule"; readonly event: number; readonly plan: SeatPlan }
  | { readonly is: "publish" | "cancel"; readonly event: number }
  | { readonly is: "revise"; readonly event: number; readonly capacity: number }
  | { readonly is: "register"; readonly event: number; readonly user: number }
  /** What the operation of that id registered. */
  | {
    readonly is: "withdraw" | "accept";
    readonly event: number;
    readonly user: number;
    readonly registration: number;
  }
  | {
    readonly is: "read";
    readonly kind: ActorKind;
    readonly index: number;
    readonly strength: "plain" | "session" | "strong";
  };

/** To a register: its value is the id of the operation. */
export interface Append {
  readonly is: "append";
  readonly register: number;
  /** It tells that register to append it as well. */
  readonly tells?: number;
  /** What is told cannot be handled. */
  readonly isUnhandleable?: boolean;
  /** It is told outside. */
  readonly rings?: boolean;
  /** A job is to append it once more. */
  readonly hasJob?: boolean;
  /** The store refuses it. */
  readonly isPoison?: boolean;
}

export type ActorKind = "purse" | "register" | "live_event" | TradingKind;

export interface SeatPlan {
  readonly capacity: number;
  readonly waitlistCapacity?: number;
  readonly offerMinutes?: number;
}

/** The `nth` call of that name by that node; in the order in which they are made. */
export interface CallPoint {
  readonly node: number;
  readonly call: string;
  readonly nth: number;
}

export type Fault =
  /** The node ends before the call has any effect, or once it had its effect. */
  | {
    readonly is: "crash";
    readonly at: CallPoint;
    readonly side: "before" | "after";
    readonly downMs: number;
  }
  | { readonly is: "pause"; readonly atMs: number; readonly node: number; readonly ms: number }
  /** Of a wall clock. */
  | { readonly is: "jump"; readonly atMs: number; readonly node: number; readonly byMs: number }
  /** All connections of a node to the database are reset. */
  | { readonly is: "cut"; readonly atMs: number; readonly node: number }
  /** Nothing gets through between them, and nobody is told. */
  | { readonly is: "hole"; readonly atMs: number; readonly node: number; readonly ms: number }
  /** Of the clock of the database. */
  | { readonly is: "database jump"; readonly atMs: number; readonly byMs: number }
  /** Between the clients and a node. */
  | { readonly is: "partition"; readonly atMs: number; readonly node: number; readonly ms: number }
  /** All connections to the database end, and it refuses new ones for a while. */
  | { readonly is: "restart"; readonly atMs: number; readonly ms: number }
  /** `call` is what the database knows it as. */
  | {
    readonly is: "statement";
    readonly at: CallPoint;
    readonly how: StatementError | CommitMishap;
  }
  /** The `nth` time that the outside is told something. */
  | { readonly is: "bell"; readonly nth: number; readonly how: "refused" | "unheard" }
  /** Of the `nth` attempt at an operation, from 1. */
  | {
    readonly is: "packet";
    readonly operation: number;
    readonly nth: number;
    readonly how: PacketFault;
  };

export const packetFaults = [
  "request-lost",
  "reply-lost",
  "request-late",
  "reply-late",
  "request-doubled",
] as const;
export type PacketFault = typeof packetFaults[number];

/** Of one node; what a restart does not change. */
export interface NodePlan {
  /** How far its wall clock is off, and how fast all its clocks are. */
  readonly skewMs: number;
  readonly rate: number;
}

export interface Plan {
  readonly seed: number;
  readonly nodes: readonly NodePlan[];
  readonly clients: number;
  readonly operations: readonly Operation[];
  readonly faults: readonly Fault[];
  /** From then on nothing fails any more, and everything has to come to its end. */
  readonly healAtMs: number;
  readonly limits: NodeLimits;
  /** How often statements and commits fail, and how. */
  readonly database: FaultPlan;
  readonly pace: Pace;
  /** The longest way between a client and a node, there or back. */
  readonly networkMs: number;
}

export interface NodeLimits {
  readonly snapshotEvery: number;
  readonly residentMax: number;
  readonly idleMs: number;
  readonly turnMax: number;
  readonly giveUpMs: number;
  readonly leaseMs: number;
  /** After so many failures a message is buried. */
  readonly attemptsMax?: number;
}
