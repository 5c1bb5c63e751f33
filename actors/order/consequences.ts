/**
 * What each event of an order has others do. An order decides on events alone; who is to be told, and
 * what, follows from them.
 *
 * @module
 */
import { type DecisionContext, type Message, tell } from "../../lib/runtime/aggregate.ts";
import { costOf, DAY_MS, toAccount, toMarket, toPortfolio, toRisk } from "../trading.ts";
import { Command, kind } from "./commands.ts";
import type { Event, EventOf } from "./events.ts";
import { evolve } from "./evolve.ts";
import {
  cancelledOnTheWay,
  hasEnded,
  isReduction,
  needOf,
  type Plan,
  spendableOf,
  type State,
} from "./state.ts";

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
      return isReduction(state, event)
        ? [replace(state, orderId, event)]
        : [check(state, orderId, event, moreOf(event.needs))];
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
      return [expiry(state, context)];
    case "OrderReplaced":
    case "ReplaceRejected":
      return state.side === "buy" ? [stands(evolve(state, event), orderId)] : [];
  }
}

function placed(event: EventOf<"OrderPlaced">, { key }: DecisionContext): readonly Message[] {
  const needs = String(needOf(event.side, event.limit, event.quantity));
  return [check({ ...event, filled: 0 }, key, event, needs)];
}

/** Only an order that waits can outlive its day, which is that of UTC on which it was placed. */
function expiry({ placedAt }: State, { key, at }: DecisionContext): Message {
  const midnight = placedAt - placedAt % DAY_MS + DAY_MS;
  return tell({ kind, Command }, key, { type: "Expire" }, { delayMs: Math.max(0, midnight - at) });
}

/** Nothing, if less is needed: what is not needed goes back once the market has answered. */
function moreOf(needs: string): string {
  return BigInt(needs) > 0n ? needs : "0";
}

/** Those who watch over risk are told what is so, not what has changed: that does not add up wrongly. */
function stands(state: State, orderId: string): Message {
  return tell(toRisk, state.accountId, {
    type: "Stands",
    orderId,
    open: String(spendableOf(state)),
  });
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
  state: State,
  orderId: string,
  event: EventOf<"OrderExecuted">,
): readonly Message[] {
  const { accountId, symbol, side, limit } = state;
  const { tradeId, price, quantity } = event;
  const trade = { orderId, tradeId, symbol, price, quantity };
  const open = String(spendableOf(evolve(state, event)));
  const risk = tell(toRisk, accountId, { type: "Traded", ...trade, side, open });
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
