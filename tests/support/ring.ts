/**
 * Actors in a ring that pass tokens on. Where a token is follows from how many hops it has left, so
 * whatever is lost, doubled or at the wrong place shows in the streams.
 *
 * @module
 */
import { z } from "zod";
import { accept, type Decision, type SnapshotCodec, tell } from "../../lib/runtime/aggregate.ts";

export const kind = "ring";

export const SIZE = 20;

/** Tells the next actor the same token with one hop less, until no hops are left. */
export const Command = z.object({
  type: z.literal("Pass"),
  token: z.int(),
  hops: z.int().nonnegative(),
});
export type Command = z.infer<typeof Command>;

export const Event = z.object({ type: z.literal("Passed"), token: z.int(), hops: z.int() });
export type Event = z.infer<typeof Event>;

export type Reason = never;

/** Nothing by which a token could be known again: one that comes twice is to be seen twice. */
export interface State {
  readonly passed: number;
  /** Of all that passed, in its order. */
  readonly checksum: number;
}

export const initial: State = { passed: 0, checksum: 0 };

/** The keys of all actors, in the order of the ring. */
export const keys: readonly string[] = Array.from({ length: SIZE }, (_, place) => String(place));

/** The actor that a token with so many hops left is meant for. */
export function keyFor({ token, hops }: { readonly token: number; readonly hops: number }): string {
  // What is negative counts from the end, as a remainder and as an index.
  return keys.at((token - hops) % SIZE)!;
}

const self = { kind, Command };

export function decide(_: State, { token, hops }: Command): Decision<Event, Reason> {
  const passed: Event = { type: "Passed", token, hops };
  if (hops === 0) return accept(passed);
  const next = { token, hops: hops - 1 };
  return {
    accepted: true,
    events: [passed],
    messages: [tell(self, keyFor(next), { type: "Pass", ...next })],
  };
}

export function evolve({ passed, checksum }: State, { token, hops }: Event): State {
  const mixed = Math.imul(checksum ^ token, 0x01000193) ^ hops;
  return { passed: passed + 1, checksum: mixed };
}

const Snapshot = z.object({ passed: z.int(), checksum: z.int() });

export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: (state) => state,
  decode: (encoded) => Snapshot.parse(encoded),
};
