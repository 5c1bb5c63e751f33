/** Where each event leads: a fold that cannot fail. */
import { joined, lineOf, withoutFirst } from "../../lib/runtime/persistent_line.ts";
import { given, marked, withAlert, withoutAlert } from "./alerts.ts";
import { lessened, withdrawn } from "./book.ts";
import type { Event, EventOf } from "./events.ts";
import { matched } from "./matching.ts";
import type { State, Unfinished } from "./state.ts";

type Traded = EventOf<"OrderSubmitted" | "OrderReplaced">;

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "PriceQuoted": {
      const status = state.status === "unknown" ? "open" : state.status;
      return { ...state, status, price: event.price };
    }
    case "OrderSubmitted":
      return traded(state, event);
    case "OrderReplaced":
      return traded({ ...state, book: withdrawn(state.book, event.orderId) }, event);
    case "OrderWithdrawn":
      return { ...state, book: withdrawn(state.book, event.orderId) };
    case "OrderLessened":
      return { ...state, book: lessened(state.book, event.orderId, event.by) };
    case "TradingPaused":
      return { ...state, status: "paused" };
    case "TradingResumed":
      return { ...state, status: "open" };
    case "SentimentAnalyzed":
      return { ...state, sentiment: event.score };
    case "AlertSet": {
      const { type: _, ...alert } = event;
      return { ...state, alerts: withAlert(state.alerts, alert) };
    }
    case "AlertRemoved":
      return { ...state, alerts: withoutAlert(state.alerts, event.alertId) };
    case "AlertsMet":
      return { ...state, alerts: marked(state.alerts, event) };
    case "AlertTriggered":
      return { ...state, alerts: given(state.alerts, event.alertId) };
    case "Postponed": {
      const { waiting } = state;
      const { command } = event;
      return {
        ...state,
        waiting: waiting === undefined ? lineOf(command) : joined(waiting, command),
      };
    }
    case "TakenUp": {
      const waiting = state.waiting && withoutFirst(state.waiting, 1);
      return { ...state, waiting: waiting?.start === waiting?.end ? undefined : waiting };
    }
    case "OrderTurnedAway":
    case "ReplacementRefused":
    case "SentimentCrossed":
      return state;
  }
}

function traded(state: State, event: Traded): State {
  const { orderId: id, trades } = event;
  return {
    ...state,
    unfinished: event.rest === "goes-on" ? unfinishedAfter(state, event) : undefined,
    price: trades.at(-1)?.price ?? state.price,
    nextTrade: state.nextTrade + trades.length,
    book: matched(state.book, { ...event, id }, event),
  };
}

function unfinishedAfter({ unfinished }: State, event: Traded): Unfinished {
  const { orderId, accountId, side, limit, timeInForce, remaining: quantity } = event;
  const order = { orderId, accountId, side, limit, quantity, timeInForce };
  const traded = (unfinished?.traded ?? 0) + event.quantity - quantity;
  return { order: { type: "Submit", ...order }, traded };
}
