/**
 * The contract between a pure aggregate and the runtime that hosts it.
 *
 * An aggregate is a module, not a class: it exports the members of {@linkcode Aggregate} and is
 * hosted whole, as in `system.host(LiveEvent)`.
 *
 * @module
 */
import type { Address, Principal } from "./envelope.ts";

/**
 * A command for another actor, told and not asked: it is recorded together with the events that led
 * to it, and handled once, whatever crashes in between. Messages from one actor to another are
 * handled in the order in which they were told.
 */
export interface Message {
  readonly to: Address;
  /** The `commandSchema` of the aggregate that it is meant for. */
  readonly schema: number;
  /** JSON. */
  readonly command: unknown;
  /** How long after the decision it is due; others overtake it meanwhile. */
  readonly delayMs?: number;
  /** Only of a job: then `to` names its queue, and a worker handles it in place of an actor. */
  readonly job?: JobTraits;
}

/** What decides when a job has its turn in its queue. */
export interface JobTraits {
  /** 0 to 9, the most urgent first. */
  readonly priority: number;
  /** While one of that key waits or runs in the queue, another is not enqueued. */
  readonly uniqueKey?: string;
  /** Of the jobs with one key only so many run at a time, as the queue says. */
  readonly concurrencyKey?: string;
}

/** What `decide` answers: the events to record and what to tell, or the rule that said no. */
export type Decision<Event, Reason extends string> =
  | {
    readonly accepted: true;
    readonly events: readonly Event[];
    /** Only beside events: what is told follows from what has happened. */
    readonly messages?: readonly Message[];
  }
  | { readonly accepted: false; readonly reason: Reason };

/** What a decision may know beyond state and command. */
export interface DecisionContext {
  /** The actor's own key, under which it can be told something later. */
  readonly key: string;
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

/** A command as it lies in the outbox, written perhaps by an older release. */
export interface ToldCommand {
  readonly schema: number;
  readonly command: unknown;
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
  /** Checks what others tell; an aggregate without it can only be asked. */
  readonly Command?: Parser<Command>;
  /** The schema version written beside each command told to it; 1 unless they were ever reshaped. */
  readonly commandSchema?: number;
  /** Brings a command told under an older schema to today's form, before `Command` parses it. */
  upcastCommand?(told: ToldCommand): unknown;
  /**
   * What becomes of the messages behind one that could not be handled: they pass it, or their lane is
   * parked until an operator has seen to it. "pass" unless said.
   */
  readonly afterBurial?: "pass" | "park";
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

/** A message that gives `command` to the actor `key` of `aggregate`. */
export function tell<Command>(
  aggregate: {
    readonly kind: string;
    readonly Command: Parser<Command>;
    readonly commandSchema?: number;
  },
  key: string,
  command: NoInfer<Command>,
  { delayMs = 0 }: { readonly delayMs?: number } = {},
): Message {
  const to = { kind: aggregate.kind, key };
  return { to, schema: aggregate.commandSchema ?? 1, command, ...(delayMs > 0 && { delayMs }) };
}
