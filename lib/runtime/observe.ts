/**
 * What the runtime tells of itself. It logs nothing and counts nothing: observers do.
 *
 * @module
 */
import type { AuditSeal } from "./audit.ts";
import type { Place } from "./directive.ts";
import { type Address, addressText, type Envelope } from "./envelope.ts";
import type { OutboxMessage } from "./outbox.ts";

/** How one message of a turn ended. */
export interface HandledMessage {
  readonly envelope: Envelope;
  readonly outcome: "accepted" | "rejected" | "replayed" | "fault" | "defect";
  readonly reason?: string;
  /** When it entered the mailbox, in monotonic milliseconds. */
  readonly receivedAt: number;
}

/** What can be in quarantine: an actor, all of a kind, or a worker. */
export type Supervised =
  | { readonly is: "actor"; readonly address: Address }
  | { readonly is: "kind"; readonly kind: string }
  | { readonly is: "worker"; readonly worker: string };

export function supervisedText(subject: Supervised): string {
  switch (subject.is) {
    case "actor":
      return addressText(subject.address);
    case "kind":
      return `all of ${subject.kind}`;
    case "worker":
      return subject.worker;
  }
}

/** What ends a quarantine; for want of room the one that failed longest ago is released. */
export type ReleasedBy = "time" | "operator" | "room";

export type RuntimeEvent =
  | {
    readonly type: "activated";
    readonly address: Address;
    readonly version: number;
    readonly replayed: number;
    readonly durationMs: number;
  }
  | {
    readonly type: "passivated";
    readonly address: Address;
    readonly because: "idle" | "pressure" | "shutdown" | "quarantine";
  }
  | {
    readonly type: "restarted";
    readonly address: Address;
    readonly because: "defect" | "unknown-outcome";
    readonly error: unknown;
    /** How long its messages wait before that. */
    readonly inMs: number;
  }
  /** It failed again and again: for a while it is left alone. */
  | {
    readonly type: "quarantined";
    readonly subject: Supervised;
    readonly error: unknown;
    readonly forMs: number;
    /** How many of its sort are in quarantine now, on this node. */
    readonly held: number;
  }
  | {
    readonly type: "released";
    readonly subject: Supervised;
    readonly because: ReleasedBy;
    readonly held: number;
  }
  /** The store knows less of an actor than it once acknowledged. */
  | {
    readonly type: "data-loss";
    readonly address: Address;
    readonly known: Place;
    readonly stored: Place;
    readonly error: unknown;
  }
  /** A part of the node threw what it should have handled; it begins again, unless it is drained. */
  | {
    readonly type: "worker-failed";
    readonly worker: string;
    readonly error: unknown;
    readonly restartInMs?: number;
  }
  | { readonly type: "snapshot-dropped"; readonly address: Address; readonly error: unknown }
  | {
    readonly type: "turn";
    readonly address: Address;
    readonly messages: readonly HandledMessage[];
    readonly attempts: number;
    /** Monotonic milliseconds, like `receivedAt`. */
    readonly startedAt: number;
    readonly endedAt: number;
  }
  | { readonly type: "conflict"; readonly address: Address }
  | { readonly type: "mailbox-full"; readonly address: Address; readonly capacity: number }
  | {
    readonly type: "commit";
    readonly actors: number;
    readonly events: number;
    readonly replies: number;
    readonly conflicts: number;
    readonly durationMs: number;
  }
  | {
    readonly type: "commit-failed";
    readonly actors: number;
    readonly error: unknown;
    readonly retryInMs: number;
  }
  | {
    readonly type: "load-failed";
    readonly actors: number;
    readonly error: unknown;
    readonly retryInMs: number;
  }
  | { readonly type: "batch-bisected"; readonly actors: number; readonly error: unknown }
  | { readonly type: "loaded"; readonly actors: number; readonly durationMs: number }
  | {
    readonly type: "projected";
    readonly projection: string;
    readonly events: number;
    readonly durationMs: number;
  }
  | {
    readonly type: "projection-failed";
    readonly projection: string;
    readonly error: unknown;
    /** Failures in a row. */
    readonly attempts: number;
    readonly retryInMs: number;
    /** How long ago the first event of the page was decided; unknown before one was read. */
    readonly ageMs?: number;
    /** The event that it cannot get past, once that is known. */
    readonly blockedBy?: { readonly address: Address; readonly version: number };
  }
  /** A subscriber, or a layer around it, is done with some events. */
  | {
    readonly type: "handled";
    readonly subscriber: string;
    readonly mode: "synchronous" | "durable";
    readonly events: number;
    readonly attempt: number;
    readonly durationMs: number;
    /** A layer kept the events from the subscriber. */
    readonly isSkipped: boolean;
  }
  | {
    readonly type: "handling-failed";
    readonly subscriber: string;
    readonly mode: "synchronous" | "durable";
    readonly events: number;
    readonly attempt: number;
    readonly error: unknown;
  }
  /** A synchronous subscriber will never hear of these events of one actor. */
  | {
    readonly type: "given-up";
    readonly subscriber: string;
    readonly address: Address;
    /** Of the first of the events. */
    readonly version: number;
    readonly events: number;
    readonly attempts: number;
    readonly because: "attempts" | "room" | "shutdown";
    readonly error: unknown;
  }
  /** A page of a rebuild. */
  | {
    readonly type: "rebuilding";
    readonly projection: string;
    /** Since it began. */
    readonly events: number;
    readonly durationMs: number;
  }
  | {
    readonly type: "rebuilt";
    readonly projection: string;
    readonly events: number;
    readonly durationMs: number;
  }
  | {
    readonly type: "rebuild-failed";
    readonly projection: string;
    readonly error: unknown;
    /** Undefined if that was the end of it. */
    readonly retryInMs?: number;
  }
  /** Messages were committed that are due at once. */
  | { readonly type: "told"; readonly to: readonly Address[] }
  | { readonly type: "delivered"; readonly address: Address; readonly messages: number }
  | {
    readonly type: "delivery-failed";
    readonly address: Address;
    readonly messageId: string;
    readonly attempts: number;
    readonly error: unknown;
    readonly retryInMs: number;
  }
  | {
    readonly type: "buried";
    readonly address: Address;
    readonly messageId: string;
    readonly attempts: number;
    readonly error: unknown;
  }
  | {
    readonly type: "outbox-depth";
    readonly due: number;
    readonly oldestMs: number;
    readonly dead: number;
  }
  | {
    readonly type: "relay-failed";
    readonly task: "claim" | "settle" | "sweep" | "depth";
    readonly error: unknown;
  }
  /** One attempt at a job has ended, and is about to be recorded. */
  | {
    readonly type: "job";
    readonly job: OutboxMessage;
    readonly jobType: string;
    /** Counted from 1. */
    readonly attempt: number;
    readonly outcome: "completed" | "retried" | "failed" | "cancelled" | "abandoned";
    readonly error?: unknown;
    /** Monotonic milliseconds. */
    readonly startedAt: number;
    readonly endedAt: number;
  }
  | { readonly type: "jobs-settled"; readonly queue: string; readonly jobs: number }
  /** Connections that were closed for what they did or for want of room, since it last told. */
  | {
    readonly type: "connections-cut";
    readonly because: "head" | "idle" | "request" | "left" | "displaced" | "address" | "room";
    readonly connections: number;
    /** How many are left. */
    readonly open: number;
  }
  /** The rate of a queue keeps what is due waiting. */
  | { readonly type: "queue-limited"; readonly queue: string; readonly againMs: number }
  | {
    readonly type: "queue-depth";
    readonly queue: string;
    readonly waiting: number;
    readonly active: number;
    readonly oldestMs: number;
  }
  | {
    readonly type: "job-worker-failed";
    readonly queue: string;
    readonly task: "claim" | "settle" | "extend" | "depth" | "forget";
    readonly error: unknown;
  }
  /** Something outside was lost, or is back. */
  | {
    readonly type: "breaker";
    readonly dependency: string;
    readonly state: "open" | "closed";
    /** In a row. */
    readonly failures: number;
    readonly error?: unknown;
  }
  /** A retry was not made, as too many are made already. */
  | { readonly type: "retry-refused"; readonly operation: string }
  /** Too many of one kind wait already. */
  | { readonly type: "bulkhead-full"; readonly bulkhead: string }
  /** What is kept up is not what it was. */
  | {
    readonly type: "mode";
    readonly mode: string;
    readonly before: string;
    /** All that speaks against the normal one. */
    readonly because: readonly string[];
  }
  /** How busy the process is, looked at regularly. */
  | {
    readonly type: "load";
    /** By how much the event loop came late. */
    readonly loopDelayMs: number;
    /** The least that anybody waited for their turn. */
    readonly queueDelayMs: number;
    /** Requests under way. */
    readonly inFlight: number;
    /** 0: everybody is admitted; 1: no lists; 2: nor some of the commands. */
    readonly level: number;
    /** Of the commands. */
    readonly refusedShare: number;
  }
  /** Requests were refused, so that others can be served. */
  | { readonly type: "shed"; readonly requestClass: string; readonly requests: number }
  /** Requests were refused because their callers ask too often. */
  | { readonly type: "limited"; readonly limit: string; readonly requests: number }
  /** The newest seal of the audit: whoever keeps it can tell later that nothing was cut off. */
  | { readonly type: "audit-head"; readonly number: number; readonly mac: string }
  /** The newest seal that this node had seen is gone, or another; it seals nothing on top of that. */
  | { readonly type: "audit-rewritten"; readonly known: AuditSeal; readonly found?: AuditSeal }
  | { readonly type: "maintenance-failed"; readonly task: string; readonly error: unknown };

/** Must not throw, and must be quick: it is called between turns. */
export type Observe = (event: RuntimeEvent) => void;
