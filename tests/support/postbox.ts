/**
 * An aggregate that tells others what it hears, and can go wrong at it in every way.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  reject,
  tell,
  type ToldCommand,
} from "../../lib/runtime/aggregate.ts";

export const kind = "postbox";

export const Command = z.discriminatedUnion("type", [
  /** Tells each of `to` each of `notes`. */
  z.object({
    type: z.literal("Send"),
    to: z.array(z.string()),
    notes: z.array(z.string()),
    delayMs: z.number().optional(),
  }),
  /** "boom" is a bug until the box is healed, "no" is refused, "nul" is poison to the store. */
  z.object({ type: z.literal("Receive"), note: z.string() }),
  z.object({ type: z.literal("Heal") }),
  /** Passes on around the ring of `size` boxes until no hops are left. */
  z.object({ type: z.literal("Pass"), hops: z.int(), size: z.int() }),
  /** Tells something without an event, which nobody may. */
  z.object({ type: z.literal("Whisper") }),
]);
export type Command = z.infer<typeof Command>;

/** In schema 1 a note was called a text. */
export const commandSchema = 2;

export function upcastCommand({ command }: ToldCommand): unknown {
  const { text, ...rest } = command as { text?: string };
  return text === undefined ? command : { ...rest, note: text };
}

export const Event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Sent") }),
  z.object({ type: z.literal("Received"), note: z.string() }),
  z.object({ type: z.literal("Healed") }),
  z.object({ type: z.literal("Passed"), hops: z.int() }),
]);
export type Event = z.infer<typeof Event>;

export type Reason = "unwanted";

export interface State {
  readonly notes: readonly string[];
  readonly isHealed: boolean;
  readonly passed: number;
}

export const initial: State = { notes: [], isHealed: false, passed: 0 };

const self = { kind, Command, commandSchema };

export function decide(
  { isHealed }: State,
  command: Command,
): Decision<Event, Reason> {
  switch (command.type) {
    case "Send": {
      const { to, notes, delayMs = 0 } = command;
      const messages = to.flatMap((key) =>
        notes.map((note) => tell(self, key, { type: "Receive", note }, { delayMs }))
      );
      return { accepted: true, events: [{ type: "Sent" }], messages };
    }
    case "Receive": {
      const { note } = command;
      if (note === "boom" && !isHealed) throw new RangeError("the box exploded");
      if (note === "no") return reject("unwanted");
      return accept({ type: "Received", note: note === "nul" ? "\0" : note });
    }
    case "Heal":
      return accept({ type: "Healed" });
    case "Pass": {
      const { hops, size } = command;
      const next = String(hops % size);
      const messages = hops > 0 ? [tell(self, next, { type: "Pass", hops: hops - 1, size })] : [];
      return { accepted: true, events: [{ type: "Passed", hops }], messages };
    }
    case "Whisper":
      return { accepted: true, events: [], messages: [tell(self, "x", { type: "Heal" })] };
  }
}

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "Sent":
      return state;
    case "Received":
      return { ...state, notes: [...state.notes, event.note] };
    case "Healed":
      return { ...state, isHealed: true };
    case "Passed":
      return { ...state, passed: state.passed + 1 };
  }
}
