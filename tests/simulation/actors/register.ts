/**
 * A list to which values are appended, and which passes them on in every way there is: to another
 * register, to the outside, to a job that appends once more.
 *
 * @module
 */
import { z } from "zod";
import { defineJob, enqueue } from "../../../lib/jobs/job.ts";
import type { Decision, Message, SnapshotCodec } from "../../../lib/runtime/aggregate.ts";
import { textHash } from "../../support/seeded.ts";

export const kind = "register";

/** Of the lanes that lead outside. */
export const BELL = "bell";

const Told = z.object({
  type: z.literal("Append"),
  value: z.string(),
  /** A bug. */
  explodes: z.boolean().exactOptional(),
});

export type Command =
  & z.infer<typeof Told>
  & {
    /** The key of another that is to append it as well. */
    readonly tells?: string;
    readonly isUnhandleable?: boolean;
    /** The key of the lane outside. */
    readonly rings?: string;
    readonly hasJob?: boolean;
  };

/** What is told, not asked. */
export const Command = Told;

export const Event = z.object({ type: z.literal("Appended"), value: z.string() });
export type Event = z.infer<typeof Event>;

/** The values so far, told by their number and a hash of them in their order. */
export interface State {
  readonly count: number;
  readonly digest: number;
}

export const initial: State = { count: 0, digest: 0 };

export const appendAgain = defineJob({
  type: "append-again",
  queue: "appending",
  payload: z.object({ register: z.string(), value: z.string() }),
  backoff: { firstMs: 200, mostMs: 2_000 },
  timeoutMs: 10_000,
});

export function decide(
  _: State,
  command: Command,
  { key }: { readonly key: string },
): Decision<Event, never> {
  const { value, tells, isUnhandleable = false, rings, hasJob = false } = command;
  if (command.explodes) throw new RangeError("decide exploded");
  const messages: Message[] = [];
  if (tells !== undefined) {
    const told = { type: "Append", value: `${value} told`, explodes: isUnhandleable };
    messages.push({ to: { kind, key: tells }, schema: 1, command: told });
  }
  if (rings !== undefined) {
    messages.push({ to: { kind: BELL, key: rings }, schema: 1, command: { key, value } });
  }
  if (hasJob) {
    messages.push(enqueue(appendAgain, { register: key, value: `${value} done` }));
  }
  return { accepted: true, events: [{ type: "Appended", value }], messages };
}

export function evolve({ count, digest }: State, { value }: Event): State {
  return { count: count + 1, digest: textHash(`${digest} ${value}`) };
}

const Snapshot = z.object({ count: z.number(), digest: z.number() });

export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: ({ count, digest }) => ({ count, digest }),
  decode: (encoded) => Snapshot.parse(encoded),
};
