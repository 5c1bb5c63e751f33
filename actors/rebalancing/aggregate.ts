/**
 * A rebalancing: the orders that somebody was proposed and has placed.
 *
 * Orders are placed one by one, by whoever asked for them; here is kept which. What `decide` upholds
 * and everyone else may assume: a rebalancing has one proposal and keeps it, so whoever asks again
 * places what is missing of it and nothing else, whatever has become of prices and cash.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  type DecisionContext,
  reject,
} from "../../lib/runtime/aggregate.ts";
import { type Foreseen, sides } from "../trading.ts";
import { omittedReasons, type Proposal } from "./proposal.ts";

export const kind = "rebalancing";

export type Command =
  | { readonly type: "Propose" } & Proposal
  /** Not to be, by what is known of others: said here, where the same may have been asked before. */
  | { readonly type: "Refuse"; readonly reason: Foreseen };

const order = { symbol: z.string(), side: z.enum(sides), price: z.int(), quantity: z.int() };

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.object({
  type: z.literal("OrdersProposed"),
  accountId: z.string(),
  orders: z.array(z.object(order)).readonly(),
  omitted: z.array(z.object({ ...order, reason: z.enum(omittedReasons) })).readonly(),
});
export type Event = z.infer<typeof Event>;

export type Reason = Foreseen | "already-exists";

export interface State {
  readonly proposal: Proposal | undefined;
}

export const initial: State = { proposal: undefined };

export function decide(
  { proposal }: State,
  command: Command,
  { principal }: DecisionContext,
): Decision<Event, Reason> {
  if (proposal !== undefined) return reject("already-exists");
  if (command.type === "Refuse") return reject(command.reason);
  const { orders, omitted } = command;
  return accept({ type: "OrdersProposed", accountId: principal.id, orders, omitted });
}

export function evolve(_: State, { orders, omitted }: Event): State {
  return { proposal: { orders, omitted } };
}
