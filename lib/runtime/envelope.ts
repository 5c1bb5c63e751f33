/** What travels to an actor, and what the runtime must know to deliver, trace and dedupe it. */

/** Where a message goes: one instance of one kind of aggregate. */
export interface Address {
  readonly kind: string;
  readonly key: string;
}

/** On whose behalf a message is sent. */
export interface Principal {
  readonly id: string;
  readonly roles: readonly string[];
}

/** Asks that the reply be remembered, and given again to whoever repeats the request. */
export interface Idempotency {
  /** Chosen by the caller; means nothing outside one principal and one actor. */
  readonly key: string;
  /** Tells a repetition from another request under the same key. */
  readonly requestHash: string;
}

/** The context that a caller lends to the messages it causes. */
export interface Cause {
  /** Unique per message; the causation id of the events that it leads to. */
  readonly messageId: string;
  /** Shared by everything that one outside request set in motion. */
  readonly correlationId: string;
  /** The message that led directly to this one; its own id if none did. */
  readonly causationId: string;
  readonly principal: Principal;
  /** In `Env.monotonic` milliseconds; after it nobody awaits the answer. */
  readonly deadline: number;
  /** Refuses the command unless the actor stands at this version. */
  readonly expectedVersion?: number;
  readonly idempotency?: Idempotency;
  /** W3C trace context of the caller's span, where there is one. */
  readonly traceparent?: string;
}

/** Of what the service sets in motion by itself, in the name of `principal`: nobody has asked for it. */
export function unaskedCause(
  env: { uuid(): string; monotonic(): number },
  principal: Principal,
  timeoutMs: number,
): Cause {
  const messageId = env.uuid();
  return {
    messageId,
    correlationId: messageId,
    causationId: messageId,
    principal,
    deadline: env.monotonic() + timeoutMs,
  };
}

export interface Envelope<Command = unknown> extends Cause {
  readonly address: Address;
  readonly command: Command;
}

/** One text for one address; kinds have no slash in them. */
export function addressText({ kind, key }: Address): string {
  return `${kind}/${key}`;
}
