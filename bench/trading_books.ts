/**
 * Whether what accounts have, what came in and what became of the orders can all be true at once.
 *
 * All of it as the service tells its users, in units of `actors/trading.ts`.
 *
 * @module
 */
import {
  CASH_DECIMALS,
  costOf,
  PRICE_DECIMALS,
  QUANTITY_DECIMALS,
  type Side,
} from "../actors/trading.ts";
import { decimalOf, unitsOf } from "../lib/decimal.ts";

/** What an account was answered to have brought in and taken out. */
export interface Ledger {
  deposited: bigint;
  withdrawn: bigint;
  /** By symbol. */
  readonly shares: Map<string, { quantity: number; cost: bigint }>;
}

export interface AccountView {
  readonly cash: string;
  readonly reserved: string;
}

export interface PositionView {
  readonly symbol: string;
  readonly quantity: string;
  readonly reserved: string;
  readonly earned: string;
  readonly lots: readonly { readonly quantity: string; readonly price: string }[];
}

/** Of a position that was given up, what its sales earned in all. */
export interface ClosingView {
  readonly symbol: string;
  readonly realized: string;
}

export interface OrderView {
  readonly id: string;
  readonly status: string;
  readonly reason?: string;
  readonly symbol: string;
  readonly side: Side;
  readonly quantity: string;
  readonly filled: string;
  readonly replacement?: unknown;
}

/** One account with all that belongs to it. */
export interface Books {
  readonly name: string;
  readonly ledger: Ledger;
  readonly account: AccountView;
  readonly positions: readonly PositionView[];
  readonly closings: readonly ClosingView[];
  readonly orders: readonly OrderView[];
}

/** One line of the proof. */
export interface Check {
  readonly what: string;
  readonly faults: readonly string[];
}

export const endedStatuses: readonly string[] = ["filled", "cancelled", "rejected"];

export function newLedger(): Ledger {
  return { deposited: 0n, withdrawn: 0n, shares: new Map() };
}

export function cashUnits(text: string): bigint {
  return unitsOf(text, CASH_DECIMALS)!;
}

export function quantityUnits(text: string): number {
  return Number(unitsOf(text, QUANTITY_DECIMALS)!);
}

export function priceUnits(text: string): number {
  return Number(unitsOf(text, PRICE_DECIMALS)!);
}

/**
 * The proof. What a sale earned is what it brought less what had been paid for its shares, so of each
 * position what was paid and brought in cash follows from its lots, what it has earned, and what those
 * of its symbol had that were closed before it.
 */
export function checksOf(all: readonly Books[]): readonly Check[] {
  return [cash(all), shares(all), nothingKept(all), ends(all), bothSides(all), ownOrders(all)];
}

function cash(all: readonly Books[]): Check {
  const came = sum(all.map(({ ledger }) => ledger.deposited));
  const left = sum(all.map(({ ledger }) => ledger.withdrawn));
  const there = sum(all.map(({ account }) => cashUnits(account.cash)));
  const what = `Cash: ${money(came)} came in, ${money(left)} left, ${money(there)} is there`;
  return { what, faults: difference("cash is", there, "and should be", came - left) };
}

function shares(all: readonly Books[]): Check {
  const symbols = symbolsIn(all);
  const faults = symbols.flatMap((symbol) => {
    const came = total(all.map(({ ledger }) => ledger.shares.get(symbol)?.quantity ?? 0));
    const there = total(all.map((books) => heldOf(books, symbol)));
    return difference(`${symbol}: shares there`, there, "deposited", came);
  });
  return { what: `Shares: as many as came in, of each of ${symbols.length} symbols`, faults };
}

function nothingKept(all: readonly Books[]): Check {
  const faults = all.flatMap(({ name, account, positions }) => [
    ...account.reserved === "0" ? [] : [`${name}: ${account.reserved} of cash`],
    ...positions.filter(({ reserved }) => reserved !== "0")
      .map(({ symbol, reserved }) => `${name}: ${reserved} ${symbol}`),
  ]);
  return { what: "Nothing is kept for any order any more", faults };
}

function ends(all: readonly Books[]): Check {
  const orders = all.flatMap(({ orders }) => orders);
  const faults = orders.flatMap(({ id, status, quantity, filled }) => {
    const [most, done] = [quantityUnits(quantity), quantityUnits(filled)];
    if (!endedStatuses.includes(status)) return [`${id} is ${status}`];
    if (done > most) return [`${id} has traded ${filled} of ${quantity}`];
    if ((done === most) !== (status === "filled")) {
      return [`${id} is ${status} with ${filled} of ${quantity} traded`];
    }
    return status === "rejected" && done > 0 ? [`${id} is rejected and has traded`] : [];
  });
  const what = `Orders: all ${count(orders.length)} that were acknowledged have come to their end`;
  return { what, faults };
}

/** What one buys another sells, at the same price. */
function bothSides(all: readonly Books[]): Check {
  let traded = 0;
  const faults = symbolsIn(all).flatMap((symbol) => {
    const by = (side: Side) => total(all.map(({ orders }) => tradedBy(orders, symbol, side)));
    const [bought, sold] = [by("buy"), by("sell")];
    traded += bought;
    const flow = sum(all.map((books) => flowOf(books, symbol)));
    return [
      ...difference(`${symbol}: bought`, bought, "sold", sold),
      ...difference(`${symbol}: received less paid in cash`, flow, "and should be", 0n),
    ];
  });
  const what = `Trades: bought is sold, in shares (${quantityText(traded)}) and in cash`;
  return { what, faults };
}

/** Each account by itself: its shares follow from its orders, its cash from its positions. */
function ownOrders(all: readonly Books[]): Check {
  const faults = all.flatMap((books) => {
    const { name, ledger, account, orders } = books;
    const symbols = symbolsIn([books]);
    const flow = sum(symbols.map((symbol) => flowOf(books, symbol)));
    const expected = ledger.deposited - ledger.withdrawn + flow;
    return [
      ...symbols.flatMap((symbol) => {
        const net = tradedBy(orders, symbol, "buy") - tradedBy(orders, symbol, "sell");
        const should = (ledger.shares.get(symbol)?.quantity ?? 0) + net;
        const there = heldOf(books, symbol);
        return difference(`${name}: ${symbol} there`, there, "by its orders", should);
      }),
      ...difference(`${name}: cash there`, cashUnits(account.cash), "by its positions", expected),
    ];
  });
  const closings = count(total(all.map(({ closings }) => closings.length)));
  const what = `Accounts: each of ${count(all.length)} has what its own orders and deposits ` +
    `explain, with ${closings} positions closed`;
  return { what, faults };
}

function heldOf({ positions }: Books, symbol: string): number {
  const position = positions.find((each) => each.symbol === symbol);
  return position === undefined ? 0 : quantityUnits(position.quantity);
}

/** What trading in one symbol brought in cash, less what it took. */
function flowOf({ ledger, positions, closings }: Books, symbol: string): bigint {
  const isOfIt = (each: { readonly symbol: string }) => each.symbol === symbol;
  const { earned = "0", lots = [] } = positions.find(isOfIt) ?? {};
  const before = closings.filter(isOfIt).map(({ realized }) => cashUnits(realized));
  const paid = lots.map(({ price, quantity }) =>
    costOf(priceUnits(price), quantityUnits(quantity))
  );
  const brought = ledger.shares.get(symbol)?.cost ?? 0n;
  return brought + cashUnits(earned) + sum(before) - sum(paid);
}

function tradedBy(orders: readonly OrderView[], symbol: string, side: Side): number {
  return total(
    orders.filter((order) => order.symbol === symbol && order.side === side)
      .map(({ filled }) => quantityUnits(filled)),
  );
}

function symbolsIn(all: readonly Books[]): string[] {
  const symbols = all.flatMap(({ ledger, positions, orders }) => [
    ...ledger.shares.keys(),
    ...positions.map(({ symbol }) => symbol),
    ...orders.map(({ symbol }) => symbol),
  ]);
  return [...new Set(symbols)].toSorted();
}

function difference<Units extends bigint | number>(
  what: string,
  is: Units,
  and: string,
  other: Units,
): string[] {
  const read = typeof is === "bigint" ? money : quantityText;
  return is === other ? [] : [`${what} ${read(is)}, ${and} ${read(other)}`];
}

function sum(all: readonly bigint[]): bigint {
  return all.reduce((sum, one) => sum + one, 0n);
}

function total(all: readonly number[]): number {
  return all.reduce((sum, one) => sum + one, 0);
}

function money(units: bigint | number): string {
  const [whole, fraction] = decimalOf(units, CASH_DECIMALS).split(".");
  return BigInt(whole!).toLocaleString("en") + (fraction === undefined ? "" : `.${fraction}`);
}

function quantityText(units: bigint | number): string {
  const [whole, fraction] = decimalOf(units, QUANTITY_DECIMALS).split(".");
  return count(Number(whole)) + (fraction === undefined ? "" : `.${fraction}`);
}

function count(value: number): string {
  return value.toLocaleString("en");
}
