/**
 * Actors in a ring that pass tokens on: most by telling the next, some by a job whose report is what
 * the next hears. Where a token is follows from how many hops it has left, so whatever is lost,
 * doubled or at the wrong place shows in the streams.
 *
 * @module
 */
import { z } from "zod";
import { defineJob, enqueue } from "../../lib/jobs/job.ts";
import {
  accept,
  type Decision,
  type Message,
  type SnapshotCodec,
  tell,
} from "../../lib/runtime/aggregate.ts";

export const kind = "ring";

export const SIZE = 20;

const Token = z.object({ token: z.int(), hops: z.int().nonnegative() });
type Token = z.infer<typeof Token>;

/** Passes a token on to the next actor with one hop less, until no hops are left. */
export const Command = z.discriminatedUnion("type", [
  Token.extend({ type: z.literal("Pass") }),
  z.object({ type: z.literal("Report"), outcome: z.literal("completed"), result: Token }),
]);
export type Command = z.infer<typeof Command>;

/** Does nothing, and gives the token. */
export const carry = defineJob({
  type: "carry",
  queue: "carriages",
  payload: Token,
  // Whoever is killed has begun what it was doing, each time anew.
  attemptsMax: 1_000,
});

/** One token in so many goes by jobs. */
const CARRIED_EVERY = 4;

export function isCarried(token: number): boolean {
  return token % CARRIED_EVERY === CARRIED_EVERY - 1;
}

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

export function decide(_: State, command: Command): Decision<Event, Reason> {
  const { token, hops } = command.type === "Pass" ? command : command.result;
  const passed: Event = { type: "Passed", token, hops };
  if (hops === 0) return accept(passed);
  return { accepted: true, events: [passed], messages: [onward({ token, hops: hops - 1 })] };
}

function onward(next: Token): Message {
  const key = keyFor(next);
  if (!isCarried(next.token)) return tell(self, key, { type: "Pass", ...next });
  const reportTo = { to: { kind, key }, schema: 1, node: `${next.token}/${next.hops}` };
  return enqueue(carry, next, { reportTo });
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
