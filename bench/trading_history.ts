/**
 * Weeks of trading in memory, by people who have signed up for it: the real aggregates, driven as the runtime would drive them, one command
 * after the other with all that follows from it. What would have been recorded is handed on.
 *
 * @module
 */
import * as Account from "../actors/account/aggregate.ts";
import * as Market from "../actors/market/aggregate.ts";
import * as Order from "../actors/order/aggregate.ts";
import { hasEnded } from "../actors/order/state.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import { positionOf } from "../actors/portfolio/state.ts";
import * as Risk from "../actors/risk/aggregate.ts";
import * as User from "../actors/user/aggregate.ts";
import { CASH_DECIMALS, costOf, PRICE_DECIMALS, QUANTITY_DECIMALS } from "../actors/trading.ts";
import type { Address, Envelope, Principal } from "../lib/runtime/envelope.ts";
import type { Commit, NewMessage, Snapshot } from "../lib/runtime/store.ts";
import { type AnyAggregate, decideTurn, type Letter, type Standing } from "../lib/runtime/turn.ts";
import { stableUuid } from "../lib/stable_uuid.ts";
import { countedUuid, mulberry32 } from "../tests/support/seeded.ts";

export interface HistoryPlan {
  readonly seed: number;
  readonly orders: number;
  readonly accounts: number;
  readonly symbols: number;
  /** So many orders still wait in their markets at the end, or a few more. */
  readonly resting: number;
  /** In epoch milliseconds; `from` is at least a day before `until`, which is now. */
  readonly from: number;
  readonly until: number;
}

export interface HistorySink {
  recorded(commit: Commit): void;
  /** Nothing will follow of that actor. */
  left(actor: LeftActor): void;
  /** Told, and due only after the end. */
  waiting(message: WaitingMessage): void;
}

export interface LeftActor {
  readonly address: Address;
  readonly version: number;
  readonly revision: number;
  readonly snapshot?: Snapshot;
}

export interface WaitingMessage extends NewMessage {
  /** When it was told. */
  readonly at: number;
}

// The runtime does not know their types either.
const aggregates = new Map(
  [Account, Market, Order, Portfolio, Risk, User].map((aggregate) =>
    [aggregate.kind, aggregate as unknown as AnyAggregate] as const
  ),
);

const dayMs = 24 * 3_600_000;
/** Of the orders of the last day, the part that is far from the price and waits. */
const patientShare = 0.8;
const marketShare = 0.1;
const immediateShare = 0.1;
const cancelledShare = 0.12;
const replacedShare = 0.04;
const ordersPerQuote = 50;
/** Who may be asked to cancel or to change: so many of the last orders. */
const recentMax = 200;
const accountsPerLimits = 20;
const symbolsPerAccount = 3;
const quantityMax = 100;
const shares = 2_000 * 10 ** QUANTITY_DECIMALS;
const cash = 1_000_000n * 10n ** BigInt(CASH_DECIMALS);
const orderCostMax = 8_000n * 10n ** BigInt(CASH_DECIMALS);
const cent = 10 ** (PRICE_DECIMALS - 2);
const centsMin = 1_000;
const centsMax = 30_000;
/** How far from the last price a market order may trade, as over HTTP. */
const collar = 0.05;
/** From so many events on, an actor that leaves memory leaves a snapshot behind. */
const snapshotFrom = 16;

const feed: Principal = { id: "feed", roles: ["feed"] };

/** Who holds the account of that number; of users the service makes up such ids. */
export function traderOf(account: number): Principal {
  return { id: stableUuid(`trader ${account}`), roles: ["trader"] };
}

export function symbolOf(number: number): string {
  return `SYM${number}`;
}

export class TradingHistory {
  readonly #plan: HistoryPlan;
  readonly #sink: HistorySink;
  readonly #random: () => number;
  readonly #standings = new Map([...aggregates.keys()].map((kind) => {
    return [kind, new Map<string, Standing>()];
  }));
  readonly #told: NewMessage[] = [];
  /** What is told for later: it is due when the day is over. */
  #later: WaitingMessage[] = [];
  readonly #recent: { readonly id: string; readonly account: number }[] = [];
  readonly #cents: number[];
  readonly #env = { now: () => this.#at, uuid: () => countedUuid(this.#at, this.#ids++) };
  #at: number;
  #ids = 0;

  constructor(plan: HistoryPlan, sink: HistorySink) {
    this.#plan = plan;
    this.#sink = sink;
    this.#random = mulberry32(plan.seed);
    this.#at = plan.from;
    this.#cents = Array.from({ length: plan.symbols }, () => this.#between(centsMin, centsMax));
  }

  /** Yields after each command from outside, so that whoever takes all this can catch up. */
  *run(): Generator<void> {
    yield* this.#open();
    const { orders, from, until } = this.#plan;
    const today = until - until % dayMs;
    const last = Math.min(orders, Math.ceil(this.#plan.resting / patientShare));
    const earlier = orders - last;
    const opened = this.#at;
    for (let number = 0; number < orders; number++) {
      const at = number < earlier
        ? opened + (today - opened) * number / earlier
        : Math.max(today, from) + (until - today) * (number - earlier) / last;
      yield* this.#goOnTo(Math.floor(at));
      this.#order(number >= earlier && (number - earlier) % 5 !== 0);
      yield;
      this.#besides(number);
      yield;
    }
    yield* this.#close();
  }

  /** Feeds say their first prices, and everybody brings something in. */
  *#open(): Generator<void> {
    const { accounts, symbols } = this.#plan;
    for (let symbol = 0; symbol < symbols; symbol++) this.#quote(symbol);
    for (let account = 0; account < accounts; account++) {
      const trader = traderOf(account);
      this.#signUp(trader, `trader-${account}`);
      this.#ask(Account.kind, trader.id, { type: "Deposit", amount: cash }, trader);
      for (const symbol of this.#symbolsOf(account)) {
        const deposit = { symbol: symbolOf(symbol), quantity: shares, price: this.#price(symbol) };
        this.#ask(Portfolio.kind, trader.id, { type: "Deposit", ...deposit }, trader);
      }
      if (account % accountsPerLimits === 0) {
        const limits = { orderCost: String(orderCostMax), pausesOnBreach: false };
        this.#ask(Risk.kind, trader.id, { type: "SetLimits", ...limits }, trader);
      }
      this.#at++;
      yield;
    }
  }

  /** Nobody can sign in: what is kept of the password is that of none. */
  #signUp(trader: Principal, displayName: string): void {
    const email = `${displayName}@example.org`;
    const secrets = { passwordHash: "none", verificationHash: "none" };
    this.#ask(User.kind, trader.id, { type: "Register", email, ...secrets }, trader);
    this.#ask(User.kind, trader.id, { type: "VerifyEmail", ...secrets }, trader);
    this.#ask(User.kind, trader.id, { type: "Revise", profile: { displayName } }, trader);
    this.#leave({ kind: User.kind, key: trader.id });
  }

  /** What is left in memory is what the service would read from now on. */
  *#close(): Generator<void> {
    for (const message of this.#later) this.#sink.waiting(message);
    for (const [kind, standings] of this.#standings) {
      for (const key of standings.keys()) {
        this.#leave({ kind, key });
        yield;
      }
    }
  }

  /** Where a day ends on the way, its orders do. */
  *#goOnTo(at: number): Generator<void> {
    const dayEnd = this.#at - this.#at % dayMs + dayMs;
    if (at >= dayEnd) {
      this.#at = dayEnd;
      const due = this.#later;
      this.#later = [];
      for (const message of due) {
        this.#told.push(message);
        this.#settle();
        this.#leave(message.to);
        yield;
      }
    }
    // The clock may be ahead a little: what follows from a command takes time.
    this.#at = Math.max(this.#at, at);
  }

  #order(isPatient: boolean): void {
    const { accounts } = this.#plan;
    // Some trade much more than others.
    const account = Math.floor(this.#random() * this.#random() * accounts);
    const trader = traderOf(account);
    const number = this.#symbolsOf(account)[Math.floor(this.#random() * symbolsPerAccount)]!;
    const symbol = symbolOf(number);
    const quantity = this.#between(1, quantityMax) * 10 ** QUANTITY_DECIMALS;
    const side = this.#random() < 0.5 && this.#sharesOf(trader.id, symbol) >= quantity
      ? "sell"
      : "buy";
    const kind = isPatient ? 1 : this.#random();
    const isMarket = kind < marketShare;
    const limit = isMarket ? this.#collared(symbol, side) : this.#limit(number, side, isPatient);
    if (side === "buy" && this.#cashOf(trader.id) < costOf(limit, quantity)) return;
    const timeInForce = kind < marketShare + immediateShare ? "immediate-or-cancel" : "day";
    const orderType = isMarket ? "market" : "limit";
    const order = { symbol, side, orderType, limit, quantity, timeInForce };
    const id = this.#env.uuid();
    this.#ask(Order.kind, id, { type: "Place", ...order }, trader);
    if (hasEnded(this.#stateOf<Order.State>(Order.kind, id)!)) {
      this.#leave({ kind: Order.kind, key: id });
    } else if (!isPatient) this.#remember(id, account);
  }

  /** Second thoughts, and news from the feed. */
  #besides(number: number): void {
    if (number % ordersPerQuote === 0) this.#quote(Math.floor(number / ordersPerQuote));
    const mood = this.#random();
    if (mood >= cancelledShare + replacedShare) return;
    const { id, account } = this.#recent[Math.floor(this.#random() * this.#recent.length)] ?? {};
    const order = id === undefined ? undefined : this.#stateOf<Order.State>(Order.kind, id);
    if (order?.status !== "working") return;
    const trader = traderOf(account!);
    if (mood < cancelledShare) this.#ask(Order.kind, id!, { type: "Cancel" }, trader);
    else {
      const limit = Math.max(cent, order.limit + this.#between(-50, 50) * cent);
      this.#ask(Order.kind, id!, { type: "Replace", limit }, trader);
    }
  }

  #remember(id: string, account: number): void {
    this.#recent.push({ id, account });
    if (this.#recent.length > recentMax) this.#recent.shift();
  }

  #quote(number: number): void {
    const symbol = number % this.#plan.symbols;
    const quotedAt = new Date(this.#at).toISOString();
    const quotation = { price: this.#price(symbol), volume: 0, quotedAt };
    this.#ask(Market.kind, symbolOf(symbol), { type: "Quote", ...quotation }, feed);
  }

  /** Around a price that wanders, or out of reach. */
  #limit(symbol: number, side: "buy" | "sell", isPatient: boolean): number {
    const before = this.#cents[symbol]!;
    const drift = Math.round(before * (this.#random() - 0.5) * 0.002);
    if (!isPatient) this.#cents[symbol] = Math.max(centsMin / 2, before + drift);
    const cents = this.#cents[symbol]!;
    const away = isPatient
      ? Math.round(cents * (0.1 + 0.1 * this.#random()))
      : Math.round(cents * 0.01 * (this.#random() * this.#random() - 0.1));
    return (side === "buy" ? cents - away : cents + away) * cent;
  }

  #collared(symbol: string, side: "buy" | "sell"): number {
    const { price } = this.#stateOf<Market.State>(Market.kind, symbol)!;
    return side === "buy" ? Math.ceil(price * (1 + collar)) : Math.floor(price * (1 - collar));
  }

  #price(symbol: number): number {
    return this.#cents[symbol]! * cent;
  }

  /** Those that somebody trades in. */
  #symbolsOf(account: number): number[] {
    return Array.from(
      { length: symbolsPerAccount },
      (_, n) => (account * 7 + n * 11) % this.#plan.symbols,
    );
  }

  #cashOf(id: string): bigint {
    return Account.availableOf(this.#stateOf<Account.State>(Account.kind, id)!);
  }

  #sharesOf(id: string, symbol: string): number {
    const state = this.#stateOf<Portfolio.State>(Portfolio.kind, id)!;
    return Portfolio.availableOf(positionOf(state, symbol));
  }

  #stateOf<State>(kind: string, key: string): State | undefined {
    return this.#standings.get(kind)!.get(key)?.state as State | undefined;
  }

  /** From outside, and all that follows from it. */
  #ask(kind: string, key: string, command: unknown, principal: Principal): void {
    const messageId = this.#env.uuid();
    const ids = { messageId, correlationId: messageId, causationId: messageId };
    this.#handle({ kind, key }, letterOf({ ...ids, principal }, { kind, key }, command));
    this.#settle();
  }

  /** In the order in which it was told, which is one of those that the outbox may bring it in. */
  #settle(): void {
    for (let next = 0; next < this.#told.length; next++) {
      const { to, command, schema, ...cause } = this.#told[next]!;
      this.#at++;
      const batch = { isBroken: false };
      this.#handle(to, letterOf(cause, to, command, { position: 0, schema, batch }));
    }
    this.#told.length = 0;
  }

  #handle(address: Address, letter: Letter): void {
    const aggregate = aggregates.get(address.kind)!;
    const standings = this.#standings.get(address.kind)!;
    const standing = standings.get(address.key) ?? { ...nothing, state: aggregate.initial };
    const { commit, state, verdicts } = decideTurn(
      aggregate,
      address,
      standing,
      [letter],
      this.#env,
    );
    const [verdict] = verdicts;
    if (verdict!.is === "defect") throw verdict!.error;
    if (commit.events.length === 0 && commit.consumed === undefined) return;
    const version = standing.version + commit.events.length;
    standings.set(address.key, { ...standing, state, version, revision: standing.revision + 1 });
    this.#sink.recorded(commit);
    for (const message of commit.messages ?? []) {
      if (message.delayMs === 0) this.#told.push(message);
      else this.#later.push({ ...message, at: commit.at });
    }
  }

  /** Nothing will be told to it any more, or the end has come. */
  #leave(address: Address): void {
    const standings = this.#standings.get(address.kind)!;
    const { version, revision, state } = standings.get(address.key)!;
    standings.delete(address.key);
    const codec = aggregates.get(address.kind)!.snapshot;
    const snapshot = codec !== undefined && version >= snapshotFrom
      ? { version, schema: codec.schema, state: codec.encode(state) }
      : undefined;
    this.#sink.left({ address, version, revision, ...(snapshot !== undefined && { snapshot }) });
  }

  /** Both ends included. */
  #between(min: number, max: number): number {
    return Math.floor(min + this.#random() * (max - min + 1));
  }
}

const nothing = { version: 0, revision: 0, transaction: "0" };

function letterOf(
  cause: Omit<Envelope, "address" | "command" | "deadline">,
  address: Address,
  command: unknown,
  delivery?: NonNullable<Letter["delivery"]>,
): Letter {
  return {
    envelope: { ...cause, address, command, deadline: Infinity },
    ...(delivery !== undefined && { delivery }),
    isInspection: false,
    answer: () => null,
    receivedAt: 0,
    resolve: () => {},
    reject: () => {},
    isSettled: false,
  };
}
