/**
 * The pure half of an actor: what waits in its mailbox, decided in one go on a tentative state.
 *
 * Nothing here is visible to anyone. The activation shows it after the store has taken it.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { Aggregate, Decision, DecisionContext, Message } from "./aggregate.ts";
import type { Address, Envelope } from "./envelope.ts";
import type { Commit, NewEvent, NewMessage, RememberedReply, StoredEvent } from "./store.ts";

/** An aggregate whose types the runtime does not need to know. */
export type AnyAggregate = Aggregate<unknown, unknown, { readonly type: string }, string>;

/** What an accepted command has led to, as its sender's `answer` sees it. */
export interface Accepted<State, Event> {
  /** Right after the command: what others did in the same turn shows only if it came before. */
  readonly state: State;
  readonly version: number;
  /** Empty if there was nothing to do. */
  readonly events: readonly Event[];
}

/** Why the runtime itself refuses a command that the aggregate was not even asked about. */
export type RuntimeReason =
  | "version-mismatch"
  | "idempotency-key-reused"
  | "idempotency-key-in-progress";

/** What the sender of a command learns, once it is durable. */
export type Outcome<Answer = unknown, Reason extends string = string> =
  | {
    readonly accepted: true;
    readonly version: number;
    readonly answer: Answer;
    /** Where feeds will meet this write: a projection that has come so far shows it. */
    readonly transaction: string;
    /** True if this is the remembered reply to an earlier request under the same key. */
    readonly replayed: boolean;
  }
  | {
    readonly accepted: false;
    readonly reason: Reason | RuntimeReason;
    readonly version: number;
    readonly replayed: boolean;
  };

/** What a letter out of the outbox brings along. */
export interface Delivery {
  readonly position: number;
  /** Under which schema the command was told. */
  readonly schema: number;
  /** The messages of its lane that were brought together; they are handled in order or not at all. */
  readonly batch: DeliveryBatch;
}

export interface DeliveryBatch {
  /** One of its messages was not handled: those behind it are left for later. */
  isBroken: boolean;
}

/** A message in a mailbox, and the way back to its sender. */
export interface Letter {
  readonly envelope: Envelope;
  /** Only for what comes out of the outbox. */
  readonly delivery?: Delivery;
  /** Inspections read the state in the order of the mailbox; all other letters are commands. */
  readonly isInspection: boolean;
  /** Its sender has made up the key of its actor, so most likely there is nothing to load. */
  readonly isFirst?: boolean;
  answer(accepted: Accepted<unknown, { readonly type: string }>): unknown;
  /** In monotonic milliseconds. */
  readonly receivedAt: number;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
  /** Once it is, whatever fails later in the same turn is none of its business. */
  isSettled: boolean;
}

/** What becomes of a letter out of the outbox that another node was first with. */
export class AlreadyHandled extends Error {
  override readonly name = "AlreadyHandled";
}

/** Where an actor stands, durably. */
export interface Standing {
  readonly state: unknown;
  readonly version: number;
  readonly revision: number;
  readonly transaction: string;
}

export type Verdict =
  | {
    readonly is: "accepted";
    readonly letter: Letter;
    readonly version: number;
    readonly answer: unknown;
  }
  | {
    readonly is: "rejected";
    readonly letter: Letter;
    readonly version: number;
    readonly reason: string;
  }
  | { readonly is: "defect"; readonly letter: Letter; readonly error: unknown }
  /** A message before it in its lane was not handled, or the turn has enough to tell. */
  | { readonly is: "held-back"; readonly letter: Letter };

export interface Turn {
  readonly verdicts: readonly Verdict[];
  /** What to have recorded before any verdict is told. */
  readonly commit: Commit;
  /** The state once it is. */
  readonly state: unknown;
}

/**
 * Once a turn has so many messages to tell, what else was told to its actor is left for later: a commit
 * is written by one statement, in a bounded time.
 */
export const TURN_MESSAGES_MAX = 2_000;

/** Decides `letters` in their order, each on what those before it have led to. */
export function decideTurn(
  aggregate: AnyAggregate,
  address: Address,
  standing: Standing,
  letters: readonly Letter[],
  env: Pick<Env, "now" | "uuid">,
): Turn {
  const at = env.now();
  const verdicts: Verdict[] = [];
  const events: NewEvent[] = [];
  const replies: RememberedReply[] = [];
  const messages: NewMessage[] = [];
  const consumed: number[] = [];
  const broken = new Set<DeliveryBatch>();
  let { state, version } = standing;
  for (const letter of letters) {
    const { delivery } = letter;
    const isFull = messages.length >= TURN_MESSAGES_MAX;
    if (delivery !== undefined && isFull) broken.add(delivery.batch);
    if (delivery !== undefined && (delivery.batch.isBroken || broken.has(delivery.batch))) {
      verdicts.push({ is: "held-back", letter });
      continue;
    }
    const step = decideLetter(aggregate, letter, state, version, { key: address.key, at });
    verdicts.push(step.verdict);
    if (step.events.length > 0) {
      for (const event of step.events) events.push(caused(event, letter, aggregate));
      for (const message of step.messages) messages.push(told(message, letter, env.uuid()));
      state = step.state;
      version += step.events.length;
    }
    if (delivery !== undefined) {
      if (step.verdict.is === "defect") broken.add(delivery.batch);
      else consumed.push(delivery.position);
    }
    const reply = replyTo(step.verdict, version);
    if (reply !== undefined) replies.push(reply);
  }
  const { revision, version: before } = standing;
  const commit: Commit = {
    address,
    revision,
    version: before,
    at,
    events,
    replies,
    ...(messages.length > 0 && { messages }),
    ...(consumed.length > 0 && { consumed }),
  };
  return { verdicts, state, commit };
}

interface Step {
  readonly verdict: Verdict;
  readonly events: readonly { readonly type: string }[];
  readonly messages: readonly Message[];
  readonly state: unknown;
}

function decideLetter(
  aggregate: AnyAggregate,
  letter: Letter,
  state: unknown,
  version: number,
  context: Pick<DecisionContext, "key" | "at">,
): Step {
  const refused = (reason: string): Step => {
    return { ...nothing, verdict: { is: "rejected", letter, version, reason }, state };
  };
  const { principal, expectedVersion } = letter.envelope;
  // A defect is the letter's own: what the others of this turn are told does not change.
  try {
    if (letter.isInspection) return accepted(letter, state, version, nothing);
    if (expectedVersion !== undefined && expectedVersion !== version) {
      return refused("version-mismatch");
    }
    const command = commandIn(letter, aggregate);
    const decision = aggregate.decide(state, command, { ...context, principal });
    if (!decision.accepted) return refused(decision.reason);
    refuseBareMessages(decision);
    const after = decision.events.reduce((before, event) => aggregate.evolve(before, event), state);
    return accepted(letter, after, version + decision.events.length, decision);
  } catch (error) {
    return { ...nothing, verdict: { is: "defect", letter, error }, state };
  }
}

const nothing: Pick<Step, "events" | "messages"> = { events: [], messages: [] };

/** What was asked is typed by whoever asked; what was told has been written down in between. */
function commandIn({ envelope, delivery }: Letter, aggregate: AnyAggregate): unknown {
  const { command } = envelope;
  if (delivery === undefined) return command;
  const { Command, commandSchema = 1 } = aggregate;
  if (Command === undefined) throw new Error(`Nothing can be told to a ${aggregate.kind}`);
  const { schema } = delivery;
  const isOld = schema !== commandSchema && aggregate.upcastCommand !== undefined;
  return Command.parse(isOld ? aggregate.upcastCommand!({ schema, command }) : command);
}

/** Events are how a turn is recognised whose answer got lost; without one, it might tell twice. */
function refuseBareMessages(
  decision: Extract<Decision<unknown, string>, { accepted: true }>,
): void {
  if ((decision.messages?.length ?? 0) === 0 || decision.events.length > 0) return;
  throw new Error("A decision tells something though nothing has happened");
}

function accepted(
  letter: Letter,
  state: unknown,
  version: number,
  { events, messages = [] }: Partial<Pick<Step, "messages">> & Pick<Step, "events">,
): Step {
  const answer = letter.answer({ state, version, events });
  return { verdict: { is: "accepted", letter, version, answer }, events, messages, state };
}

function told(
  { to, schema, command, delayMs = 0, job }: Message,
  letter: Letter,
  messageId: string,
): NewMessage {
  const { correlationId, messageId: causationId, principal, traceparent } = letter.envelope;
  return {
    messageId,
    to,
    schema,
    command,
    correlationId,
    causationId,
    principal,
    delayMs,
    ...(traceparent !== undefined && { traceparent }),
    ...(job !== undefined && { job }),
  };
}

function caused(
  event: { readonly type: string },
  letter: Letter,
  aggregate: AnyAggregate,
): NewEvent {
  const { correlationId, messageId, principal } = letter.envelope;
  return {
    type: event.type,
    schema: aggregate.eventSchema ?? 1,
    data: event,
    correlationId,
    causationId: messageId,
    principalId: principal.id,
  };
}

/**
 * What to remember of a verdict. Nothing where the actor does not exist: otherwise whoever guesses
 * addresses would fill the store. But who has made up the address has made it of the key, and may
 * have asked before: were the refusal not kept, the first request could still come, and be accepted.
 */
function replyTo(verdict: Verdict, version: number): RememberedReply | undefined {
  const { envelope: { idempotency, principal }, isFirst = false } = verdict.letter;
  if (idempotency === undefined || (version === 0 && !isFirst)) return undefined;
  if (verdict.is !== "accepted" && verdict.is !== "rejected") return undefined;
  const outcome = verdict.is === "accepted"
    ? { accepted: true, version: verdict.version, answer: verdict.answer }
    : { accepted: false, version: verdict.version, reason: verdict.reason };
  return { principalId: principal.id, ...idempotency, outcome };
}

/**
 * Where recorded events lead.
 *
 * @throws what `readEvent` throws on an event that nobody can read any more.
 */
export function replay(
  aggregate: AnyAggregate,
  { state, version }: Pick<Standing, "state" | "version">,
  tail: readonly StoredEvent[],
): Pick<Standing, "state" | "version"> {
  return {
    state: tail.reduce(
      (state, stored) => aggregate.evolve(state, readEvent(aggregate, stored)),
      state,
    ),
    version: tail.at(-1)?.version ?? version,
  };
}

/**
 * Whether `tail` begins with the events of the commit, at their place. Then the commit was applied,
 * whole, though its answer may have got lost.
 */
export function isWrittenIn(
  tail: readonly StoredEvent[],
  { version, at, events }: Pick<Commit, "version" | "at" | "events">,
): boolean {
  // A message out of the outbox may have been handled by another node: then at another time.
  return events.length > 0 && tail[0]?.version === version + 1 &&
    events.every(({ causationId }, index) =>
      tail[index]?.causationId === causationId && tail[index].at === at
    );
}

/** An event of any age, in today's form. */
export function readEvent<Event extends { readonly type: string }>(
  aggregate: Pick<Aggregate<unknown, unknown, Event, string>, "Event" | "eventSchema" | "upcast">,
  stored: StoredEvent,
): Event {
  const isOld = stored.schema !== (aggregate.eventSchema ?? 1);
  const data = isOld && aggregate.upcast !== undefined ? aggregate.upcast(stored) : stored.data;
  return aggregate.Event.parse(data);
}
