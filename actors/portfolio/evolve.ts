/** Where each event leads: a fold that cannot fail. */
import type { Event } from "./aggregate.ts";
import { bought, type Lot, soldOff } from "./lots.ts";
import { keptFor, type Position, positionOf, type Reservation, type State } from "./state.ts";

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "SharesDeposited":
    case "SharesBought":
      return withLot(state, event.symbol, event);
    case "SharesWithdrawn":
      return without(state, event);
    case "SharesSold": {
      const delivered = keepingMore(state, { ...event, quantity: -event.quantity });
      const earned = BigInt(event.earned);
      return { ...without(delivered, event, earned), realized: state.realized + earned };
    }
    case "SharesReserved":
      return keepingMore(state, event);
    case "SharesReleased":
      return keepingMore(state, { ...event, quantity: -event.quantity });
    case "ReservationRefused":
    case "PositionClosed":
      return state;
  }
}

function withLot(state: State, symbol: string, { quantity, price }: Lot): State {
  const position = positionOf(state, symbol);
  return withPosition(state, {
    ...position,
    quantity: position.quantity + quantity,
    lots: bought(position.lots, { quantity, price }),
  });
}

function without(
  state: State,
  { symbol, quantity }: Omit<Reservation, "orderId">,
  earned = 0n,
): State {
  const position = positionOf(state, symbol);
  return withPosition(state, {
    ...position,
    quantity: position.quantity - quantity,
    lots: soldOff(position.lots, quantity).lots,
    earned: position.earned + earned,
  });
}

/** Or fewer, down to none. */
export function keepingMore(state: State, { orderId, symbol, quantity }: Reservation): State {
  const { reservations } = state;
  const before = keptFor(state, orderId);
  const kept = Math.max(0, before + quantity);
  const position = positionOf(state, symbol);
  const reserved = position.reserved - before + kept;
  return {
    ...withPosition(state, { ...position, reserved }),
    reservations: kept > 0
      ? reservations.set(orderId, { orderId, symbol, quantity: kept })
      : reservations.delete(orderId),
  };
}

function withPosition(state: State, position: Position): State {
  const { positions } = state;
  const { symbol, quantity } = position;
  return {
    ...state,
    positions: quantity === 0 ? positions.delete(symbol) : positions.set(symbol, position),
  };
}
