/**
 * The market of one symbol: a book of orders, the price, and who wants to hear of it.
 *
 * What `decide` upholds and everyone else may assume:
 * - an order trades with the best price first and, at one price, with whoever came first;
 * - what is traded on one side is traded on the other, at the same price and in the same event;
 * - an order trades no more than its quantity, never beyond its limit, and not with its own account;
 * - all this as if an order were matched at once, though one that trades with very many is in several
 *   turns: what arrives in between is decided after it, in its order;
 * - while trading is paused no order is taken, and those that wait can be withdrawn; one that was taken
 *   before is matched to its end;
 * - every order that is submitted is answered.
 *
 * @module
 */
import { accept, type DecisionContext, reject } from "../../lib/runtime/aggregate.ts";
import { removeAlert, setAlert, triggered } from "./alerts.ts";
import { Command, type CommandOf, kind, type Reason, type Verdict } from "./commands.ts";
import { Event } from "./events.ts";
import { evolve } from "./evolve.ts";
import { awaited, goOn, isInTheMiddle, postpone } from "./going_on.ts";
import { decideOn } from "./orders.ts";
import { snapshot } from "./snapshot.ts";
import { initial, type State } from "./state.ts";

export { Command, Event, evolve, initial, kind, type Reason, snapshot, type State };

/** What comes after a message that could not be handled may rest on it: an operator sees to it. */
export const afterBurial = "park";

/** How far from indifference, which is 0, the sentiment is worth an alert; the furthest is 100. */
export const SENTIMENT_THRESHOLD = 70;

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  if (command.type === "GoOn") return goOn(state, context);
  return awaited(state, decided(state, command, context), context);
}

function decided(
  state: State,
  command: Exclude<Command, CommandOf<"GoOn">>,
  context: DecisionContext,
): Verdict {
  switch (command.type) {
    case "Submit":
    case "Withdraw":
    case "Replace":
      return isInTheMiddle(state) ? postpone(state, command) : decideOn(state, command, context);
    case "Quote":
      return quote(state, command);
    case "RecordSentiment":
      return recordSentiment(state, command);
    case "Pause":
      return pause(state, command);
    case "Resume":
      return resume(state);
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

function resume({ status }: State): Verdict {
  if (status === "unknown") return reject("not-found");
  return status === "paused" ? accept({ type: "TradingResumed" }) : reject("not-paused");
}

function pause({ status }: State, { reason }: CommandOf<"Pause">): Verdict {
  if (status === "unknown") return reject("not-found");
  if (status === "paused") return reject("already-paused");
  return accept({ type: "TradingPaused", ...(reason !== undefined && { reason }) });
}
