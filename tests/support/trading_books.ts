/**
 * The books of all trading, kept from what was recorded, wherever that comes from: what must hold
 * after every event, and what must hold besides once nothing is on its way any more.
 *
 * @module
 */
import * as Account from "../../actors/account/aggregate.ts";
import * as Market from "../../actors/market/aggregate.ts";
import type { EventOf } from "../../actors/market/events.ts";
import * as Order from "../../actors/order/aggregate.ts";
import { hasEnded, needOf, remainingOf } from "../../actors/order/state.ts";
import * as Portfolio from "../../actors/portfolio/aggregate.ts";
import { keptFor, positionOf } from "../../actors/portfolio/state.ts";
import * as Risk from "../../actors/risk/aggregate.ts";
import { ReplayedMarket } from "./replayed_market.ts";
import { type Part, SettledTrades } from "./settled_trades.ts";
import {
  wrongOpenCosts,
  wrongOrders,
  wrongPositions,
  wrongReservations,
} from "./trading_at_rest.ts";

/** What its rules are about. */
export type Rule =
  /** Cash and shares are what came in less what went out, follow every trade once, and risk counts them. */
  | "conservation"
  /** What is kept for orders is there, is what they need, and is given back at their end. */
  | "reservations"
  /** An order is filled no further than its quantity, comes to one end, and rests and is open until then. */
  | "executions"
  /** The best price trades first and, at one price, whoever came first. */
  | "priority";

export interface Breach {
  readonly rule: Rule;
  readonly what: string;
}

export interface RecordedEvent {
  readonly kind: string;
  readonly key: string;
  /** From 1. */
  readonly version: number;
  /** Of today's form. */
  readonly data: unknown;
}

interface Folded<State> {
  readonly before: State;
  readonly after: State;
}

/** All actors of one kind. */
class Fold<State, Event> {
  readonly all = new Map<string, State>();
  readonly #initial: State;
  readonly #evolve: (state: State, event: Event) => State;

  constructor({ initial, evolve }: {
    readonly initial: State;
    readonly evolve: (state: State, event: Event) => State;
  }) {
    this.#initial = initial;
    this.#evolve = evolve;
  }

  at(key: string): State {
    return this.all.get(key) ?? this.#initial;
  }

  follow(key: string, event: Event): Folded<State> {
    const before = this.at(key);
    const after = this.#evolve(before, event);
    this.all.set(key, after);
    return { before, after };
  }
}

export class TradingBooks {
  /** All that have been found, in the order in which they were. */
  readonly breaches: Breach[] = [];
  readonly #versions = new Map<string, number>();
  readonly #accounts = new Fold<Account.State, Account.Event>(Account);
  readonly #markets = new Fold<Market.State, Market.Event>(Market);
  readonly #orders = new Fold<Order.State, Order.Event>(Order);
  readonly #portfolios = new Fold<Portfolio.State, Portfolio.Event>(Portfolio);
  readonly #risks = new Fold<Risk.State, Risk.Event>(Risk);
  readonly #replayed = new Map<string, ReplayedMarket>();
  readonly #trades = new SettledTrades();
  /** More is there than came in; of cash, and of shares by symbol. */
  #cashTooMuch = 0n;
  readonly #sharesTooMany = new Map<string, number>();
  /** The order whose decision may go on with the event that comes next. */
  #deciding: string | undefined;

  /** Events of all five kinds, causes before effects; those of others are passed over. */
  record({ kind, key, version, data }: RecordedEvent): void {
    this.#concludeBefore(kind, key, data);
    switch (kind) {
      case Account.kind:
        this.#account(key, data as Account.Event);
        break;
      case Market.kind:
        this.#market(key, data as Market.Event);
        break;
      case Order.kind:
        this.#order(key, data as Order.Event);
        break;
      case Portfolio.kind:
        this.#portfolio(key, data as Portfolio.Event);
        break;
      case Risk.kind:
        this.#risk(key, data as Risk.Event);
        break;
      default:
        return;
    }
    const address = `${kind}/${key}`;
    const expected = (this.#versions.get(address) ?? 0) + 1;
    this.#versions.set(address, version);
    this.#that(version === expected, "conservation", () => {
      return `${address} has version ${version} where ${expected} belongs`;
    });
  }

  /**
   * What does not hold once nothing is on its way. It concludes what was recorded last, so only then
   * are {@linkcode breaches} complete.
   */
  atRest(): readonly Breach[] {
    if (this.#deciding !== undefined) this.#conclude(this.#deciding);
    const found: Breach[] = [];
    const note = (rule: Rule, what: string) => found.push({ rule, what });
    for (const what of this.#trades.missing()) note("conservation", what);
    for (const [key, market] of this.#markets.all) {
      const difference = this.#replayed.get(key)!.differenceFrom(market);
      if (difference !== undefined) note("priority", `at ${key} ${difference}`);
    }
    const states = {
      accounts: this.#accounts.all,
      markets: this.#markets.all,
      orders: this.#orders.all,
      portfolios: this.#portfolios.all,
      risks: this.#risks.all,
    };
    for (const what of wrongReservations(states)) note("reservations", what);
    for (const what of wrongOrders(states)) note("executions", what);
    for (const what of wrongOpenCosts(states)) note("executions", what);
    for (const what of wrongPositions(states)) note("conservation", what);
    return found;
  }

  #account(key: string, event: Account.Event): void {
    const { before, after } = this.#accounts.follow(key, event);
    const { cash, reserved } = after;
    this.#that(reserved >= 0n && reserved <= cash, "reservations", () => {
      return `${key} keeps ${reserved} of ${cash}`;
    });
    this.#cashTooMuch += cash - before.cash - incomeOf(event);
    this.#that(this.#cashTooMuch === 0n, "conservation", () => {
      return `${event.type} of ${key} leaves ${this.#cashTooMuch} more cash than came in`;
    });
    if (event.type === "PurchasePaid") {
      const { orderId, tradeId, cost, released } = event;
      const kept = before.reservations.get(orderId)?.amount ?? 0n;
      this.#that(
        BigInt(cost) <= BigInt(released) && BigInt(released) <= kept,
        "reservations",
        () => {
          return `${key} pays ${cost} for ${orderId} and releases ${released} of ${kept}`;
        },
      );
      const says = { orderId, accountId: key, amount: cost };
      this.#settle({ type: event.type, tradeId, side: "buy", says });
    }
    if (event.type === "SaleReceived") {
      const { orderId, tradeId, proceeds } = event;
      const says = { orderId, accountId: key, amount: proceeds };
      this.#settle({ type: event.type, tradeId, side: "sell", says });
    }
    if ("orderId" in event) this.#coveredIn(key, event.orderId);
  }

  #portfolio(key: string, event: Portfolio.Event): void {
    const { before, after } = this.#portfolios.follow(key, event);
    const { symbol } = event;
    const { quantity, reserved } = positionOf(after, symbol);
    this.#that(reserved >= 0 && reserved <= quantity, "reservations", () => {
      return `${key} keeps ${reserved} of ${quantity} ${symbol}`;
    });
    const change = quantity - positionOf(before, symbol).quantity;
    const tooMany = (this.#sharesTooMany.get(symbol) ?? 0) + change - gainOf(event);
    this.#sharesTooMany.set(symbol, tooMany);
    this.#that(tooMany === 0, "conservation", () => {
      return `${event.type} of ${key} leaves ${tooMany} more ${symbol} than came in`;
    });
    if (event.type === "SharesBought" || event.type === "SharesSold") {
      const { type, orderId, tradeId, price, quantity } = event;
      const side = type === "SharesBought" ? "buy" : "sell";
      const kept = keptFor(before, orderId);
      this.#that(side === "buy" || quantity <= kept, "reservations", () => {
        return `${key} delivers ${quantity} for ${orderId} out of ${kept}`;
      });
      const says = { orderId, accountId: key, symbol, price, quantity };
      this.#settle({ type, tradeId, side, says });
    }
    if ("orderId" in event) this.#coveredIn(key, event.orderId);
  }

  #order(key: string, event: Order.Event): void {
    const { before, after } = this.#orders.follow(key, event);
    const { accountId, symbol, side } = after;
    const mayFollow = !hasEnded(before) || event.type === "OrderReserved" ||
      event.type === "ExcessReleased";
    this.#that(mayFollow, "executions", () => `${event.type} of ${key} comes after its end`);
    const remaining = remainingOf(after);
    this.#that(remaining >= 0, "executions", () => `${key} has traded ${-remaining} too many`);
    if (event.type === "OrderExecuted") {
      const { type, tradeId, price, quantity } = event;
      const says = { orderId: key, accountId, symbol, price, quantity };
      this.#settle({ type, tradeId, side, says });
    }
    this.#coveredIn(accountId, key);
    this.#deciding = key;
  }

  #market(key: string, event: Market.Event): void {
    const { before } = this.#markets.follow(key, event);
    const replayed = this.#replayed.get(key) ?? new ReplayedMarket();
    this.#replayed.set(key, replayed);
    const difference = replayed.play(event);
    this.#that(difference === undefined, "priority", () => `at ${key} ${difference}`);
    if (event.type !== "OrderSubmitted" && event.type !== "OrderReplaced") return;
    // One that goes on is as it was when it came, whatever it is to become since.
    if (before.unfinished === undefined) this.#asPlaced(key, event);
    const incoming = { orderId: event.orderId, accountId: event.accountId };
    event.trades.forEach(({ orderId, accountId, price, quantity }, number) => {
      const resting = { orderId, accountId };
      const [buyer, seller] = event.side === "buy" ? [incoming, resting] : [resting, incoming];
      const tradeId = `${key}:${event.firstTrade + number}`;
      this.#trades.add({ tradeId, symbol: key, price, quantity, buyer, seller });
    });
  }

  #risk(key: string, event: Risk.Event): void {
    this.#risks.follow(key, event);
    if (event.type !== "PositionChanged") return;
    const { type, tradeId, symbol, side, price, quantity } = event;
    this.#settle({ type, tradeId, side, says: { accountId: key, symbol, price, quantity } });
  }

  /** What comes to a market is what was placed, or asked for since. */
  #asPlaced(symbol: string, event: EventOf<"OrderSubmitted" | "OrderReplaced">): void {
    const order = this.#orders.at(event.orderId);
    const { limit, quantity } = order.replacement ?? order;
    const isOf = order.symbol === symbol && order.accountId === event.accountId &&
      order.side === event.side && limit === event.limit;
    this.#that(isOf && event.quantity <= quantity, "executions", () => {
      return `${event.orderId} comes to ${symbol} as another than it is`;
    });
  }

  /** What an order counts on is kept, for as long as it counts on it. */
  #coveredIn(holder: string, orderId: string): void {
    const { side, kept } = this.#orders.at(orderId);
    const reserved = side === "buy"
      ? this.#accounts.at(holder).reservations.get(orderId)?.amount ?? 0n
      : BigInt(keptFor(this.#portfolios.at(holder), orderId));
    this.#that(reserved >= kept, "reservations", () => {
      return `${holder} keeps ${reserved} for ${orderId}, which counts on ${kept}`;
    });
  }

  #settle(part: Part): void {
    const wrong = this.#trades.settle(part);
    const rule = part.type === "OrderExecuted" ? "executions" : "conservation";
    this.#that(wrong === undefined, rule, () => wrong!);
  }

  /** An order gives back in the same decision, as the last of it, what it needs no more. */
  #concludeBefore(kind: string, key: string, data: unknown): void {
    const deciding = this.#deciding;
    if (deciding === undefined) return;
    const goesOn = kind === Order.kind && key === deciding &&
      (data as Order.Event).type === "ExcessReleased";
    if (!goesOn) this.#conclude(deciding);
  }

  #conclude(orderId: string): void {
    this.#deciding = undefined;
    const order = this.#orders.at(orderId);
    const { status, kept, side, limit } = order;
    this.#that(!hasEnded(order) || kept === 0n, "reservations", () => {
      return `${orderId} has ended, and counts on ${kept}`;
    });
    const need = status === "working" ? needOf(side, limit, remainingOf(order)) : 0n;
    this.#that(kept >= need, "reservations", () => {
      return `${orderId} needs ${need}, and counts on ${kept}`;
    });
  }

  #that(holds: boolean, rule: Rule, what: () => string): void {
    if (!holds) this.breaches.push({ rule, what: what() });
  }
}

/** Of cash; below 0 it is spent. */
function incomeOf(event: Account.Event): bigint {
  switch (event.type) {
    case "Deposited":
      return BigInt(event.amount);
    case "Withdrawn":
      return -BigInt(event.amount);
    case "PurchasePaid":
      return -BigInt(event.cost);
    case "SaleReceived":
      return BigInt(event.proceeds);
    default:
      return 0n;
  }
}

/** Of shares; below 0 they are given away. */
function gainOf(event: Portfolio.Event): number {
  switch (event.type) {
    case "SharesDeposited":
    case "SharesBought":
      return event.quantity;
    case "SharesWithdrawn":
    case "SharesSold":
      return -event.quantity;
    default:
      return 0;
  }
}
