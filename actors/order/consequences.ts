/**
 * What each event of an order has others do. An order decides on events alone; who is to be told, and
 * what, follows from them.
 *
 * @module
 */
import { type DecisionContext, type Message, tell } from "../../lib/runtime/aggregate.ts";
import { costOf, toAccount, toMarket, toPortfolio, toRisk } from "../trading.ts";
import { Command, kind } from "./commands.ts";
import type { Event, EventOf } from "./events.ts";
import { cancelledOnTheWay, hasEnded, needOf, type Plan, type State } from "./state.ts";

/** What is to be told because `event` happened to an order in `state`. */
export function consequencesOf(
  state: State,
  event: Event,
  context: DecisionContext,
): readonly Message[] {
  const orderId = context.key;
  switch (event.type) {
    case "OrderPlaced":
      return placed(event, context);
    case "ReplaceRequested":
      return BigInt(event.needs) > 0n
        ? [check(state, orderId, event, event.needs)]
        : [replace(state, orderId, event)];
    case "OrderReserved":
      // Cancelled on the way: it does not come to its market any more.
      if (hasEnded(state) || cancelledOnTheWay(state) !== undefined) return [];
      return state.replacement === undefined
        ? [submit(state, orderId)]
        : [replace(state, orderId, state.replacement)];
    case "CancelRequested":
      return state.status === "working"
        ? [tell(toMarket, state.symbol, { type: "Withdraw", orderId })]
        : [];
    case "OrderExecuted":
      return settlement(state, orderId, event);
    case "ExcessReleased":
      return [release(state, orderId, event.amount)];
    case "OrderFilled":
    case "OrderCancelled":
    case "OrderRejected":
      return [tell(toRisk, state.accountId, { type: "Close", orderId })];
    case "OrderRested":
    case "OrderReplaced":
    case "ReplaceRejected":
      return [];
  }
}

const DAY_MS = 24 * 3_600_000;

/** A day is one of UTC. */
function placed(event: EventOf<"OrderPlaced">, { key, at }: DecisionContext): readonly Message[] {
  const needs = String(needOf(event.side, event.limit, event.quantity));
  const first = check({ ...event, filled: 0 }, key, event, needs);
  if (event.timeInForce !== "day") return [first];
  const delayMs = DAY_MS - at % DAY_MS;
  return [first, tell({ kind, Command }, key, { type: "Expire" }, { delayMs })];
}

type Checked = Pick<State, "accountId" | "symbol" | "side" | "filled">;

function check(
  { accountId, symbol, side, filled }: Checked,
  orderId: string,
  { limit, quantity }: Plan,
  needs: string,
): Message {
  const remaining = quantity - filled;
  return tell(toRisk, accountId, {
    type: "Check",
    orderId,
    symbol,
    side,
    limit,
    remaining,
    needs,
  });
}

function submit(state: State, orderId: string): Message {
  const { accountId, symbol, side, limit, quantity, timeInForce } = state;
  const order = { orderId, accountId, side, limit, quantity, timeInForce };
  return tell(toMarket, symbol, { type: "Submit", ...order });
}

function replace(state: State, orderId: string, { limit, quantity }: Plan): Message {
  const more = quantity - state.quantity;
  return tell(toMarket, state.symbol, { type: "Replace", orderId, limit, more });
}

/** Cash one way, shares the other. */
function settlement(
  { accountId, symbol, side, limit }: State,
  orderId: string,
  { tradeId, price, quantity }: EventOf<"OrderExecuted">,
): readonly Message[] {
  const trade = { orderId, tradeId, symbol, price, quantity };
  const risk = tell(toRisk, accountId, { type: "Traded", ...trade, side });
  const amount = String(costOf(price, quantity));
  if (side === "sell") {
    const sale = { orderId, tradeId, proceeds: amount };
    return [
      tell(toAccount, accountId, { type: "Receive", ...sale }),
      tell(toPortfolio, accountId, { type: "Deliver", ...trade }),
      risk,
    ];
  }
  const released = String(costOf(limit, quantity));
  return [
    tell(toAccount, accountId, { type: "Pay", orderId, tradeId, cost: amount, released }),
    tell(toPortfolio, accountId, { type: "Take", ...trade }),
    risk,
  ];
}

function release({ side, accountId }: State, orderId: string, amount: string): Message {
  return side === "buy"
    ? tell(toAccount, accountId, { type: "Release", orderId, amount })
    : tell(toPortfolio, accountId, { type: "Release", orderId, quantity: Number(amount) });
}
