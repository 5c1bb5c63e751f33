/**
 * RuntimeEvent → log lines.
 *
 * @module
 */
import type { LogLevel } from "../config.ts";
import { TransientFault } from "../fault.ts";
import { sealText } from "../runtime/audit.ts";
import { addressText } from "../runtime/envelope.ts";
import { type Observe, type RuntimeEvent, supervisedText } from "../runtime/observe.ts";
import type { Log } from "./log.ts";

type EventOf<Type extends RuntimeEvent["type"]> = Extract<RuntimeEvent, { readonly type: Type }>;

/**
 * Tells `log` what the runtime does: normal work at debug, defects at error with their stack.
 *
 * A fault of the world is a warning when it begins and an info when it is over, however often
 * it shows itself in between. What messages say is never logged.
 */
export function logObserver(log: Log): Observe {
  const troubles = new Troubles(log);
  const failures = new Tally();
  return (event) => {
    troubles.note(event);
    switch (event.type) {
      case "turn":
        return log("debug", "turn", () => turnFields(event));
      case "restarted":
        // Restarting is the cure for an unknown outcome; only a defect is somebody's mistake.
        return log(event.because === "defect" ? "error" : "warn", "actor restarted", {
          actor: addressText(event.address),
          because: event.because,
          inMs: event.inMs,
          error: event.error,
        });
      case "quarantined": {
        const { forMs, error } = event;
        return log("error", "quarantined", { what: supervisedText(event.subject), forMs, error });
      }
      case "released": {
        const { because } = event;
        return log("info", "released", { what: supervisedText(event.subject), because });
      }
      case "data-loss": {
        const { address, ...rest } = withoutType(event);
        return log("error", "the store lost events", { actor: address, ...rest });
      }
      case "worker-failed":
        return log("error", "worker failed", withoutType(event));
      case "snapshot-dropped": {
        const { address, error } = event;
        return log("warn", "snapshot dropped", { actor: addressText(address), error });
      }
      case "batch-bisected":
        return log("warn", "commit refused by the store, halved", withoutType(event));
      case "maintenance-failed":
        return log(levelOf(event.error), "maintenance failed", withoutType(event));
      case "buried": {
        const { address, ...rest } = withoutType(event);
        return log("error", "message buried", { actor: address, ...rest });
      }
      case "delivery-failed":
        return log("warn", "message not handled", withoutType(event));
      case "job":
        return log(levelOfJob(event), `job ${event.outcome}`, () => jobFields(event));
      case "given-up": {
        // Each names what is lost; but what finds no room comes by the thousand.
        const times = failures.count(`${event.subscriber} ${event.because}`);
        if (event.because !== "attempts" && !isDoubling(times)) return;
        const level = event.because === "shutdown" ? "warn" : "error";
        return log(level, "subscriber gave up", { ...withoutType(event), times });
      }
      case "handling-failed": {
        // Of a durable subscriber its projector tells, at the beginning and at the end.
        if (event.mode === "durable") return;
        const times = failures.count(event.subscriber);
        if (!isDoubling(times)) return;
        return log("warn", "subscriber failed", { ...withoutType(event), times });
      }
      case "connections-cut": {
        // That a connection rests until it is closed is how most of them end.
        if (event.because === "idle") return log("debug", event.type, withoutType(event));
        const times = failures.count(`connections ${event.because}`);
        if (!isDoubling(times)) return;
        return log("warn", "connections cut", { ...withoutType(event), times });
      }
      case "audit-head":
        return log("info", "audit head", withoutType(event));
      case "audit-rewritten": {
        const { known, found } = event;
        const heads = { known: sealText(known), ...(found && { found: sealText(found) }) };
        return log("error", "audit rewritten", heads);
      }
      case "rebuilt":
        return log("info", "projection rebuilt", withoutType(event));
      case "rebuild-failed": {
        const level = event.retryInMs === undefined ? "error" : "warn";
        return log(level, "rebuild fails", withoutType(event));
      }
      case "breaker": {
        const { state, ...rest } = withoutType(event);
        if (state === "closed") return log("info", "breaker closed", rest);
        return log("warn", "breaker open", rest);
      }
      case "mode":
        return log(event.mode === "normal" ? "info" : "warn", "mode", withoutType(event));
      case "retry-refused":
      case "bulkhead-full": {
        const what = event.type === "retry-refused" ? event.operation : event.bulkhead;
        const times = failures.count(`${event.type} ${what}`);
        if (!isDoubling(times)) return;
        return log("warn", event.type.replace("-", " "), { ...withoutType(event), times });
      }
      case "load":
      case "shed":
      case "limited":
      case "load-failed":
      case "told":
      case "jobs-settled":
      case "job-worker-failed":
      case "relay-failed":
      case "commit-failed":
      case "projection-failed":
      case "mailbox-full":
        return;
      default:
        return log("debug", event.type, () => withoutType(event));
    }
  };
}

function turnFields({ address, messages, attempts, startedAt, endedAt }: EventOf<"turn">) {
  return {
    actor: addressText(address),
    messages: messages.length,
    attempts,
    durationMs: endedAt - startedAt,
  };
}

const jobLevels = {
  completed: "debug",
  retried: "warn",
  failed: "error",
  cancelled: "info",
  abandoned: "warn",
} as const;

function levelOfJob({ outcome }: EventOf<"job">): LogLevel {
  return jobLevels[outcome];
}

function jobFields({ job, jobType, attempt, startedAt, endedAt, error }: EventOf<"job">) {
  return {
    queue: job.to.key,
    job: job.messageId,
    jobType,
    attempt,
    durationMs: endedAt - startedAt,
    ...(error !== undefined && { error }),
  };
}

/** The rest of an event, with its address as one text. */
function withoutType(event: RuntimeEvent): Readonly<Record<string, unknown>> {
  const { type: _, ...fields } = event;
  return "address" in fields ? { ...fields, address: addressText(fields.address) } : fields;
}

function levelOf(error: unknown): LogLevel {
  return error instanceof TransientFault ? "warn" : "error";
}

class Tally {
  readonly #counts = new Map<string, number>();

  count(name: string): number {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count;
  }
}

/** Of what may happen at every turn, the first, the second, the fourth and so on are told. */
function isDoubling(times: number): boolean {
  return (times & (times - 1)) === 0;
}

/** What goes wrong again and again until it is over, told at both ends only. */
class Troubles {
  readonly #log: Log;
  #isCommitFailing = false;
  #isRelayFailing = false;
  readonly #queuesFailing = new Set<string>();
  /** By name, and what each cannot get past, if that is known. */
  readonly #projectionsFailing = new Map<string, string | undefined>();
  /** Whether each overflowing mailbox refused a message since the last turn of its actor. */
  readonly #mailboxes = new Map<string, boolean>();

  constructor(log: Log) {
    this.#log = log;
  }

  note(event: RuntimeEvent): void {
    switch (event.type) {
      case "commit-failed":
        return this.#commitFailed(event);
      case "commit":
        return this.#committed();
      case "relay-failed":
        return this.#relayFailed(event);
      case "delivered":
      case "outbox-depth":
        return this.#relayed();
      case "projection-failed":
        return this.#projectionFailed(event);
      case "projected":
        return this.#projected(event.projection);
      case "job-worker-failed":
        return this.#queueFailed(event);
      case "jobs-settled":
      case "queue-depth":
        return this.#queueWorks(event.queue);
      case "mailbox-full":
        return this.#mailboxFull(event);
      case "turn":
      case "passivated":
        // Nearly every turn passes here: nothing is built while no mailbox overflows.
        if (this.#mailboxes.size > 0) this.#emptied(addressText(event.address), event.type);
    }
  }

  #commitFailed({ actors, error, retryInMs }: EventOf<"commit-failed">): void {
    if (this.#isCommitFailing) return;
    this.#isCommitFailing = true;
    this.#log("warn", "commits fail", { actors, retryInMs, error });
  }

  #committed(): void {
    if (!this.#isCommitFailing) return;
    this.#isCommitFailing = false;
    this.#log("info", "commits succeed again");
  }

  #relayFailed({ task, error }: EventOf<"relay-failed">): void {
    if (this.#isRelayFailing) return;
    this.#isRelayFailing = true;
    this.#log(levelOf(error), "relay fails", { task, error });
  }

  #relayed(): void {
    if (!this.#isRelayFailing) return;
    this.#isRelayFailing = false;
    this.#log("info", "relay works again");
  }

  /** Told when it begins, and once more when it is known which event is in the way. */
  #projectionFailed({ projection, error, blockedBy, ageMs }: EventOf<"projection-failed">): void {
    const isKnown = this.#projectionsFailing.has(projection);
    const blocking = blockedBy && `${addressText(blockedBy.address)} at ${blockedBy.version}`;
    const before = this.#projectionsFailing.get(projection);
    this.#projectionsFailing.set(projection, blocking ?? before);
    if (blocking !== undefined && blocking !== before) {
      this.#log("error", "projection is blocked", { projection, event: blocking, ageMs, error });
    } else if (!isKnown) {
      this.#log(levelOf(error), "projection fails", { projection, error });
    }
  }

  #projected(projection: string): void {
    if (this.#projectionsFailing.delete(projection)) {
      this.#log("info", "projection advances again", { projection });
    }
  }

  #queueFailed({ queue, task, error }: EventOf<"job-worker-failed">): void {
    if (this.#queuesFailing.has(queue)) return;
    this.#queuesFailing.add(queue);
    this.#log(levelOf(error), "queue fails", { queue, task, error });
  }

  #queueWorks(queue: string): void {
    if (this.#queuesFailing.delete(queue)) this.#log("info", "queue works again", { queue });
  }

  #mailboxFull({ address, capacity }: EventOf<"mailbox-full">): void {
    const actor = addressText(address);
    if (!this.#mailboxes.has(actor)) this.#log("warn", "mailbox full", { actor, capacity });
    this.#mailboxes.set(actor, true);
  }

  /** Under pressure a mailbox fills up again after each turn: it takes a calm one to be over. */
  #emptied(actor: string, by: "turn" | "passivated"): void {
    const hasRefused = this.#mailboxes.get(actor);
    if (hasRefused === undefined) return;
    if (hasRefused && by === "turn") return void this.#mailboxes.set(actor, false);
    this.#mailboxes.delete(actor);
    this.#log("info", "mailbox takes messages again", { actor });
  }
}
