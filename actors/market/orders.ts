/**
 * What becomes of the orders that a market is told of.
 *
 * Each is answered once, and by a message: the order hears what it traded and what became of the rest,
 * and whoever it traded with hears of that trade.
 *
 * @module
 */
import { type DecisionContext, type Message, tell } from "../../lib/runtime/aggregate.ts";
import {
  type Execution,
  QUANTITY_MAX,
  type ToMarket,
  type ToOrder,
  toOrder,
  type TurnedAway,
} from "../trading.ts";
import { triggered } from "./alerts.ts";
import { type Book, type Resting, withdrawn } from "./book.ts";
import type { Acceptance, CommandOf } from "./commands.ts";
import type { Event, EventOf } from "./events.ts";
import { type Incoming, match, type Matching, type Trade } from "./matching.ts";
import type { State } from "./state.ts";

/** In one book. With so many of the largest quantity, their sum is still an exact number. */
export const RESTING_MAX = 100_000;

/** While no other order is in the middle of its matching. */
export function decideOn(state: State, command: ToMarket, context: DecisionContext): Acceptance {
  switch (command.type) {
    case "Submit":
      return withAlerts(state, submit(state, command, context));
    case "Withdraw":
      return withdraw(state, command);
    case "Replace":
      return withAlerts(state, replace(state, command, context));
  }
}

/** What is left of an order that was taken, whatever has come since: also of a pause. */
export function resume(
  state: State,
  order: CommandOf<"Submit">,
  context: DecisionContext,
): Acceptance {
  return withAlerts(state, submitted(state, order, match(state.book, incoming(order)), context));
}

function submit(
  state: State,
  command: CommandOf<"Submit">,
  context: DecisionContext,
): Acceptance {
  const reason = unwelcome(state);
  if (reason !== undefined) return turnAway(command, reason);
  const matching = match(state.book, incoming(command));
  // Whoever rests after a trade takes the place of an order that is gone.
  const needsPlace = matching.rest === "rests" && matching.trades.length === 0;
  if (needsPlace && state.book.orders.size >= RESTING_MAX) return turnAway(command, "book-full");
  return submitted(state, command, matching, context);
}

export function turnAway({ orderId }: CommandOf<"Submit">, reason: TurnedAway): Acceptance {
  const event: Event = { type: "OrderTurnedAway", orderId, reason };
  return told(event, answer(orderId, { type: "TurnedAway", reason }));
}

function submitted(
  state: State,
  command: CommandOf<"Submit">,
  matching: Matching,
  context: DecisionContext,
): Acceptance {
  const { orderId } = command;
  const { executions, messages } = executed(state, matching.trades, context);
  return told(
    { ...command, type: "OrderSubmitted", firstTrade: state.nextTrade, ...matching },
    answer(orderId, { type: "Submitted", executions, rest: matching.rest }),
    ...messages,
  );
}

function unwelcome({ status }: State): TurnedAway | undefined {
  if (status === "unknown") return "unknown-symbol";
  if (status === "paused") return "market-paused";
  return undefined;
}

function withdraw({ book }: State, { orderId }: CommandOf<"Withdraw">): Acceptance {
  const resting = book.orders.get(orderId);
  // It has come to its end on the way here, and been told so before.
  if (resting === undefined) return { accepted: true, events: [] };
  const { remaining } = resting;
  return told(
    { type: "OrderWithdrawn", orderId, remaining },
    answer(orderId, { type: "Withdrawn", remaining }),
  );
}

function replace(
  state: State,
  { orderId, limit, more }: CommandOf<"Replace">,
  context: DecisionContext,
): Acceptance {
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
): Acceptance {
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

/** Of what was traded at several prices, the last one counts, and the volume of all. */
function withAlerts(state: State, verdict: Acceptance): Acceptance {
  const trades = verdict.events.flatMap((event) => isTrading(event) ? event.trades : []);
  const last = trades.at(-1);
  if (last === undefined) return verdict;
  const before = state.unfinished?.traded ?? 0;
  const volume = trades.reduce((sum, { quantity }) => sum + quantity, before);
  const given = triggered(state.alerts, { price: last.price, volume });
  return { ...verdict, events: [...verdict.events, ...given] };
}

function isTrading(event: Event): event is EventOf<"OrderSubmitted" | "OrderReplaced"> {
  return event.type === "OrderSubmitted" || event.type === "OrderReplaced";
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

function told(event: Event, ...messages: readonly Message[]): Acceptance {
  return { accepted: true, events: [event], messages };
}
