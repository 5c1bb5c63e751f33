/**
 * What clients do, as commands to actors, and what they are shown in answer.
 *
 * @module
 */
import * as LiveEvent from "../../actors/live_event/aggregate.ts";
import { firstWaiting } from "../../actors/live_event/views.ts";
import type { Principal } from "../../lib/runtime/envelope.ts";
import type { AnyAggregate } from "../../lib/runtime/turn.ts";
import { AT } from "../support/given.ts";
import { textHash } from "../support/seeded.ts";
import * as Purse from "./actors/purse.ts";
import * as Register from "./actors/register.ts";
import {
  askedByDeal,
  isOfTrading,
  tradingAggregates,
  tradingKeyOf,
  tradingViewOf,
} from "./deals.ts";
import type { Act, ActorKind, Append, Operation, SeatPlan } from "./plan.ts";

export interface Asked {
  readonly kind: ActorKind;
  readonly key: string;
  readonly command: unknown;
  readonly principal: Principal;
}

// The workload asks with commands that each of them knows.
const hosted: Readonly<Record<ActorKind, AnyAggregate>> = {
  live_event: LiveEvent as unknown as AnyAggregate,
  purse: Purse as unknown as AnyAggregate,
  register: Register as unknown as AnyAggregate,
  ...tradingAggregates,
};

export function aggregateOf(kind: ActorKind): AnyAggregate {
  return hosted[kind];
}

/** Starts and ends that no run comes near to. */
const STARTS_AT = new Date(AT + 10 * 86_400_000).toISOString();
const ENDS_AT = new Date(AT + 11 * 86_400_000).toISOString();
const organizer: Principal = { id: "olga", roles: [] };
const anybody: Principal = { id: "anybody", roles: [] };

export function keyOf(kind: ActorKind, index: number): string {
  return isOfTrading(kind) ? tradingKeyOf(kind, index) : `${kind}-${index}`;
}

/** What an operation asks of which actor; undefined if it only reads. */
export function askedBy({ id, act }: Pick<Operation, "id" | "act">): Asked | undefined {
  switch (act.is) {
    case "open":
      return asked("purse", act.purse, { type: "Open", amount: act.amount });
    case "transfer":
      return asked("purse", act.from, {
        type: "Send",
        transferId: `transfer-${id}`,
        to: keyOf("purse", act.to),
        amount: act.amount,
      });
    case "append":
      return asked("register", act.register, appending(id, act));
    case "trade":
      return askedByDeal(id, act.deal);
    case "read":
      return undefined;
    default:
      return asked("live_event", act.event, eventCommand(id, act), principalOf(act));
  }
}

function asked(kind: ActorKind, index: number, command: unknown, principal = anybody): Asked {
  return { kind, key: keyOf(kind, index), command, principal };
}

function appending(id: number, act: Append): Register.Command {
  const { register, tells, isUnhandleable, rings, hasJob, isPoison } = act;
  return {
    type: "Append",
    value: isPoison ? `${id} \0` : `${id}`,
    ...(tells !== undefined && { tells: keyOf("register", tells) }),
    ...(isUnhandleable && { isUnhandleable }),
    ...(rings && { rings: `bell-${register}` }),
    ...(hasJob && { hasJob }),
  };
}

type EventAct = Extract<Act, { readonly event: number }>;

function eventCommand(id: number, act: EventAct): LiveEvent.Command {
  switch (act.is) {
    case "schedule":
      return { type: "Schedule", ...planned(act.plan) };
    case "publish":
      return { type: "Publish" };
    case "cancel":
      return { type: "Cancel" };
    case "revise":
      return { type: "Revise", capacity: act.capacity };
    case "register":
      return { type: "Register", registrationId: `registration-${id}`, userId: userOf(act) };
    case "withdraw":
      return { type: "Withdraw", registrationId: `registration-${act.registration}` };
    case "accept":
      return { type: "Accept", registrationId: `registration-${act.registration}` };
  }
}

function planned(plan: SeatPlan) {
  return { title: "Simulated", startsAt: STARTS_AT, endsAt: ENDS_AT, ...plan };
}

function principalOf(act: EventAct): Principal {
  return "user" in act ? { id: userOf(act), roles: [] } : organizer;
}

function userOf({ user }: { readonly user: number }): string {
  return `user-${user}`;
}

/** What anyone is shown of an actor: equal states look equal, and others hardly ever. */
export function viewOf(kind: ActorKind, state: unknown): unknown {
  if (isOfTrading(kind)) return tradingViewOf(kind, state);
  if (kind !== "live_event") return state;
  const event = state as LiveEvent.State;
  const { status, capacity, confirmed, waitlist, offers, registrations } = event;
  const line = firstWaiting(event, waitlist.size).map(({ registrationId }) => registrationId);
  return {
    status,
    capacity,
    confirmed,
    offered: offers.size,
    registered: registrations.size,
    line: textHash(line.join()),
  };
}

/** What an accepted command is answered with. */
export interface Answer {
  /** How many events it led to. */
  readonly events: number;
  readonly view: unknown;
}
