/** What a live event is asked or told, and why it refuses. */
import { z } from "zod";
import type { Decision } from "../../lib/runtime/aggregate.ts";
import type { Event } from "./events.ts";
import type { Plan } from "./state.ts";

export const kind = "live_event";

/** Parsed where it comes in; here its types are believed. */
export type Command =
  | { readonly type: "Schedule" } & Plan
  | { readonly type: "Revise" } & Partial<Plan>
  | { readonly type: "Publish" }
  | { readonly type: "Cancel" }
  | { readonly type: "Register"; readonly registrationId: string; readonly userId: string }
  | { readonly type: "Accept"; readonly registrationId: string }
  | { readonly type: "Withdraw"; readonly registrationId: string }
  | Timer;

export type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

const time = z.iso.datetime();

/**
 * What a live event tells itself for later, and nobody can ask of it. Each names the time that it
 * was set for: if that does not stand any more, it means nothing.
 */
const Timer = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Remind"), startsAt: time }),
  z.object({ type: z.literal("Lapse"), expiresAt: time }),
  z.object({ type: z.literal("Complete"), endsAt: time }),
]);
export type Timer = Readonly<z.infer<typeof Timer>>;

/** What is told, not asked. */
export const Command = Timer;

export type Reason =
  | "not-found"
  | "already-exists"
  | "not-organizer"
  | "not-yours"
  | "not-published"
  | "already-published"
  | "cancelled"
  | "completed"
  | "already-started"
  | "ends-before-start"
  | "starts-in-past"
  | "capacity-below-confirmed"
  | "capacity-below-offered"
  | "sold-out"
  | "already-registered"
  | "registration-not-found"
  | "not-offered"
  | "offer-lapsed";

export type Verdict = Decision<Event, Reason>;
