/**
 * What becomes of the orders that a market is told of.
 *
 * Each is answered once, and by a message: the order hears what it traded and what became of the rest,
 * and whoever it traded with hears of that trade.
 *
 * @module
 */
import { accept, type DecisionContext, type Message, tell } from "../../lib/runtime/aggregate.ts";
import {
  type Execution,
  QUANTITY_MAX,
  type ToOrder,
  toOrder,
  type TurnedAway,
} from "../trading.ts";
import { type Book, type Resting, withdrawn } from "./book.ts";
import type { CommandOf, Verdict } from "./commands.ts";
import type { Event } from "./events.ts";
import { type Incoming, match, type Trade } from "./matching.ts";
import type { State } from "./state.ts";

/** In one book. With so many of the largest quantity, their sum is still an exact number. */
export const RESTING_MAX = 100_000;

export function submit(
  state: State,
  command: CommandOf<"Submit">,
  context: DecisionContext,
): Verdict {
  const { orderId } = command;
  const reason = turnedAway(state);
  if (reason !== undefined) {
    const event: Event = { type: "OrderTurnedAway", orderId, reason };
    return told(event, answer(orderId, { type: "TurnedAway", reason }));
  }
  const matching = match(state.book, incoming(command));
  const { executions, messages } = executed(state, matching.trades, context);
  return told(
    { ...command, type: "OrderSubmitted", firstTrade: state.nextTrade, ...matching },
    answer(orderId, { type: "Submitted", executions, rest: matching.rest }),
    ...messages,
  );
}

function turnedAway({ status, book }: State): TurnedAway | undefined {
  if (status === "unknown") return "unknown-symbol";
  if (status === "paused") return "market-paused";
  return book.orders.size >= RESTING_MAX ? "book-full" : undefined;
}

export function withdraw({ book }: State, { orderId }: CommandOf<"Withdraw">): Verdict {
  const resting = book.orders.get(orderId);
  // It has come to its end on the way here, and been told so before.
  if (resting === undefined) return accept();
  const { remaining } = resting;
  return told(
    { type: "OrderWithdrawn", orderId, remaining },
    answer(orderId, { type: "Withdrawn", remaining }),
  );
}

export function replace(
  state: State,
  { orderId, limit, more }: CommandOf<"Replace">,
  context: DecisionContext,
): Verdict {
  const resting = state.book.orders.get(orderId);
  const quantity = (resting?.remaining ?? 0) + more;
  const isPossible = state.status === "open" && quantity > 0 && quantity <= QUANTITY_MAX;
  if (resting === undefined || !isPossible) {
    return told(
      { type: "ReplacementRefused", orderId },
      answer(orderId, { type: "NotReplaced" }),
    );
  }
  if (limit === resting.price && more <= 0) {
    const reply = answer(orderId, {
      type: "Replaced",
      limit,
      remaining: quantity,
      executions: [],
      rest: "rests",
    });
    return told({ type: "OrderLessened", orderId, by: -more }, reply);
  }
  return comeAnew(state, resting, { limit, quantity, context });
}

function comeAnew(
  state: State,
  { id: orderId, accountId, side }: Resting,
  { limit, quantity, context }: {
    readonly limit: number;
    readonly quantity: number;
    readonly context: DecisionContext;
  },
): Verdict {
  const order = { orderId, accountId, side, limit, quantity, timeInForce: "day" } as const;
  const book: Book = withdrawn(state.book, orderId);
  const matching = match(book, incoming(order));
  const { executions, messages } = executed(state, matching.trades, context);
  const { remaining, rest } = matching;
  return told(
    { ...order, type: "OrderReplaced", firstTrade: state.nextTrade, ...matching },
    answer(orderId, { type: "Replaced", limit, remaining, executions, rest }),
    ...messages,
  );
}

/** The trades as both sides are told of them; whoever rested is told one by one. */
function executed({ nextTrade }: State, trades: readonly Trade[], { key }: DecisionContext) {
  const executions = trades.map(({ price, quantity }, number): Execution => {
    return { tradeId: `${key}:${nextTrade + number}`, price, quantity };
  });
  const messages = trades.map(({ orderId }, number) =>
    answer(orderId, { type: "Executed", execution: executions[number]! })
  );
  return { executions, messages };
}

function incoming({ orderId: id, ...order }: Omit<CommandOf<"Submit">, "type">): Incoming {
  return { id, ...order };
}

function answer(orderId: string, command: ToOrder): Message {
  return tell(toOrder, orderId, command);
}

function told(event: Event, ...messages: readonly Message[]): Verdict {
  return { accepted: true, events: [event], messages };
}
