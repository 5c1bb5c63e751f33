/**
 * A trading session made up by chance that follows a seed: who asks what, in which order. The same
 * seed gives the same requests.
 *
 * @module
 */
import type { Side, TimeInForce } from "../actors/trading.ts";
import { mulberry32 } from "../tests/support/seeded.ts";

export interface SessionPlan {
  readonly seed: number;
  readonly orders: number;
  readonly accounts: number;
  readonly symbols: readonly string[];
}

export interface SessionRequest {
  /** An account by its number, or who else there is. */
  readonly by: number | "feed" | "admin";
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  /** In it `{order}` stands for the id of the order that it is about. */
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** The number of the order that it places. */
  readonly places?: number;
  /** The number of an order that was placed before. */
  readonly about?: number;
  /** Why it may be refused, in the last word of the problem's type; for nothing else. */
  readonly mayBe?: readonly string[];
}

export interface Session {
  /** Stages: those of one stage in any order, and all of it before the next. */
  readonly opening: readonly (readonly SessionRequest[])[];
  readonly trading: readonly SessionRequest[];
}

/** Of all orders, the part of each kind; what is left are orders of the day. */
const marketShare = 0.15;
const immediateShare = 0.1;
const fillOrKillShare = 0.06;
const oversizedShare = 0.01;
/** Of the orders of the day, those that are withdrawn or changed later. */
const cancelledShare = 0.12;
const replacedShare = 0.1;
/** A change of mind comes after so many other orders, at most. */
const secondThoughtsMax = 250;

const ordersPerQuote = 40;
const ordersPerSentiment = 150;
const ordersPerWithdrawal = 120;
/** Trading in the first symbol rests for this part of the session. */
const pausedFrom = 0.45;
const pausedUntil = 0.5;

const accountsPerLimits = 10;
const accountsPerStrictLimits = 40;
const accountsPerAlert = 5;

const centsMin = 1_000;
const centsMax = 30_000;
const quantityMax = 100;
/** More than all accounts have together. */
const oversizedQuantity = 900_000;
/** Never offered; one account in so many has no more than it offers, and may close its positions. */
const coreQuantity = 10;
const accountsPerCoreless = 3;
const cashMin = 20_000;
const cashMax = 200_000;

export function sessionOf(plan: SessionPlan): Session {
  return new SessionWriter(plan).write();
}

class SessionWriter {
  readonly #plan: SessionPlan;
  readonly #random: () => number;
  readonly #trading: SessionRequest[] = [];
  /** What is asked later, by the number of the order after which it is. */
  readonly #later = new Map<number, SessionRequest[]>();
  /** What each account may sell, by symbol. */
  readonly #offered = new Map<string, number>();
  readonly #openingCents: readonly number[];
  readonly #cents: number[];

  constructor(plan: SessionPlan) {
    this.#plan = plan;
    this.#random = mulberry32(plan.seed);
    this.#openingCents = plan.symbols.map(() => this.#between(centsMin, centsMax));
    this.#cents = [...this.#openingCents];
  }

  write(): Session {
    const { orders } = this.#plan;
    for (let number = 0; number < orders; number++) {
      this.#trading.push(this.#order(number), ...this.#later.get(number) ?? []);
      this.#besides(number);
    }
    const left = this.#later.entries().filter(([number]) => number >= orders);
    this.#trading.push(...left.flatMap(([, requests]) => requests));
    return { opening: this.#opening(), trading: this.#trading };
  }

  #opening(): SessionRequest[][] {
    const { accounts, symbols } = this.#plan;
    const prices = symbols.map((symbol, n) => quote(symbol, this.#openingCents[n]!));
    const settings = Array.from({ length: accounts }, (_, account) => [
      deposit(account, { amount: `${this.#between(cashMin, cashMax)}.00`, currency: "USD" }),
      ...symbols.flatMap((symbol, n) => {
        const offered = this.#offered.get(`${account} ${symbol}`);
        if (offered === undefined) return [];
        const core = account % accountsPerCoreless === 0 ? 0 : coreQuantity;
        const quantity = String(offered + core);
        return deposit(account, { symbol, quantity, price: text(this.#openingCents[n]!) });
      }),
      ...limitsOf(account),
      ...this.#alertOf(account),
    ]);
    return [prices, settings.flat()];
  }

  #alertOf(account: number): SessionRequest[] {
    if (account % accountsPerAlert !== 0) return [];
    const symbol = this.#someSymbol();
    const cents = this.#openingCents[symbol]!;
    const isHigh = this.#random() < 0.5;
    const condition = isHigh ? "price-at-least" : "price-at-most";
    const price = text(Math.round(cents * (isHigh ? 1.01 : 0.99)));
    return [post(account, `/markets/${this.#plan.symbols[symbol]}/alerts`, { condition, price })];
  }

  #order(number: number): SessionRequest {
    const account = Math.floor(this.#random() * this.#plan.accounts);
    const symbol = this.#someSymbol();
    const side: Side = this.#random() < 0.5 ? "buy" : "sell";
    const isOversized = this.#random() < oversizedShare;
    const quantity = isOversized ? oversizedQuantity : this.#between(1, quantityMax);
    if (side === "sell" && !isOversized) this.#offer(account, symbol, quantity);
    const placed = { account, symbol, side, quantity, number };
    const kind = this.#random();
    if (kind < marketShare) {
      return this.#placing(placed, {
        type: "market",
        timeInForce: kind < marketShare / 4 ? "fill-or-kill" : "immediate-or-cancel",
      });
    }
    const timeInForce: TimeInForce = kind < marketShare + immediateShare
      ? "immediate-or-cancel"
      : kind < marketShare + immediateShare + fillOrKillShare
      ? "fill-or-kill"
      : "day";
    const cents = this.#limitFor(symbol, side);
    if (timeInForce === "day" && !isOversized) this.#reconsider(placed, cents);
    return this.#placing(placed, { type: "limit", price: text(cents), timeInForce });
  }

  #placing(
    { account, symbol, side, quantity, number }: Placed,
    rest: Readonly<Record<string, string>>,
  ): SessionRequest {
    const order = { symbol: this.#plan.symbols[symbol]!, side, quantity: String(quantity) };
    const mayBe = [
      ...refusalsOf({ account, symbol, side }),
      ...side === "sell" && quantity === oversizedQuantity ? ["insufficient-shares"] : [],
    ];
    return { ...post(account, "/orders", { ...order, ...rest }), places: number, mayBe };
  }

  /** Some are withdrawn after a while, some changed in price, in size or in both. */
  #reconsider({ account, symbol, side, quantity, number }: Placed, cents: number): void {
    const mood = this.#random();
    const path = "/orders/{order}";
    const common = { by: account, path, about: number };
    if (mood < cancelledShare) {
      this.#askLater(number, { ...common, method: "DELETE", body: {}, mayBe: ["ended"] });
    } else if (mood < cancelledShare + replacedShare) {
      const more = this.#between(-quantity + 1, quantityMax / 2);
      const isPriced = this.#random() < 0.6;
      const change = {
        ...(isPriced && { price: text(cents + this.#between(-20, 20)) }),
        ...(!isPriced || more > 0) && { quantity: String(quantity + more) },
      };
      if (side === "sell" && more > 0) this.#offer(account, symbol, more);
      const mayBe = [...refusalsOf({ account, symbol, side }), ...lateReasons];
      this.#askLater(number, { ...common, method: "PATCH", body: change, mayBe });
    }
  }

  #askLater(number: number, request: SessionRequest): void {
    const after = number + this.#between(1, secondThoughtsMax);
    const waiting = this.#later.get(after) ?? [];
    waiting.push(request);
    this.#later.set(after, waiting);
  }

  /** What the feed, the administrators and people without orders do meanwhile. */
  #besides(number: number): void {
    const { orders, symbols, accounts } = this.#plan;
    const [first] = symbols;
    if (number === Math.floor(orders * pausedFrom)) {
      this.#trading.push(
        post("admin", `/markets/${first}/pause`, { reason: "A look at the news" }),
      );
    }
    if (number === Math.floor(orders * pausedUntil)) {
      this.#trading.push(post("admin", `/markets/${first}/resume`, {}));
    }
    if (number % ordersPerQuote === ordersPerQuote - 1) {
      const symbol = this.#someSymbol();
      this.#trading.push(quote(symbols[symbol]!, this.#cents[symbol]!));
    }
    if (number % ordersPerSentiment === ordersPerSentiment - 1) {
      const path = `/markets/${symbols[this.#someSymbol()]}/sentiment`;
      const score = this.#between(-100, 100);
      this.#trading.push(post("feed", path, { score, source: "the wire" }));
    }
    if (number % ordersPerWithdrawal === ordersPerWithdrawal - 1) {
      const account = Math.floor(this.#random() * accounts);
      const amount = `${this.#between(1, 2_000)}.50`;
      const withdrawal = post(account, "/accounts/withdrawals", { amount, currency: "USD" });
      this.#trading.push({ ...withdrawal, mayBe: ["insufficient-cash"] });
    }
  }

  /** Around a price that wanders: most wait a little away from it, some meet what waits. */
  #limitFor(symbol: number, side: Side): number {
    const before = this.#cents[symbol]!;
    const drift = Math.round(before * (this.#random() - 0.5) * 0.002);
    const cents = Math.max(centsMin / 2, before + drift);
    this.#cents[symbol] = cents;
    const spread = Math.max(2, Math.round(cents * 0.01));
    const away = Math.round(this.#random() * this.#random() * spread) - Math.ceil(spread / 8);
    return side === "buy" ? cents - away : cents + away;
  }

  #offer(account: number, symbol: number, quantity: number): void {
    const key = `${account} ${this.#plan.symbols[symbol]}`;
    this.#offered.set(key, (this.#offered.get(key) ?? 0) + quantity);
  }

  #someSymbol(): number {
    return Math.floor(this.#random() * this.#plan.symbols.length);
  }

  /** Both ends included. */
  #between(min: number, max: number): number {
    return Math.floor(min + this.#random() * (max - min + 1));
  }
}

interface Placed {
  readonly number: number;
  readonly account: number;
  readonly symbol: number;
  readonly side: Side;
  readonly quantity: number;
}

/** What an order that is to be changed may have come to before. */
const lateReasons = ["ended", "not-working", "quantity-below-filled"];

/**
 * Why an order may be refused: all sales are offered, so there are shares, while cash may be short; and
 * the first market rests for a while, as do those whom their limits stop.
 */
function refusalsOf(
  { account, symbol, side }: Pick<Placed, "account" | "symbol" | "side">,
): string[] {
  return [
    ...side === "buy" ? ["insufficient-cash"] : [],
    ...symbol === 0 ? ["market-paused"] : [],
    ...account % accountsPerStrictLimits === 0 ? ["trading-paused"] : [],
  ];
}

function limitsOf(account: number): SessionRequest[] {
  if (account % accountsPerLimits !== 0) return [];
  const pausesOnBreach = account % accountsPerStrictLimits === 0;
  const orderCost = pausesOnBreach ? "15000" : "5000";
  const body = { orderCost, openCost: "60000", pausesOnBreach };
  return [{ by: account, method: "PUT", path: "/risk/limits", body }];
}

function quote(symbol: string, cents: number): SessionRequest {
  return post("feed", `/markets/${symbol}/prices`, { price: text(cents) });
}

function deposit(account: number, body: SessionRequest["body"]): SessionRequest {
  return post(account, "/accounts/deposits", body);
}

function post(
  by: SessionRequest["by"],
  path: string,
  body: SessionRequest["body"],
): SessionRequest {
  return { by, method: "POST", path, body };
}

function text(cents: number): string {
  return (cents / 100).toFixed(2);
}
