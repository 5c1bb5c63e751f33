/**
 * The least that a message from actor to actor can carry: one event where it is told, one where it is
 * heard.
 *
 * @module
 */
import { z } from "zod";
import { accept, type Decision, tell } from "../lib/runtime/aggregate.ts";

export const kind = "hop";

export const Command = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Tell"), to: z.string() }),
  z.object({ type: z.literal("Hear") }),
]);
export type Command = z.infer<typeof Command>;

export const Event = z.object({ type: z.literal(["Told", "Heard"]) });
export type Event = z.infer<typeof Event>;

export const initial = 0;

export function decide(_: number, command: Command): Decision<Event, never> {
  if (command.type === "Hear") return accept({ type: "Heard" });
  const message = tell({ kind, Command }, command.to, { type: "Hear" });
  return { accepted: true, events: [{ type: "Told" }], messages: [message] };
}

export function evolve(happened: number): number {
  return happened + 1;
}
