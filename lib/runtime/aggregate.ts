/**
 * The contract between a pure aggregate and the runtime that hosts it.
 *
 * An aggregate is a module, not a class: it exports the members of {@linkcode Aggregate} and is
 * hosted whole, as in `system.host(LiveEvent)`.
 *
 * @module
 */
import type { Principal } from "./envelope.ts";

/** What `decide` answers: the events to record, or the rule that said no. */
export type Decision<Event, Reason extends string> =
  | { readonly accepted: true; readonly events: readonly Event[] }
  | { readonly accepted: false; readonly reason: Reason };

/** What a decision may know beyond state and command. */
export interface DecisionContext {
  /** When the turn began, in epoch milliseconds. */
  readonly at: number;
  readonly principal: Principal;
}

/** Turns untrusted input into a `T`, or throws. Every zod schema is one. */
export interface Parser<T> {
  parse(input: unknown): T;
}

/** An event as it lies in the store, written perhaps by an older release. */
export interface RecordedEvent {
  readonly type: string;
  /** The aggregate's `eventSchema` at the time of writing. */
  readonly schema: number;
  readonly data: unknown;
}

/** How a state is written down and read back. */
export interface SnapshotCodec<State> {
  /** Raised with every change of the form: a snapshot of another schema is dropped and rebuilt. */
  readonly schema: number;
  encode(state: State): unknown;
  /** Throws on anything but what `encode` made; the snapshot is then dropped and rebuilt. */
  decode(encoded: unknown): State;
}

export interface Aggregate<
  State,
  Command,
  Event extends { readonly type: string },
  Reason extends string,
> {
  /** Names the actors of this aggregate; stored, so never renamed. */
  readonly kind: string;
  /** Checks the shape of recorded events, never rules: rules change, history stays readable. */
  readonly Event: Parser<Event>;
  /** The schema version written beside each new event; 1 unless events were ever reshaped. */
  readonly eventSchema?: number;
  /** Brings the data of an older event to today's form, before `Event` parses it. */
  upcast?(recorded: RecordedEvent): unknown;
  readonly initial: State;
  /** Pure and synchronous. */
  decide(state: State, command: Command, context: DecisionContext): Decision<Event, Reason>;
  /** Pure and synchronous; never throws: what has happened cannot be refused. */
  evolve(state: State, event: Event): State;
  readonly snapshot?: SnapshotCodec<State>;
}

export function accept<Event>(...events: readonly Event[]): Decision<Event, never> {
  return { accepted: true, events };
}

export function reject<Reason extends string>(reason: Reason): Decision<never, Reason> {
  return { accepted: false, reason };
}
