/** Where each event leads: a fold that cannot fail. */
import { withAlert, withoutAlert } from "./alerts.ts";
import { lessened, withdrawn } from "./book.ts";
import type { Event, EventOf } from "./events.ts";
import { matched } from "./matching.ts";
import type { State } from "./state.ts";

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
    case "AlertTriggered":
      return { ...state, alerts: withoutAlert(state.alerts, event.alertId) };
    case "OrderTurnedAway":
    case "ReplacementRefused":
    case "SentimentCrossed":
      return state;
  }
}

function traded(state: State, event: EventOf<"OrderSubmitted" | "OrderReplaced">): State {
  const { orderId: id, trades } = event;
  return {
    ...state,
    price: trades.at(-1)?.price ?? state.price,
    nextTrade: state.nextTrade + trades.length,
    book: matched(state.book, { ...event, id }, event),
  };
}
