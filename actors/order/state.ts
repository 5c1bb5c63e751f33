/** What an order remembers. */
import type { Principal } from "../../lib/runtime/envelope.ts";
import { costOf, type Side, type TimeInForce } from "../trading.ts";
import type { EventOf } from "./events.ts";

export const statuses = ["pending", "working", "filled", "cancelled", "rejected"] as const;
export type Status = typeof statuses[number];

/** What an order is for. */
export interface Plan {
  readonly limit: number;
  readonly quantity: number;
}

export interface Replacement extends Plan {
  /** What is to be kept for it beyond what was when it was asked for; below 0 if less. */
  readonly needs: bigint;
}

export interface State extends Plan {
  readonly status: "unplaced" | Status;
  readonly accountId: string;
  readonly symbol: string;
  readonly side: Side;
  readonly orderType: "limit" | "market";
  readonly timeInForce: TimeInForce;
  /** In epoch milliseconds. */
  readonly placedAt: number;
  /** Of the quantity, what has been traded. */
  readonly filled: number;
  /** What its account or portfolio keeps for it: units of cash if it buys, of shares if it sells. */
  readonly kept: bigint;
  /** Why it was rejected or cancelled. */
  readonly ending: string | undefined;
  readonly cancelling: "asked" | "expired" | undefined;
  /** What it is to become, once its market has said so. */
  readonly replacement: Replacement | undefined;
  /** Why it is not what was last asked for. */
  readonly notReplaced: EventOf<"ReplaceRejected">["reason"] | undefined;
}

export const initial: State = {
  status: "unplaced",
  accountId: "",
  symbol: "",
  side: "buy",
  orderType: "limit",
  timeInForce: "day",
  placedAt: 0,
  limit: 0,
  quantity: 0,
  filled: 0,
  kept: 0n,
  ending: undefined,
  cancelling: undefined,
  replacement: undefined,
  notReplaced: undefined,
};

/** What has to be kept so that so much can be traded at that price, or a better one. */
export function needOf(side: Side, limit: number, quantity: number): bigint {
  return side === "buy" ? costOf(limit, quantity) : BigInt(quantity);
}

/** Why it is to be cancelled, if its market has not heard of it yet. */
export function cancelledOnTheWay({ status, cancelling }: State): State["cancelling"] {
  return status === "pending" ? cancelling : undefined;
}

/** To all others it does not exist. */
export function isFor({ status, accountId }: State, principal: Principal): boolean {
  return status !== "unplaced" &&
    (accountId === principal.id || principal.roles.includes("admin"));
}

export function remainingOf({ quantity, filled }: State): number {
  return quantity - filled;
}

export function hasEnded({ status }: State): boolean {
  return status === "filled" || status === "cancelled" || status === "rejected";
}

/** What has to be kept for it beyond what is, if it is to be so; below 0 if that is less. */
export function moreFor({ side, filled, kept }: State, { limit, quantity }: Plan): bigint {
  return needOf(side, limit, quantity - filled) - kept;
}

/**
 * As {@linkcode moreFor}, while it can still trade at the limit that it has: what is traded until its
 * market knows the new one may use up more of what is kept than the new one would.
 */
export function moreForReplacement(state: State, { limit, quantity }: Plan): bigint {
  return moreFor(state, { limit: Math.max(limit, state.limit), quantity });
}

/** Whether an order that becomes so trades no more, and no sooner, than it would have: it risks less. */
export function isReduction({ side, limit, quantity }: State, plan: Plan): boolean {
  const isNoSooner = side === "buy" ? plan.limit <= limit : plan.limit === limit;
  return isNoSooner && plan.quantity <= quantity;
}

/** What can still be spent on it at most, be it as it is or as it is to become. */
export function spendableOf(state: State): bigint {
  const { side, filled, replacement } = state;
  if (side === "sell") return 0n;
  const [now, then] = [state, replacement ?? state]
    .map(({ limit, quantity }) => costOf(limit, quantity - filled)) as [bigint, bigint];
  return now > then ? now : then;
}

/** What is kept for it and not needed. While it is to become another, all may be. */
export function excessOf(state: State): bigint {
  if (hasEnded(state)) return state.kept;
  const more = state.replacement === undefined ? moreFor(state, state) : 0n;
  return more < 0n ? -more : 0n;
}
