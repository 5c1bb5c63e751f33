/** What an order is asked or told, and why it refuses. */
import { z } from "zod";
import type { Decision } from "../../lib/runtime/aggregate.ts";
import { type Foreseen, type Side, type TimeInForce, type ToOrder, toOrder } from "../trading.ts";
import type { Event } from "./events.ts";
import type { Plan } from "./state.ts";

export const { kind } = toOrder;

/** What it tells itself for later: its day is over. */
const Expire = z.object({ type: z.literal("Expire") });

/** Parsed where it comes in; here its types are believed. */
export type Command =
  | ToOrder
  | Readonly<z.infer<typeof Expire>>
  | {
    readonly type: "Place";
    readonly symbol: string;
    readonly side: Side;
    readonly orderType: "limit" | "market";
    readonly timeInForce: TimeInForce;
  } & Plan
  /** It is not to be placed, by what is known of others: said by the order, which may be there already. */
  | { readonly type: "Refuse"; readonly reason: Foreseen }
  | { readonly type: "Cancel" }
  /** `refused` where it would be, by what is known of others: said by the order, after its own rules. */
  | { readonly type: "Replace"; readonly refused?: Foreseen } & Partial<Plan>;

export type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

/** What is told, not asked. */
export const Command = z.union([toOrder.Command, Expire]);

export type Reason =
  | Foreseen
  | "not-found"
  | "already-exists"
  | "ended"
  | "not-working"
  | "being-replaced"
  | "quantity-below-filled";

export type Verdict = Decision<Event, Reason>;
