/** How the risk of one person is written down. */
import { z } from "zod";
import type { SnapshotCodec } from "../../lib/runtime/aggregate.ts";
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import { Cash, SignedCash } from "../trading.ts";
import { limitNames } from "./events.ts";
import { withOpen } from "./evolve.ts";
import { initial, type State } from "./state.ts";

const Encoded = z.tuple([
  z.array(z.tuple([z.enum(limitNames), Cash])),
  z.boolean(),
  z.enum(["asked", ...limitNames]).nullable(),
  z.array(z.tuple([z.string(), z.string(), Cash])),
  z.array(z.tuple([z.string(), z.int()])),
  z.int(),
  SignedCash,
]);
type Encoded = z.infer<typeof Encoded>;

export const snapshot: SnapshotCodec<State> = {
  schema: 2,
  encode: ({ limits, pausesOnBreach, paused, open, positions, day, earned }) =>
    [
      Object.entries(limits).map(([name, limit]) => [name, String(limit)]),
      pausesOnBreach,
      paused ?? null,
      open.values().map(({ orderId, symbol, cost }) => [orderId, symbol, String(cost)]),
      positions.values().map(({ symbol, quantity }) => [symbol, quantity]),
      day,
      String(earned),
    ] as Encoded,
  decode: (encoded) => decode(Encoded.parse(encoded)),
};

function decode([limits, pausesOnBreach, paused, open, positions, day, earned]: Encoded): State {
  const known: State = {
    ...initial,
    limits: Object.fromEntries(limits.map(([name, limit]) => [name, BigInt(limit)])),
    pausesOnBreach,
    paused: paused ?? undefined,
    positions: PersistentMap.of(
      positions.map(([symbol, quantity]) => [symbol, { symbol, quantity }]),
    ),
    day,
    earned: BigInt(earned),
  };
  return open.reduce(
    (state, [orderId, symbol, cost]) => withOpen(state, { orderId, symbol, cost: BigInt(cost) }),
    known,
  );
}
