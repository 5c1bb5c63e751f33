/** How a portfolio is written down: each position with its lots, and what is kept for whom. */
import { z } from "zod";
import type { SnapshotCodec } from "../../lib/runtime/aggregate.ts";
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import { SignedCash } from "../trading.ts";
import { keepingMore } from "./evolve.ts";
import { bought, lotsOf, noLots } from "./lots.ts";
import { initial, type Position, type State } from "./state.ts";

/** Symbol, what it has earned, and quantity and price of each lot. */
const EncodedPosition = z.tuple([
  z.string(),
  SignedCash,
  z.array(z.tuple([z.int().positive(), z.int()])),
]);
/** Order, symbol, quantity. */
const EncodedReservation = z.tuple([z.string(), z.string(), z.int().positive()]);
const Encoded = z.tuple([z.array(EncodedPosition), z.array(EncodedReservation), SignedCash]);

export const snapshot: SnapshotCodec<State> = {
  schema: 2,
  encode: ({ positions, reservations, realized }) => [
    positions.values().map(({ symbol, earned, lots }) => [
      symbol,
      String(earned),
      lotsOf(lots).map(({ quantity, price }) => [quantity, price]),
    ]),
    reservations.values().map(({ orderId, symbol, quantity }) => [orderId, symbol, quantity]),
    String(realized),
  ],
  decode: (encoded) => {
    const [positions, reservations, realized] = Encoded.parse(encoded);
    const unreserved: State = {
      ...initial,
      realized: BigInt(realized),
      positions: PersistentMap.of(positions.map((each) => [each[0], positionFrom(each)])),
    };
    return reservations.reduce(
      (state, [orderId, symbol, quantity]) => keepingMore(state, { orderId, symbol, quantity }),
      unreserved,
    );
  },
};

function positionFrom([symbol, earned, lots]: z.infer<typeof EncodedPosition>): Position {
  return {
    symbol,
    quantity: lots.reduce((sum, [quantity]) => sum + quantity, 0),
    reserved: 0,
    lots: lots.reduce((lots, [quantity, price]) => bought(lots, { quantity, price }), noLots),
    earned: BigInt(earned),
  };
}
