/**
 * The smallest aggregate that can go wrong in every way: a total with a limit.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  type RecordedEvent,
  reject,
  type SnapshotCodec,
} from "../../lib/runtime/aggregate.ts";

export const kind = "counter";

export const LIMIT = 100;

export type Command =
  /** Of 0, accepted without an event. A note of U+0000 is poison to the store. */
  | { readonly type: "Add"; readonly amount: number; readonly note?: string }
  | { readonly type: "Reset" }
  /** A bug, in the function of that name. */
  | { readonly type: "Explode"; readonly where: "decide" | "evolve" };

export const eventSchema = 2;

export const Event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Added"), amount: z.number(), note: z.string().optional() }),
  z.object({ type: z.literal(["WasReset", "Exploded"]) }),
]);
export type Event = z.infer<typeof Event>;

/** In schema 1 the amount was called `by`. */
export function upcast({ type, data }: RecordedEvent): unknown {
  return type === "Added" ? { type, amount: (data as { by: number }).by } : data;
}

export type Reason = "over-limit";

export interface State {
  readonly total: number;
}

export const initial: State = { total: 0 };

export function decide({ total }: State, command: Command): Decision<Event, Reason> {
  switch (command.type) {
    case "Add": {
      const { amount, note } = command;
      if (total + amount > LIMIT) return reject("over-limit");
      if (amount === 0) return accept();
      return accept({ type: "Added", amount, ...(note !== undefined && { note }) });
    }
    case "Reset":
      return accept({ type: "WasReset" });
    case "Explode":
      if (command.where === "decide") throw new RangeError("decide exploded");
      return accept({ type: "Exploded" });
  }
}

export function evolve({ total }: State, event: Event): State {
  switch (event.type) {
    case "Added":
      return { total: total + event.amount };
    case "WasReset":
      return { total: 0 };
    case "Exploded":
      throw new RangeError("evolve exploded");
  }
}

const Snapshot = z.object({ total: z.number() });

export const snapshot: SnapshotCodec<State> = {
  schema: 3,
  encode: ({ total }) => ({ total }),
  decode: (encoded) => Snapshot.parse(encoded),
};
