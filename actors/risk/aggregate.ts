/**
 * The risk of one person: what they may have open, own and lose, and whether they may trade at all.
 *
 * What `decide` upholds and everyone else may assume:
 * - every order that is checked is answered: what it needs is asked to be kept, or it is declined;
 * - no order is let through, or let become another, that would break a limit with all that are open;
 * - what is open is never less than can still be spent, and no more once nothing is on its way;
 * - a limit that is broken is said once for each order, and for the losses of a day once.
 *
 * @module
 */
import {
  accept,
  type DecisionContext,
  type Message,
  reject,
  tell,
} from "../../lib/runtime/aggregate.ts";
import { costOf, toAccount, toOrder, toPortfolio } from "../trading.ts";
import {
  Command,
  type CommandOf,
  type Declined,
  kind,
  type Reason,
  type Verdict,
} from "./commands.ts";
import { Event } from "./events.ts";
import { evolve } from "./evolve.ts";
import {
  costOfAllFor,
  costOfOpen,
  dayOf,
  initial,
  type LimitName,
  lossOf,
  sharesOf,
  type State,
} from "./state.ts";
import { snapshot } from "./snapshot.ts";

export { Command, Event, evolve, initial, kind, type Reason, snapshot, type State };

/** What comes after a message that could not be handled may rest on it: an operator sees to it. */
export const afterBurial = "park";

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  switch (command.type) {
    case "Check":
      return check(state, command, context);
    case "Traded":
      return accept({ ...command, type: "PositionChanged" });
    case "Stands": {
      const { orderId, open } = command;
      const isSo = costOfOpen(state, orderId) === BigInt(open);
      return isSo || !state.open.has(orderId)
        ? accept()
        : accept({ type: "OrderChanged", orderId, open });
    }
    case "Transferred":
      return accept({ ...command, type: "SharesTransferred" });
    case "Earned":
      return earned(state, command, context);
    case "Close":
      return state.open.has(command.orderId)
        ? accept({ type: "OrderClosed", orderId: command.orderId })
        : accept();
    case "SetLimits": {
      const { type: _, ...limits } = command;
      return accept({ ...limits, type: "LimitsSet" });
    }
    case "Pause":
      return state.paused === undefined
        ? accept({ type: "TradingPaused", because: "asked" })
        : reject("already-paused");
    case "Resume":
      return state.paused === undefined ? reject("not-paused") : accept({ type: "TradingResumed" });
  }
}

interface Breach {
  readonly reason: Declined;
  readonly limit: LimitName;
  readonly value: bigint;
  readonly allowed: bigint;
}

function check(state: State, command: CommandOf<"Check">, context: DecisionContext): Verdict {
  const { orderId, symbol, side, limit, remaining } = command;
  if (state.paused !== undefined) return declined(orderId, "trading-paused");
  const breach = breachOf(state, command, context.at);
  if (breach !== undefined) return declined(orderId, breach.reason, ...broken(state, breach));
  const cost = String(costOf(limit, remaining));
  return {
    accepted: true,
    events: [{ type: "OrderApproved", orderId, symbol, side, cost }],
    messages: [approval(command, context)],
  };
}

/** What is to be kept is kept by others, who answer the order. */
function approval(
  { orderId, symbol, side, needs }: CommandOf<"Check">,
  { key }: DecisionContext,
): Message {
  if (needs === "0") return tell(toOrder, orderId, { type: "Reserved" });
  return side === "buy"
    ? tell(toAccount, key, { type: "Reserve", orderId, amount: needs })
    : tell(toPortfolio, key, { type: "Reserve", orderId, symbol, quantity: Number(needs) });
}

function declined(orderId: string, reason: Declined, ...because: readonly Event[]): Verdict {
  return {
    accepted: true,
    events: [{ type: "OrderDeclined", orderId, reason }, ...because],
    messages: [tell(toOrder, orderId, { type: "Declined", reason })],
  };
}

/** The first limit that an order would break; selling breaks none but that of one order. */
function breachOf(state: State, order: CommandOf<"Check">, at: number): Breach | undefined {
  const { orderId, symbol, side, limit, remaining } = order;
  const cost = costOf(limit, remaining);
  const before = costOfOpen(state, orderId);
  const others = state.openCost - before;
  const othersHere = costOfAllFor(state, symbol) - before;
  const held = costOf(limit, Math.max(0, sharesOf(state, symbol)) + remaining) + othersHere;
  const all: readonly (readonly [LimitName, Declined, bigint])[] = side === "sell"
    ? [["orderCost", "order-too-large", cost]]
    : [
      ["orderCost", "order-too-large", cost],
      ["openCost", "too-much-open", others + cost],
      ["positionCost", "position-too-large", held],
      ["dailyLoss", "loss-too-large", lossOf(state, dayOf(at))],
    ];
  for (const [name, reason, value] of all) {
    const allowed = state.limits[name];
    if (allowed !== undefined && value > allowed) return { reason, limit: name, value, allowed };
  }
  return undefined;
}

/** An alert, and by policy the end of trading until somebody resumes it. */
function broken(
  { pausesOnBreach, paused }: State,
  { limit, value, allowed }: Omit<Breach, "reason">,
): readonly Event[] {
  const breached: Event = {
    type: "LimitBreached",
    limit,
    value: String(value),
    allowed: String(allowed),
  };
  return pausesOnBreach && paused === undefined
    ? [breached, { type: "TradingPaused", because: limit }]
    : [breached];
}

function earned(state: State, command: CommandOf<"Earned">, { at }: DecisionContext): Verdict {
  const day = dayOf(at);
  const noted: Event = { type: "EarningsNoted", day, earned: command.earned };
  const allowed = state.limits.dailyLoss;
  const before = lossOf(state, day);
  const value = before - BigInt(command.earned);
  if (allowed === undefined || value <= allowed || before > allowed) return accept(noted);
  return accept<Event>(noted, ...broken(state, { limit: "dailyLoss", value, allowed }));
}
