/** What watches over risk is asked or told, and why it refuses. */
import type { Decision } from "../../lib/runtime/aggregate.ts";
import { type declinedReasons, type ToRisk, toRisk } from "../trading.ts";
import type { Event, LimitsAsked } from "./events.ts";

export const { kind, Command } = toRisk;

/** Parsed where it comes in; here its types are believed. */
export type Command =
  | ToRisk
  | { readonly type: "SetLimits" } & LimitsAsked
  | { readonly type: "Pause" }
  | { readonly type: "Resume" };

export type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

/** Why an order is not let through. */
export type Declined = typeof declinedReasons[number];

export type Reason = "already-paused" | "not-paused";

export type Verdict = Decision<Event, Reason>;
