/**
 * The market of one symbol: a book of orders, the price, and who wants to hear of it.
 *
 * What `decide` upholds and everyone else may assume:
 * - an order trades with the best price first and, at one price, with whoever came first;
 * - what is traded on one side is traded on the other, at the same price and in the same event;
 * - an order trades no more than its quantity, never beyond its limit, and not with its own account;
 * - while trading is paused nothing is traded, and orders can be withdrawn;
 * - every order that is submitted is answered.
 *
 * @module
 */
import { accept, type DecisionContext, reject } from "../../lib/runtime/aggregate.ts";
import { removeAlert, setAlert, triggered } from "./alerts.ts";
import { Command, type CommandOf, kind, type Reason, type Verdict } from "./commands.ts";
import { Event, type EventOf } from "./events.ts";
import { evolve } from "./evolve.ts";
import { replace, submit, withdraw } from "./orders.ts";
import { snapshot } from "./snapshot.ts";
import { initial, type State } from "./state.ts";

export { Command, Event, evolve, initial, kind, type Reason, snapshot, type State };

/** What comes after a message that could not be handled may rest on it: an operator sees to it. */
export const afterBurial = "park";

/** How far from indifference, which is 0, the sentiment is worth an alert; the furthest is 100. */
export const SENTIMENT_THRESHOLD = 70;

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  switch (command.type) {
    case "Submit":
      return withAlerts(state, submit(state, command, context));
    case "Withdraw":
      return withdraw(state, command);
    case "Replace":
      return withAlerts(state, replace(state, command, context));
    case "Quote":
      return quote(state, command);
    case "RecordSentiment":
      return recordSentiment(state, command);
    case "Pause":
      return pause(state, command);
    case "Resume":
      return state.status === "paused" ? accept({ type: "TradingResumed" }) : reject("not-paused");
    case "SetAlert":
      return setAlert(state, command, context);
    case "RemoveAlert":
      return removeAlert(state, command, context);
  }
}

/** A feed is believed, in the order in which it is heard: its times are for readers. */
function quote({ alerts }: State, { type: _, ...quotation }: CommandOf<"Quote">): Verdict {
  return accept<Event>({ ...quotation, type: "PriceQuoted" }, ...triggered(alerts, quotation));
}

/** Of what was traded at several prices, the last one counts, and the volume of all. */
function withAlerts(state: State, verdict: Verdict): Verdict {
  if (!verdict.accepted) return verdict;
  const trades = verdict.events.flatMap((event) => isTrading(event) ? event.trades : []);
  const last = trades.at(-1);
  if (last === undefined) return verdict;
  const volume = trades.reduce((sum, { quantity }) => sum + quantity, 0);
  const given = triggered(state.alerts, { price: last.price, volume });
  return { ...verdict, events: [...verdict.events, ...given] };
}

function isTrading(event: Event): event is EventOf<"OrderSubmitted" | "OrderReplaced"> {
  return event.type === "OrderSubmitted" || event.type === "OrderReplaced";
}

function recordSentiment(
  { sentiment, status }: State,
  { type: _, ...analysis }: CommandOf<"RecordSentiment">,
): Verdict {
  if (status === "unknown") return reject("not-found");
  const { score } = analysis;
  const threshold = Math.sign(score) * SENTIMENT_THRESHOLD;
  const isStrong = Math.abs(score) >= SENTIMENT_THRESHOLD;
  const wasStrong = Math.abs(sentiment) >= SENTIMENT_THRESHOLD &&
    Math.sign(sentiment) === Math.sign(score);
  const recorded: Event = { ...analysis, type: "SentimentAnalyzed" };
  return isStrong && !wasStrong
    ? accept<Event>(recorded, { type: "SentimentCrossed", score, threshold })
    : accept(recorded);
}

function pause({ status }: State, { reason }: CommandOf<"Pause">): Verdict {
  if (status === "unknown") return reject("not-found");
  if (status === "paused") return reject("already-paused");
  return accept({ type: "TradingPaused", ...(reason !== undefined && { reason }) });
}
