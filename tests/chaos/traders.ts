/**
 * People who trade a few symbols with one another, the feed that says what they cost, and somebody who
 * halts a market now and then. Prices are near enough to one another that most orders meet.
 *
 * @module
 */
import type { Wish } from "./client.ts";
import {
  cancelling,
  depositing,
  type Funds,
  halting,
  type NewOrder,
  payingOut,
  placing,
  type Plan,
  quoting,
  replacing,
  resuming,
} from "./trading_wishes.ts";
import type { Person } from "./wishes.ts";

const symbols = ["ACME", "BOLT", "CRUX"] as const;

const PRICE_CENTS = 10_000;
/** Whoever buys would rather pay so much less than whoever sells would have. */
const DISTANCE_CENTS = 100;
/** How far a limit is from where most are, at most. */
const SPREAD_CENTS = 150;
const TICK_CENTS = 5;
const SHARES_MAX = 20;
/** Of each at the beginning: so little that some orders find nothing left to be kept for them. */
const FUNDS_DOLLARS = 4_000;
const FUNDS_SHARES = 30;
const MOVED_DOLLARS_MAX = 2_000;
const MOVED_SHARES_MAX = 20;

/** How orders are placed; each as often as its share of a hundred. */
const manners = [
  { share: 55, isMarket: false, timeInForce: "day" },
  { share: 15, isMarket: false, timeInForce: "immediate-or-cancel" },
  { share: 15, isMarket: false, timeInForce: "fill-or-kill" },
  { share: 10, isMarket: true, timeInForce: "immediate-or-cancel" },
  { share: 5, isMarket: true, timeInForce: "fill-or-kill" },
] as const;

export interface TradersOptions {
  readonly traders: readonly Person[];
  readonly feed: Person;
  readonly admin: Person;
  readonly below: (limit: number) => number;
  /** Resolves to what was answered, if that was no refusal. */
  readonly wish: (process: string, wish: Wish) => Promise<{ readonly key?: string } | undefined>;
}

/** An order that may wait in its market. */
interface Open {
  readonly trader: Person;
  readonly key: string;
  readonly side: NewOrder["side"];
}

export class Traders {
  readonly #options: TradersOptions;
  readonly #open: Open[] = [];

  constructor(options: TradersOptions) {
    this.#options = options;
  }

  /** Opens the markets, and gives everybody something to trade with. */
  async prepare(process: string): Promise<void> {
    const { traders, feed, wish } = this.#options;
    const quotes = symbols.map((symbol) => quoting(feed, symbol, PRICE_CENTS));
    const deposits = traders.flatMap((trader) => [
      depositing(trader, { dollars: FUNDS_DOLLARS }),
      ...symbols.map((symbol) =>
        depositing(trader, { symbol, shares: FUNDS_SHARES, cents: PRICE_CENTS })
      ),
    ]);
    await Promise.all([...quotes, ...deposits].map((each) => wish(process, each)));
  }

  async one(process: string): Promise<void> {
    const { below } = this.#options;
    const what = below(100);
    if (what < 48) return await this.#place(process);
    if (what < 66) return await this.#cancel(process);
    if (what < 78) return await this.#replace(process);
    if (what < 88) return await this.#move(process, what < 83);
    if (what < 97) return await this.#quote(process);
    return await this.#halt(process);
  }

  async #place(process: string): Promise<void> {
    const { wish } = this.#options;
    const trader = this.#trader();
    const order = this.#order();
    const placed = await wish(process, placing(trader, order));
    if (placed === undefined || order.timeInForce !== "day") return;
    this.#open.push({ trader, key: placed.key!, side: order.side });
  }

  #order(): NewOrder {
    const { below } = this.#options;
    let left = below(100);
    const { isMarket, timeInForce } = manners.find(({ share }) => (left -= share) < 0)!;
    const side = below(2) === 0 ? "buy" : "sell";
    const { cents, shares } = this.#plan(side);
    return {
      symbol: this.#symbol(),
      side,
      shares,
      timeInForce,
      cents: isMarket ? undefined : cents,
    };
  }

  async #cancel(process: string): Promise<void> {
    const { below, wish } = this.#options;
    const open = this.#drawn();
    if (open === undefined) return await this.#place(process);
    await wish(process, cancelling(open.trader, open.key));
    // Some try it a second time.
    if (below(30) === 0) this.#open.push(open);
  }

  async #replace(process: string): Promise<void> {
    const open = this.#drawn();
    if (open === undefined) return await this.#place(process);
    const wish = replacing(open.trader, open.key, this.#plan(open.side));
    const replaced = await this.#options.wish(process, wish);
    // Whoever was refused has lost interest: most of those orders have come to their end.
    if (replaced !== undefined) this.#open.push(open);
  }

  async #move(process: string, isIn: boolean): Promise<void> {
    const { below, wish } = this.#options;
    const trader = this.#trader();
    const funds: Funds = below(2) === 0
      ? { dollars: 1 + below(MOVED_DOLLARS_MAX) }
      : { symbol: this.#symbol(), shares: 1 + below(MOVED_SHARES_MAX), cents: PRICE_CENTS };
    await wish(process, isIn ? depositing(trader, funds) : payingOut(trader, funds));
  }

  async #quote(process: string): Promise<void> {
    const { feed, wish } = this.#options;
    await wish(process, quoting(feed, this.#symbol(), this.#near(PRICE_CENTS)));
  }

  /** Not for long: what is asked meanwhile is refused. */
  async #halt(process: string): Promise<void> {
    const { admin, wish } = this.#options;
    const symbol = this.#symbol();
    await wish(process, halting(admin, symbol));
    await wish(process, resuming(admin, symbol));
  }

  #plan(side: NewOrder["side"]): Plan {
    const middle = side === "buy" ? PRICE_CENTS - DISTANCE_CENTS : PRICE_CENTS;
    return { cents: this.#near(middle), shares: 1 + this.#options.below(SHARES_MAX) };
  }

  #near(cents: number): number {
    const ticks = this.#options.below(2 * SPREAD_CENTS / TICK_CENTS + 1);
    return cents - SPREAD_CENTS + ticks * TICK_CENTS;
  }

  #trader(): Person {
    const { traders, below } = this.#options;
    return traders[below(traders.length)]!;
  }

  #symbol(): string {
    return symbols[this.#options.below(symbols.length)]!;
  }

  /** One that nobody else has in hand. */
  #drawn(): Open | undefined {
    return this.#open.splice(this.#options.below(this.#open.length), 1)[0];
  }
}
