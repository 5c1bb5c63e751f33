/** Where each event leads: a fold that cannot fail. */
import type { Event } from "./events.ts";
import { needOf, type State } from "./state.ts";

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "OrderPlaced": {
      const { type: _, placedAt, ...placed } = event;
      return { ...state, ...placed, status: "pending", placedAt: Date.parse(placedAt) };
    }
    case "OrderReserved":
      return { ...state, kept: state.kept + BigInt(event.amount) };
    case "ExcessReleased":
      return { ...state, kept: state.kept - BigInt(event.amount) };
    case "OrderRested":
      return { ...state, status: "working" };
    case "OrderExecuted": {
      const used = needOf(state.side, state.limit, event.quantity);
      return { ...state, filled: state.filled + event.quantity, kept: state.kept - used };
    }
    case "CancelRequested":
      return { ...state, cancelling: event.because };
    case "ReplaceRequested": {
      const { limit, quantity, needs } = event;
      const replacement = { limit, quantity, needs: BigInt(needs) };
      return { ...state, replacement, notReplaced: undefined };
    }
    case "OrderReplaced": {
      const { limit, quantity } = event;
      return { ...state, limit, quantity, replacement: undefined };
    }
    case "ReplaceRejected":
      return { ...state, replacement: undefined, notReplaced: event.reason };
    case "OrderFilled":
      return { ...state, status: "filled" };
    case "OrderCancelled":
      return { ...state, status: "cancelled", ending: event.because };
    case "OrderRejected":
      return { ...state, status: "rejected", ending: event.reason };
  }
}
