/**
 * What has to happen now and then if a simulation is to be worth anything: every fault strikes, and
 * every mechanism that is there for a rare case is needed.
 *
 * @module
 */
import { TransientFault } from "../../lib/fault.ts";
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import type { Performed } from "./history.ts";
import { packetFaults } from "./plan.ts";
import { commitMishaps, statementErrors } from "./postgres/fault_plan.ts";

/** Kinds of faults, as they are counted when they strike. */
export const faultKinds: readonly string[] = [
  "crash before a call",
  "crash after a call",
  "pause",
  "jump",
  "cut",
  "partition",
  "restart",
  ...Object.keys(statementErrors),
  ...commitMishaps,
  "too many connections",
  "stall",
  "black hole",
  "database jump",
  ...packetFaults,
  "bell refused",
  "bell unheard",
];

/** What happens in the runtime. */
export const situations = [
  "conflict",
  "statement repeated",
  "turn of several messages",
  "reply remembered",
  "key in progress",
  "key reused",
  "unknown, and it was done",
  "unknown, and it was not done",
  "restarted after an unknown outcome",
  "commit refused as poison",
  "batch bisected",
  "snapshot used",
  "passivated",
  "message handled by another",
  "delivery failed",
  "message buried",
  "outside told again",
  "job tried again",
  "projection failed",
  "stale read",
  "refusal",
  "seat offered",
  "offer lapsed",
  "order filled",
  "order waits",
  "order replaced",
  "replacement refused",
  "order cancelled",
  "order expired",
  "would trade with itself",
  "cash runs short",
  "shares run short",
  "market paused",
  "limit breached",
  "no answer in time",
  "connection refused",
  "breaker opened: server",
  "breaker opened: writing",
  "refused by a breaker",
  "lock wait",
  "lock timeout",
  "commit out of order",
  "horizon held back",
] as const;
export type Situation = typeof situations[number];

export class Markers {
  readonly counts = new Map<string, number>();

  fired(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  sometimes(situation: Situation): void {
    this.fired(situation);
  }

  observe(event: RuntimeEvent): void {
    switch (event.type) {
      case "conflict":
        return this.sometimes("conflict");
      case "commit-failed":
        if (event.error instanceof TransientFault && event.error.isRefusal) {
          this.sometimes("refused by a breaker");
        }
        return this.sometimes("statement repeated");
      case "turn":
        if (event.messages.length > 1) this.sometimes("turn of several messages");
        for (const { outcome, envelope: { idempotency } } of event.messages) {
          if (outcome !== "replayed") continue;
          this.sometimes(
            idempotency === undefined ? "message handled by another" : "reply remembered",
          );
        }
        return;
      case "restarted":
        if (event.because === "unknown-outcome") {
          this.sometimes("restarted after an unknown outcome");
        }
        return;
      case "batch-bisected":
        return this.sometimes("batch bisected");
      case "activated":
        if (event.replayed < event.version) this.sometimes("snapshot used");
        return;
      case "passivated":
        return this.sometimes("passivated");
      case "delivery-failed":
        return this.sometimes("delivery failed");
      case "buried":
        return this.sometimes("message buried");
      case "job":
        if (event.attempt > 1) this.sometimes("job tried again");
        return;
      case "projection-failed":
        return this.sometimes("projection failed");
    }
  }

  /** An operation has come to another ending. */
  ended({ attempts }: Performed): void {
    const ending = attempts.at(-1)?.ending;
    if (ending?.is === "poison") this.sometimes("commit refused as poison");
    if (ending?.is !== "refused") return;
    if (ending.reason === "idempotency-key-in-progress") return this.sometimes("key in progress");
    if (ending.reason === "idempotency-key-reused") return this.sometimes("key reused");
    this.sometimes("refusal");
  }

  add({ counts }: { readonly counts: ReadonlyMap<string, number> }): void {
    for (const [kind, count] of counts) {
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + count);
    }
  }

  /** What never happened, of all that should now and then. */
  get missing(): readonly string[] {
    return [...faultKinds, ...situations].filter((kind) => !this.counts.has(kind));
  }
}
