/**
 * A portfolio: the shares of one person, what was paid for them, and how many are kept for orders.
 *
 * What `decide` upholds and everyone else may assume:
 * - nobody has fewer than no shares of anything, and what is kept for orders is there;
 * - shares come by deposits and purchases, leave by withdrawals and sales, and by nothing else;
 * - what is sold was bought first of all that is left, and earns what it brought less what it cost.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  type DecisionContext,
  type Message,
  reject,
  tell,
} from "../../lib/runtime/aggregate.ts";
import {
  costOf,
  SignedCash,
  type ToOrder,
  toOrder,
  type ToPortfolio,
  toPortfolio,
  toRisk,
} from "../trading.ts";
import { soldOff } from "./lots.ts";
import { initial, type Position, positionOf, type State } from "./state.ts";

export { evolve } from "./evolve.ts";
export { snapshot } from "./snapshot.ts";
export { initial, type State };
export const { kind, Command } = toPortfolio;

/** What comes after a message that could not be handled may rest on it: an operator sees to it. */
export const afterBurial = "park";

/** For one portfolio; each is an order that has not come to its end. */
export const RESERVATIONS_MAX = 10_000;

interface Shares {
  readonly symbol: string;
  readonly quantity: number;
}

/** Parsed where it comes in; here its types are believed. */
export type Command =
  | ToPortfolio
  /** From elsewhere, where that was paid for each of them. */
  | { readonly type: "Deposit"; readonly price: number } & Shares
  | { readonly type: "Withdraw" } & Shares;

type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

const order = { orderId: z.string(), symbol: z.string(), quantity: z.int() };
const trade = { ...order, tradeId: z.string(), price: z.int() };

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("SharesDeposited"),
    symbol: z.string(),
    quantity: z.int(),
    price: z.int(),
  }),
  z.object({ type: z.literal("SharesWithdrawn"), symbol: z.string(), quantity: z.int() }),
  z.object({ type: z.literal("SharesReserved"), ...order }),
  z.object({ type: z.literal("ReservationRefused"), ...order }),
  z.object({ type: z.literal("SharesBought"), ...trade }),
  z.object({ type: z.literal("SharesSold"), ...trade, earned: SignedCash }),
  /** The last share is sold or withdrawn; with all that was earned since the first came. */
  z.object({ type: z.literal("PositionClosed"), symbol: z.string(), earned: SignedCash }),
  z.object({ type: z.literal("SharesReleased"), ...order }),
]);
export type Event = z.infer<typeof Event>;

export type Reason = "insufficient-shares";

type Verdict = Decision<Event, Reason>;

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  switch (command.type) {
    case "Deposit": {
      const { symbol, quantity } = command;
      const messages = [transferred(context, symbol, quantity)];
      return { accepted: true, events: [{ ...command, type: "SharesDeposited" }], messages };
    }
    case "Withdraw":
      return withdraw(state, command, context);
    case "Reserve":
      return reserve(state, command);
    case "Take": {
      const { type: _, ...purchase } = command;
      return accept({ ...purchase, type: "SharesBought" });
    }
    case "Deliver":
      return deliver(state, command, context);
    case "Release":
      return release(state, command);
  }
}

function withdraw(
  state: State,
  { symbol, quantity }: CommandOf<"Withdraw">,
  context: DecisionContext,
): Verdict {
  const position = positionOf(state, symbol);
  if (quantity > availableOf(position)) return reject("insufficient-shares");
  const withdrawn: Event = { type: "SharesWithdrawn", symbol, quantity };
  const messages = [transferred(context, symbol, -quantity)];
  const events = [withdrawn, ...closing(position, quantity, position.earned)];
  return { accepted: true, events, messages };
}

/** Who watches over risk hears of trades from orders, and of all else from here. */
function transferred({ key }: DecisionContext, symbol: string, quantity: number): Message {
  return tell(toRisk, key, { type: "Transferred", symbol, quantity });
}

/** With the last share a position is over. */
function closing(
  { symbol, quantity }: Position,
  without: number,
  earned: bigint,
): readonly Event[] {
  return quantity > without ? [] : [{ type: "PositionClosed", symbol, earned: String(earned) }];
}

/** What can be withdrawn, or kept for another order. */
export function availableOf({ quantity, reserved }: Position): number {
  return quantity - reserved;
}

function reserve(state: State, command: CommandOf<"Reserve">): Verdict {
  const { orderId, symbol, quantity } = command;
  const refused = (reason: "insufficient-shares" | "too-many-orders") =>
    told({ ...command, type: "ReservationRefused" }, { type: "NotReserved", reason });
  if (quantity > availableOf(positionOf(state, symbol))) return refused("insufficient-shares");
  const isNew = !state.reservations.has(orderId);
  if (isNew && state.reservations.size >= RESERVATIONS_MAX) return refused("too-many-orders");
  return told({ ...command, type: "SharesReserved" }, { type: "Reserved" });
}

function deliver(
  state: State,
  { type: _, ...sale }: CommandOf<"Deliver">,
  { key }: DecisionContext,
): Verdict {
  const { tradeId, symbol, price, quantity } = sale;
  const position = positionOf(state, symbol);
  const earned = costOf(price, quantity) - soldOff(position.lots, quantity).cost;
  const sold: Event = { ...sale, type: "SharesSold", earned: String(earned) };
  const messages = [tell(toRisk, key, { type: "Earned", tradeId, earned: String(earned) })];
  const events = [sold, ...closing(position, quantity, position.earned + earned)];
  return { accepted: true, events, messages };
}

/** None that are not kept. */
function release({ reservations }: State, { orderId, quantity }: CommandOf<"Release">): Verdict {
  const kept = reservations.get(orderId);
  if (kept === undefined) return accept();
  return accept({ ...kept, type: "SharesReleased", quantity: Math.min(quantity, kept.quantity) });
}

function told(event: Event & { readonly orderId: string }, command: ToOrder): Verdict {
  return { accepted: true, events: [event], messages: [tell(toOrder, event.orderId, command)] };
}
