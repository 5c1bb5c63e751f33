/** Where each event leads: a fold that cannot fail. */
import { type Event, type EventOf, limitNames } from "./events.ts";
import { costOfAllFor, costOfOpen, type OpenOrder, sharesOf, type State } from "./state.ts";

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "LimitsSet":
      return { ...state, limits: limitsIn(event), pausesOnBreach: event.pausesOnBreach };
    case "OrderApproved":
      return approved(state, event);
    case "OrderChanged":
      return costing(state, event.orderId, () => BigInt(event.open));
    case "OrderClosed":
      return {
        ...costing(state, event.orderId, () => 0n),
        open: state.open.delete(event.orderId),
      };
    case "PositionChanged": {
      const { symbol, side, quantity, orderId, open } = event;
      const moved = withShares(state, symbol, side === "buy" ? quantity : -quantity);
      if (orderId === undefined || open === undefined) return moved;
      // It may speak of what the order was to become as well, which perhaps was not let through.
      return costing(moved, orderId, (cost) => least(cost, BigInt(open)));
    }
    case "SharesTransferred":
      return withShares(state, event.symbol, event.quantity);
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

/** Until its market has answered, an order that is to become another can still trade as it was. */
function approved(state: State, event: EventOf<"OrderApproved">): State {
  const { orderId, symbol = "", side } = event;
  const before = costOfOpen(state, orderId);
  const cost = side === "buy" ? BigInt(event.cost) : 0n;
  return withOpen(state, { orderId, symbol, cost: before > cost ? before : cost });
}

/** An order that is not open is none any more. */
function costing(state: State, orderId: string, costOf: (before: bigint) => bigint): State {
  const order = state.open.get(orderId);
  return order === undefined ? state : withOpen(state, { ...order, cost: costOf(order.cost) });
}

export function withOpen(state: State, order: OpenOrder): State {
  const { orderId, symbol, cost } = order;
  const more = cost - costOfOpen(state, orderId);
  const forSymbol = costOfAllFor(state, symbol) + more;
  const { open, openCost, openCosts } = state;
  return {
    ...state,
    open: open.set(orderId, order),
    openCost: openCost + more,
    openCosts: forSymbol === 0n ? openCosts.delete(symbol) : openCosts.set(symbol, forSymbol),
  };
}

function withShares(state: State, symbol: string, more: number): State {
  const { positions } = state;
  const quantity = sharesOf(state, symbol) + more;
  return {
    ...state,
    positions: quantity === 0
      ? positions.delete(symbol)
      : positions.set(symbol, { symbol, quantity }),
  };
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

function limitsIn(event: EventOf<"LimitsSet">): State["limits"] {
  const set = limitNames.flatMap((name) => {
    const limit = event[name];
    return limit === undefined ? [] : [[name, BigInt(limit)] as const];
  });
  return Object.fromEntries(set);
}
