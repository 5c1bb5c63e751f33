/**
 * A purse that passes money on by telling others: what it sends is under way until they have it.
 *
 * Nothing here would notice money that arrives twice. That is for the runtime to see to.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  reject,
  type SnapshotCodec,
  tell,
} from "../../../lib/runtime/aggregate.ts";

export const kind = "purse";

const Receive = z.object({
  type: z.literal("Receive"),
  transferId: z.string(),
  amount: z.number(),
});

export type Command =
  | { readonly type: "Open"; readonly amount: number }
  | { readonly type: "Send"; readonly transferId: string; readonly to: string; amount: number }
  | z.infer<typeof Receive>;

/** What is told, not asked. */
export const Command = Receive;

export const Event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Opened"), amount: z.number() }),
  z.object({
    type: z.literal("Sent"),
    transferId: z.string(),
    to: z.string(),
    amount: z.number(),
  }),
  z.object({ type: z.literal("Received"), transferId: z.string(), amount: z.number() }),
]);
export type Event = z.infer<typeof Event>;

export type Reason = "not-open" | "already-open" | "insufficient";

export interface State {
  readonly isOpen: boolean;
  readonly balance: number;
}

export const initial: State = { isOpen: false, balance: 0 };

export function decide(state: State, command: Command): Decision<Event, Reason> {
  switch (command.type) {
    case "Open":
      if (state.isOpen) return reject("already-open");
      return accept({ type: "Opened", amount: command.amount });
    case "Send": {
      if (!state.isOpen) return reject("not-open");
      const { transferId, to, amount } = command;
      if (amount > state.balance) return reject("insufficient");
      const message = tell({ kind, Command }, to, { type: "Receive", transferId, amount });
      return {
        accepted: true,
        events: [{ type: "Sent", transferId, to, amount }],
        messages: [message],
      };
    }
    case "Receive": {
      const { transferId, amount } = command;
      return accept({ type: "Received", transferId, amount });
    }
  }
}

export function evolve(state: State, event: Event): State {
  const { balance } = state;
  switch (event.type) {
    case "Opened":
      return { isOpen: true, balance: balance + event.amount };
    case "Sent":
      return { ...state, balance: balance - event.amount };
    case "Received":
      return { ...state, balance: balance + event.amount };
  }
}

const Snapshot = z.object({ isOpen: z.boolean(), balance: z.number() });

export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: ({ isOpen, balance }) => ({ isOpen, balance }),
  decode: (encoded) => Snapshot.parse(encoded),
};
