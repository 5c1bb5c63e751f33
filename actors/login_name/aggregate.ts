/**
 * The name that one signs in with, and whose it is; its key tells nothing of the name.
 *
 * What `decide` upholds and everyone else may assume: a name is one person's, and stays so, however
 * many claim it at a time. Whoever claims it learns whose it is; and that is recorded each time, so
 * that it takes as long for a name that is somebody's already.
 *
 * @module
 */
import { z } from "zod";
import { accept, type Decision, type SnapshotCodec } from "../../lib/runtime/aggregate.ts";

export const kind = "login_name";

export interface Command {
  readonly type: "Claim";
  /** Whose it is to be, if it is nobody's yet. */
  readonly userId: string;
}

export const Event = z.object({ type: z.literal("NameClaimed"), userId: z.string() });
export type Event = z.infer<typeof Event>;

export type Reason = never;

export interface State {
  readonly userId?: string;
}

export const initial: State = {};

export function decide({ userId }: State, command: Command): Decision<Event, Reason> {
  return accept({ type: "NameClaimed", userId: userId ?? command.userId });
}

export function evolve(_: State, { userId }: Event): State {
  return { userId };
}

const Encoded = z.object({ userId: z.string().exactOptional() });

export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: (state) => state,
  decode: (encoded) => Encoded.parse(encoded),
};
