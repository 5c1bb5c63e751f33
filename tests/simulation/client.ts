/**
 * A client: does one thing after another, and does not take silence for an answer.
 *
 * @module
 */
import { PoisonFault, TransientFault } from "../../lib/fault.ts";
import { addressText, type Cause } from "../../lib/runtime/envelope.ts";
import type { Accepted, Outcome } from "../../lib/runtime/turn.ts";
import { aggregateOf, type Answer, askedBy, keyOf, viewOf } from "./acts.ts";
import type { Attempt, Ending, Performed } from "./history.ts";
import type { Node } from "./node.ts";
import type { Operation } from "./plan.ts";
import { Life, type Place } from "./scheduler.ts";
import type { World } from "./world.ts";

const TIMEOUT_MS = 4_000;
const PAUSE_FIRST_MS = 50;
const PAUSE_MOST_MS = 2_000;

export class Client {
  readonly #world: World;
  readonly #life: Life;
  readonly #operations: readonly Operation[];
  /** By address text: the newest version that it has seen of an actor. */
  readonly #seen = new Map<string, number>();

  constructor(world: World, place: Place, operations: readonly Operation[]) {
    this.#world = world;
    this.#life = new Life(place);
    this.#operations = operations;
  }

  /** Never rejects; ends once all is answered, or given up. */
  async work(): Promise<void> {
    for (const operation of this.#operations) {
      const label = `rests before ${operation.id}`;
      await this.#world.scheduler.pause(this.#life, label, operation.afterMs);
      await this.#perform(operation);
    }
  }

  async #perform(operation: Operation): Promise<void> {
    const performed: Performed = { operation, attempts: [], messageIds: [] };
    this.#world.performed.push(performed);
    const { repeats = 0 } = operation;
    let answers = 0;
    for (let failures = 0; answers <= repeats;) {
      const ending = await this.#attempt(performed);
      if (isAnswer(ending)) {
        answers++;
        continue;
      }
      if (!isRepeatable(operation)) return;
      const pauseMs = Math.min(PAUSE_MOST_MS, PAUSE_FIRST_MS * 2 ** failures++);
      await this.#world.scheduler.pause(this.#life, "waits", pauseMs);
    }
  }

  async #attempt(performed: Performed): Promise<Ending> {
    const { scheduler, network, hosts } = this.#world;
    const { operation, attempts, messageIds } = performed;
    const node = (operation.node + attempts.length) % hosts.length;
    const attempt: Attempt = {
      messageId: `message-${operation.id}-${attempts.length + 1}`,
      node,
      atLeast: this.#atLeast(operation),
      invokedAt: this.#world.tick(),
      invokedMs: scheduler.now,
      endedAt: Infinity,
      endedMs: Infinity,
      ending: undefined,
    };
    attempts.push(attempt);
    let arrivals = 0;
    const ending = await network.request({
      from: this.#life,
      to: hosts[node]!,
      operation: operation.id,
      nth: attempts.length,
      timeoutMs: TIMEOUT_MS,
      mayDouble: isRepeatable(operation),
      serve: async (node) => {
        const messageId = `${attempt.messageId}${arrivals++ === 0 ? "" : "-again"}`;
        messageIds.push(messageId);
        const ending = await served(node, operation, { messageId, atLeast: attempt.atLeast });
        this.#world.told.push({ operation, messageId, ending });
        return ending;
      },
    });
    Object.assign(attempt, { ending, endedAt: this.#world.tick(), endedMs: scheduler.now });
    this.#see(operation, ending);
    this.#world.markers.ended(performed);
    return ending;
  }

  #atLeast({ act }: Operation): number {
    if (act.is !== "read" || act.strength !== "session") return 0;
    const { kind, index } = act;
    return this.#seen.get(addressText({ kind, key: keyOf(kind, index) })) ?? 0;
  }

  #see({ act, id }: Operation, ending: Ending): void {
    if (!("version" in ending)) return;
    const address = act.is === "read"
      ? { kind: act.kind, key: keyOf(act.kind, act.index) }
      : askedBy({ id, act })!;
    const text = addressText(address);
    this.#seen.set(text, Math.max(this.#seen.get(text) ?? 0, ending.version));
  }
}

function isRepeatable({ key, act }: Operation): boolean {
  return key !== undefined || act.is === "read";
}

/** What settles an operation: one more attempt could tell nothing new. */
function isAnswer(ending: Ending): boolean {
  if (ending.is === "fault") return false;
  return ending.is !== "refused" || ending.reason !== "idempotency-key-in-progress";
}

/** How the node answers, as the routes do. */
async function served(
  node: Node,
  operation: Operation,
  { messageId, atLeast }: { readonly messageId: string; readonly atLeast: number },
): Promise<Ending> {
  try {
    return await asked(node, operation, messageId, atLeast);
  } catch (error) {
    if (error instanceof TransientFault) {
      return { is: "fault", outcome: error.outcome, why: error.message };
    }
    return error instanceof PoisonFault ? { is: "poison" } : { is: "defect", error };
  }
}

async function asked(
  { system, incarnation }: Node,
  { id, act, key }: Operation,
  messageId: string,
  atLeast: number,
): Promise<Ending> {
  const cause: Omit<Cause, "principal"> = {
    messageId,
    correlationId: messageId,
    causationId: messageId,
    deadline: incarnation.monotonic() + TIMEOUT_MS,
  };
  if (act.is === "read") {
    const { kind, index, strength } = act;
    const view = (state: unknown) => viewOf(kind, state);
    const principal = { id: "reader", roles: [] };
    const reading = await system.read(
      aggregateOf(kind),
      keyOf(kind, index),
      { ...cause, principal },
      view,
      { atLeast, isStrong: strength === "strong" },
    );
    return { is: "read", view: reading.view, version: reading.version };
  }
  const { kind, key: actor, command, principal } = askedBy({ id, act })!;
  const requestHash = `${id} ${JSON.stringify(act)}`;
  const outcome = await system.ask(
    aggregateOf(kind),
    actor,
    command,
    { ...cause, principal, ...(key !== undefined && { idempotency: { key, requestHash } }) },
    ({ state, events }: Accepted<unknown, unknown>): Answer => {
      return { events: events.length, view: viewOf(kind, state) };
    },
    // As over HTTP; whoever repeats it is wrong about that.
    { isFirst: isPlacing(command) },
  );
  return endingOf(outcome);
}

function endingOf(outcome: Outcome<Answer>): Ending {
  const { version, replayed } = outcome;
  return outcome.accepted
    ? { is: "accepted", version, answer: outcome.answer, replayed }
    : { is: "refused", version, reason: outcome.reason, replayed };
}

function isPlacing(command: unknown): boolean {
  return (command as { readonly type?: unknown }).type === "Place";
}
