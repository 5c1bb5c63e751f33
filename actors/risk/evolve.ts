/** Where each event leads: a fold that cannot fail. */
import { type Event, limitNames } from "./events.ts";
import { costOfOpen, type OpenOrder, type Position, sharesOf, type State } from "./state.ts";

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "LimitsSet":
      return { ...state, limits: limitsIn(event), pausesOnBreach: event.pausesOnBreach };
    case "OrderApproved": {
      const { orderId, side, cost } = event;
      return withOpen(state, { orderId, cost: side === "buy" ? BigInt(cost) : 0n });
    }
    case "OrderClosed": {
      const { orderId } = event;
      const openCost = state.openCost - costOfOpen(state, orderId);
      return { ...state, open: state.open.delete(orderId), openCost };
    }
    case "PositionChanged": {
      const { symbol, side } = event;
      const quantity = sharesOf(state, symbol) + (side === "buy" ? 1 : -1) * event.quantity;
      return withPosition(state, { symbol, quantity });
    }
    case "EarningsNoted": {
      const { day } = event;
      const before = day === state.day ? state.earned : 0n;
      return { ...state, day, earned: before + BigInt(event.earned) };
    }
    case "TradingPaused":
      return { ...state, paused: event.because };
    case "TradingResumed":
      return { ...state, paused: undefined };
    case "OrderDeclined":
    case "LimitBreached":
      return state;
  }
}

export function withOpen(state: State, order: OpenOrder): State {
  const openCost = state.openCost - costOfOpen(state, order.orderId) + order.cost;
  return { ...state, open: state.open.set(order.orderId, order), openCost };
}

function withPosition(state: State, position: Position): State {
  const { positions } = state;
  const { symbol, quantity } = position;
  return {
    ...state,
    positions: quantity === 0 ? positions.delete(symbol) : positions.set(symbol, position),
  };
}

function limitsIn(event: Extract<Event, { type: "LimitsSet" }>): State["limits"] {
  const set = limitNames.flatMap((name) => {
    const limit = event[name];
    return limit === undefined ? [] : [[name, BigInt(limit)] as const];
  });
  return Object.fromEntries(set);
}
