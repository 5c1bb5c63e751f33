/**
 * Rebalancing over HTTP: which orders lead to the weights that somebody wants, and their placing.
 *
 * @module
 */
import * as Account from "../actors/account/aggregate.ts";
import * as Order from "../actors/order/aggregate.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import { positionOf } from "../actors/portfolio/state.ts";
import * as Rebalancing from "../actors/rebalancing/aggregate.ts";
import {
  type Proposal as Proposed,
  type ProposedOrder,
  rebalanced,
} from "../actors/rebalancing/proposal.ts";
import { costOf } from "../actors/trading.ts";
import { answer } from "../lib/http/answer.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { Cause } from "../lib/runtime/envelope.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { stableUuid } from "../lib/stable_uuid.ts";
import { placingOf } from "./order_foresight.ts";
import { PlacedProposal, Proposal, proposalsView, proposalView } from "./order_views.ts";
import { valued } from "./portfolio.ts";
import { foreseen, orders } from "./trading_problems.ts";
import * as Schema from "./trading_schemas.ts";

export interface RebalancingOptions {
  readonly system: ActorSystem;
}

/** Each reads as those of an order do. */
const keyProblems = (["idempotency-key-reused", "idempotency-key-in-progress"] as const)
  .map((reason) => {
    const [type, problem] = orders.problemOf(reason);
    return { type, problem };
  });

export function rebalancing({ system }: RebalancingOptions): readonly Route[] {
  return [route({
    id: "rebalance",
    method: "post",
    path: "/api/v1/portfolio/rebalance",
    tag: "trading",
    summary: "Proposes the orders that lead to the weights one wants, and places them if so asked",
    description: "Under an `Idempotency-Key` what was proposed first is placed, and answered, " +
      "whenever that is repeated. Without `execute` nothing is kept, and each proposal is new.",
    access: ["trader", "admin"],
    // As a queue does, it knows an `Idempotency-Key` and no versions.
    asks: "queue",
    limit: "trading",
    query: Schema.RebalanceQuery,
    body: Schema.Weights,
    answers: { 200: Proposal, 201: PlacedProposal },
    problems: [...orders.known("already-exists", ...foreseen), ...keyProblems],
  }, async (c, { query: { execute }, body: { weights } }) => {
    const { expectedVersion: _, ...cause } = causeOf(c);
    const proposal = await proposalFor(system, cause, weights);
    if (!execute) {
      return proposal === "unknown-symbol"
        ? problemResponse(c, ...orders.problemOf(proposal))
        : answer(c, 200, proposalsView(proposal));
    }
    const id = idOfNew(cause);
    const command = await proposingOf(system, proposal, cause);
    const outcome = await system.ask(Rebalancing, id, command, cause, ({ state }) => {
      return state.proposal!;
    }, { isFirst: true });
    if (!outcome.accepted) return orders.refused(c, outcome);
    const kept = outcome.answer;
    const all = [];
    for (const proposed of kept.orders) {
      const placing = await placed(system, id, proposed, cause);
      if (!placing.accepted) return orders.refused(c, placing);
      all.push(placing.answer);
    }
    return answer(c, 201, { ...proposalsView(kept), orders: all });
  })];
}

async function proposalFor(
  system: ActorSystem,
  cause: Cause,
  weights: Readonly<Record<string, number>>,
): Promise<Proposed | "unknown-symbol"> {
  const { id } = cause.principal;
  const symbols = Object.keys(weights);
  const { account, valuation, prices, reading } = await valued(system, cause, id, symbols, {
    isStrong: true,
  });
  if (symbols.some((symbol) => prices.get(symbol) === 0)) return "unknown-symbol";
  const cash = Account.availableOf(account);
  const targets = Object.entries(weights).map(([symbol, weight]) => {
    const position = positionOf(reading.view, symbol);
    const price = prices.get(symbol)!;
    const value = costOf(price, position.quantity);
    return { symbol, weight, price, value, available: Portfolio.availableOf(position) };
  });
  return rebalanced(valuation.value + cash, cash, targets);
}

/** What to ask of a new rebalancing: it is placed whole, or not at all as far as that is known. */
async function proposingOf(
  system: ActorSystem,
  proposal: Proposed | "unknown-symbol",
  cause: Cause,
): Promise<Rebalancing.Command> {
  if (proposal === "unknown-symbol") return { type: "Refuse", reason: proposal };
  for (const order of proposal.orders) {
    const placing = await placingOf(system, askedOf(order), cause);
    if (placing.type === "Refuse") return placing;
  }
  return { ...proposal, type: "Propose" };
}

function askedOf({ price: limit, ...order }: ProposedOrder) {
  return { ...order, orderType: "limit", limit, timeInForce: "day" } as const;
}

/** Under an idempotency key each is placed once, however often that is asked for. */
async function placed(system: ActorSystem, of: string, proposal: ProposedOrder, cause: Cause) {
  const id = stableUuid(`${of}\n${proposal.symbol}`);
  const command = { ...askedOf(proposal), type: "Place" } as const;
  return await system.ask(Order, id, command, cause, ({ state }) => {
    return { id, status: state.status, ...proposalView(proposal) };
  }, { isFirst: true });
}
