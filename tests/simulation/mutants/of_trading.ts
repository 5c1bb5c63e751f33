/**
 * Mistakes of those who take part in trading.
 *
 * @module
 */
import type { Mutant } from "./mutant.ts";

const MATCHING = "actors/market/matching.ts";
const ORDERS = "actors/market/orders.ts";
const CONSEQUENCES = "actors/order/consequences.ts";
const ACCOUNT = "actors/account/aggregate.ts";

export const ofTrading: readonly Mutant[] = [
  {
    name: "newest first",
    file: MATCHING,
    find: `for (let at = start; at < end && remaining > 0; at++) {`,
    replace: `for (let at = end - 1; at >= start && remaining > 0; at--) {`,
    says: "At one price, who came last trades first.",
    screams: ["I19"],
  },
  {
    name: "beyond the limit",
    file: MATCHING,
    find: `    if (order.side === "buy" ? price > order.limit : price < order.limit) break;`,
    replace: "",
    says: "An order trades at any price there is.",
    screams: ["I19"],
  },
  {
    name: "filled in part, or killed",
    file: MATCHING,
    find: `if (whole.remaining > 0) return`,
    replace: `if (whole.trades.length === 0) return`,
    says: "Fill-or-kill trades what it can.",
    screams: ["I19"],
  },
  {
    name: "larger, and still in its place",
    file: ORDERS,
    find: `if (limit === resting.price && more <= 0) {`,
    replace: `if (limit === resting.price) {`,
    says: "An order that becomes larger stays before those who came after it.",
    screams: ["I19"],
  },
  {
    name: "traded while paused",
    file: ORDERS,
    find: `  if (status === "paused") return "market-paused";`,
    replace: "",
    says: "A market that is paused takes orders.",
    screams: ["I19"],
  },
  {
    name: "line turned round by a snapshot",
    file: "actors/market/snapshot.ts",
    find: `a.place - b.place`,
    replace: `b.place - a.place`,
    says: "After a snapshot, who came last is first in line.",
    screams: ["I19"],
  },
  {
    name: "released twice",
    file: CONSEQUENCES,
    find: `return [release(state, orderId, event.amount)];`,
    replace: `return [1, 2].map(() => release(state, orderId, event.amount));`,
    says: "What an order needs no more is given back once more.",
    screams: ["I17"],
  },
  {
    name: "settlement dropped",
    file: CONSEQUENCES,
    find: `    tell(toPortfolio, accountId, { type: "Take", ...trade }),`,
    replace: "",
    says: "Who buys pays, and has no shares.",
    screams: ["I16"],
  },
  {
    name: "paid at the limit",
    file: CONSEQUENCES,
    find: `{ type: "Pay", orderId, tradeId, cost: amount, released }`,
    replace: `{ type: "Pay", orderId, tradeId, cost: released, released }`,
    says: "Who buys pays the worst price and not that of the trade.",
    screams: ["I16"],
  },
  {
    name: "nothing given back",
    file: "actors/order/aggregate.ts",
    find: `  if (excess === 0n) return`,
    replace: `  if (excess >= 0n) return`,
    says: "What is kept for an order stays kept after its end.",
    screams: ["I17"],
  },
  {
    name: "withdrawn though it is kept",
    file: ACCOUNT,
    find: `return command.amount <= availableOf(state)`,
    replace: `return command.amount <= state.cash`,
    says: "A withdrawal takes what is kept for orders.",
    screams: ["I17"],
  },
  {
    name: "purchase not paid",
    file: ACCOUNT,
    find: `const paid = { ...state, cash: state.cash - BigInt(event.cost) };`,
    replace: `const paid = state;`,
    says: "A purchase costs nothing.",
    screams: ["I16"],
  },
  {
    name: "shares kept twice over",
    file: "actors/portfolio/aggregate.ts",
    find: `  if (quantity > availableOf(positionOf(state, symbol))) return refused`,
    replace: `  if (quantity > positionOf(state, symbol).quantity) return refused`,
    says: "Shares that are kept for one order are kept for another.",
    screams: ["I17"],
  },
  {
    name: "never closed at risk",
    file: "actors/risk/aggregate.ts",
    find: `      return state.open.has(command.orderId)`,
    replace: `      return command.orderId === ""`,
    says: "An order that has ended counts as open for good.",
    screams: ["I18"],
  },
  {
    name: "executions beyond the quantity",
    file: "actors/order/evolve.ts",
    find: `filled: state.filled + event.quantity,`,
    replace: `filled: state.filled + event.quantity + 1,`,
    says: "Of each execution an order counts one share too many.",
    screams: ["I18"],
  },
];
