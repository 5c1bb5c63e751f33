/** What a market is asked or told, and why it refuses. */
import { z } from "zod";
import type { Decision } from "../../lib/runtime/aggregate.ts";
import { type ToMarket, toMarket } from "../trading.ts";
import type { Event } from "./events.ts";
import type { Alert } from "./state.ts";

export const { kind } = toMarket;

/** What it tells itself: there is more to do than it did at once. */
const GoOn = z.object({ type: z.literal("GoOn") });

/** Parsed where it comes in; here its types are believed. */
export type Command =
  | ToMarket
  | Readonly<z.infer<typeof GoOn>>
  | {
    readonly type: "Quote";
    readonly price: number;
    readonly volume: number;
    readonly quotedAt: string;
  }
  | {
    readonly type: "RecordSentiment";
    readonly score: number;
    readonly source: string;
    readonly analyzedAt: string;
  }
  | { readonly type: "Pause"; readonly reason?: string }
  | { readonly type: "Resume" }
  | { readonly type: "SetAlert" } & Omit<Alert, "ownerId">
  | { readonly type: "RemoveAlert"; readonly alertId: string };

export type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

/** What is told, not asked. */
export const Command = z.union([toMarket.Command, GoOn]);

export type Reason =
  | "not-found"
  | "not-paused"
  | "already-paused"
  | "already-exists"
  | "too-many-alerts"
  | "too-many-own-alerts";

export type Verdict = Decision<Event, Reason>;
/** As on whatever is told. */
export type Acceptance = Extract<Verdict, { readonly accepted: true }>;
