/**
 * The faults of a plan, found by where they strike; and how often each kind has struck.
 *
 * @module
 */
import type { Fault, PacketFault } from "./plan.ts";
import type { Side } from "./incarnation.ts";
import type { CommitMishap, StatementError } from "./postgres/fault_plan.ts";
import type { Place } from "./scheduler.ts";

/** As the database knows the node. */
export function nameOf(node: number): string {
  return `node ${node}`;
}

export class Faults {
  readonly #byPoint = new Map<string, Map<number, Fault>>();
  readonly #onFired: (kind: string) => void;
  /** Once it is set, nothing fails any more. */
  isOver = false;

  constructor(faults: readonly Fault[], onFired: (kind: string) => void) {
    this.#onFired = onFired;
    for (const fault of faults) {
      const point = pointOf(fault);
      if (point === undefined) continue;
      const nths = this.#byPoint.get(point.text) ?? new Map();
      this.#byPoint.set(point.text, nths.set(point.nth, fault));
    }
  }

  /** How long the node is down, if it ends here. */
  crash(node: Place, call: string, nth: number, side: Side): number | undefined {
    const fault = this.#at(`crash ${side} ${node.index} ${call}`, nth);
    if (fault?.is !== "crash") return undefined;
    this.#onFired(`crash ${side} a call`);
    return fault.downMs;
  }

  /** What is noted as struck is for the database to say: some strike only what writes. */
  statement(
    node: string,
    statement: string,
    nth: number,
  ): StatementError | CommitMishap | undefined {
    const fault = this.#at(`statement ${node} ${statement}`, nth);
    return fault?.is === "statement" ? fault.how : undefined;
  }

  packet(operation: number, nth: number): PacketFault | undefined {
    const fault = this.#at(`packet ${operation}`, nth);
    if (fault?.is !== "packet") return undefined;
    this.#onFired(fault.how);
    return fault.how;
  }

  bell(nth: number): "refused" | "unheard" | undefined {
    const fault = this.#at("bell", nth);
    if (fault?.is !== "bell") return undefined;
    this.#onFired(`bell ${fault.how}`);
    return fault.how;
  }

  #at(point: string, nth: number): Fault | undefined {
    return this.isOver ? undefined : this.#byPoint.get(point)?.get(nth);
  }
}

function pointOf(fault: Fault): { readonly text: string; readonly nth: number } | undefined {
  switch (fault.is) {
    case "crash": {
      const { side, at: { node, call, nth } } = fault;
      return { text: `crash ${side} ${node} ${call}`, nth };
    }
    case "statement": {
      const { node, call, nth } = fault.at;
      return { text: `statement ${nameOf(node)} ${call}`, nth };
    }
    case "packet":
      return { text: `packet ${fault.operation}`, nth: fault.nth };
    case "bell":
      return { text: "bell", nth: fault.nth };
    default:
      return undefined;
  }
}
