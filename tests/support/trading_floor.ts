/**
 * All who take part in trading, without a runtime: what one tells another lies in a lane, first told
 * first brought, and which lane is served next is for the test to choose. As between real actors, only
 * the order within one lane can be relied on.
 *
 * @module
 */
import assert from "node:assert/strict";
import * as Account from "../../actors/account/aggregate.ts";
import * as Market from "../../actors/market/aggregate.ts";
import * as Order from "../../actors/order/aggregate.ts";
import { hasEnded, needOf, remainingOf } from "../../actors/order/state.ts";
import * as Portfolio from "../../actors/portfolio/aggregate.ts";
import * as Risk from "../../actors/risk/aggregate.ts";
import type { Aggregate, Message } from "../../lib/runtime/aggregate.ts";
import { AT } from "./given.ts";

// Each is driven in the same way, whatever it is about.
// deno-lint-ignore no-explicit-any
type AnyAggregate = Aggregate<any, any, any, string>;

const aggregates: Readonly<Record<string, AnyAggregate>> = {
  account: Account,
  market: Market,
  order: Order,
  portfolio: Portfolio,
  risk: Risk,
};

interface Recorded {
  readonly kind: string;
  readonly key: string;
  readonly event: { readonly type: string } & Readonly<Record<string, unknown>>;
}

export class TradingFloor {
  readonly recorded: Recorded[] = [];
  readonly #states = new Map<string, unknown>();
  readonly #lanes = new Map<string, Message[]>();
  /** What is due later. */
  readonly #later: (readonly [from: string, message: Message])[] = [];

  /** The reason, if it is refused. */
  ask(kind: string, key: string, command: unknown, as = "nobody"): string | undefined {
    return this.#handle(kind, key, command, as);
  }

  /** Brings the first message of some lane; says whether there was one. */
  deliver(choice: number): boolean {
    const lanes = [...this.#lanes].filter(([, lane]) => lane.length > 0);
    if (lanes.length === 0) return false;
    const { to, command } = lanes[choice % lanes.length]![1].shift()!;
    const aggregate = aggregates[to.kind]!;
    const told = aggregate.Command!.parse(JSON.parse(JSON.stringify(command)));
    assert.equal(this.#handle(to.kind, to.key, told, "system"), undefined, "what is told is taken");
    return true;
  }

  /** Brings all there is, and all that follows from it. */
  settle(choice = 0): void {
    while (this.deliver(choice));
  }

  /** The day is over: what was to be told later is due. */
  endDay(): void {
    for (const [from, message] of this.#later.splice(0)) this.#send(from, message);
  }

  all<State>(kind: string): readonly (readonly [key: string, state: State])[] {
    return [...this.#states].filter(([address]) => address.startsWith(`${kind}/`))
      .map(([address, state]) => [address.slice(kind.length + 1), state as State]);
  }

  #handle(kind: string, key: string, command: unknown, as: string): string | undefined {
    const aggregate = aggregates[kind]!;
    const address = `${kind}/${key}`;
    const context = { key, at: AT, principal: { id: as, roles: [] } };
    let state = this.#states.get(address) ?? aggregate.initial;
    const decision = aggregate.decide(state, command, context);
    if (!decision.accepted) return decision.reason;
    for (const event of decision.events) {
      const read = aggregate.Event.parse(JSON.parse(JSON.stringify(event)));
      this.recorded.push({ kind, key, event: read });
      state = aggregate.evolve(state, read);
    }
    this.#states.set(address, state);
    for (const message of decision.messages ?? []) {
      if (message.delayMs === undefined) this.#send(address, message);
      else this.#later.push([address, message]);
    }
    return undefined;
  }

  #send(from: string, message: Message): void {
    const lane = `${from} → ${message.to.kind}/${message.to.key}`;
    const waiting = this.#lanes.get(lane) ?? [];
    waiting.push(message);
    this.#lanes.set(lane, waiting);
  }
}

/** What holds after every single commit. */
export function assertSound(floor: TradingFloor): void {
  for (const [key, { cash, reserved }] of floor.all<Account.State>("account")) {
    assert(reserved >= 0n && reserved <= cash, `${key} keeps ${reserved} of ${cash}`);
  }
  for (const [key, { positions }] of floor.all<Portfolio.State>("portfolio")) {
    for (const { symbol, quantity, reserved } of positions.values()) {
      const isThere = reserved >= 0 && reserved <= quantity;
      assert(isThere, `${key} keeps ${reserved} of ${quantity} ${symbol}`);
    }
  }
  for (const [key, order] of floor.all<Order.State>("order")) {
    const remaining = remainingOf(order);
    assert(remaining >= 0, `${key} has traded ${-remaining} too many`);
    if (hasEnded(order)) assert.equal(order.kept, 0n, `${key} has ended`);
    const need = order.status === "working" ? needOf(order.side, order.limit, remaining) : 0n;
    assert(order.kept >= need, `${key} needs ${need} and has ${order.kept}`);
  }
}

/** What holds besides once nothing is on its way. */
export function assertSettled(floor: TradingFloor): void {
  const orders = new Map(floor.all<Order.State>("order"));
  const kept = new Map<string, bigint>();
  for (const [, { reservations }] of floor.all<Account.State>("account")) {
    for (const { orderId, amount } of reservations.values()) kept.set(orderId, amount);
  }
  for (const [, { reservations }] of floor.all<Portfolio.State>("portfolio")) {
    for (const { orderId, quantity } of reservations.values()) kept.set(orderId, BigInt(quantity));
  }
  const resting = new Map<string, number>();
  for (const [, { book }] of floor.all<Market.State>("market")) {
    for (const { id, remaining } of book.orders.values()) resting.set(id, remaining);
  }
  const open = floor.all<Risk.State>("risk").reduce((sum, [, { open }]) => sum + open.size, 0);
  for (const [key, order] of orders) {
    assert(hasEnded(order) || order.status === "working", `${key} is ${order.status}`);
    assert.equal(kept.get(key) ?? 0n, order.kept, `what is kept for ${key}`);
    const waits = order.status === "working" ? remainingOf(order) : undefined;
    assert.equal(resting.get(key), waits, `what rests of ${key}`);
    if (hasEnded(order)) continue;
    assert.equal(order.replacement, undefined, `${key} has been replaced, or not`);
    const need = needOf(order.side, order.limit, remainingOf(order));
    assert.equal(order.kept, need, `what ${key} needs is kept, and no more`);
  }
  assert.equal(open, resting.size, "orders that risk knows of as open");
  assertConserved(floor);
}

/** Cash and shares are what came in, whoever has them now. */
function assertConserved(floor: TradingFloor): void {
  let cash = 0n;
  const shares = new Map<string, number>();
  const settled = new Map<string, number>();
  for (const { event } of floor.recorded) {
    const { type, symbol, quantity, amount, tradeId } = event;
    if (type === "Deposited") cash += BigInt(amount as string);
    if (type === "Withdrawn") cash -= BigInt(amount as string);
    const sign = type === "SharesDeposited" ? 1 : type === "SharesWithdrawn" ? -1 : 0;
    if (sign !== 0) {
      const held = shares.get(symbol as string) ?? 0;
      shares.set(symbol as string, held + sign * (quantity as number));
    }
    const isSettlement = /^(PurchasePaid|SaleReceived|SharesBought|SharesSold)$/.test(type);
    if (isSettlement) {
      const settlement = `${type} ${tradeId}`;
      settled.set(settlement, (settled.get(settlement) ?? 0) + 1);
    }
  }
  assert.deepEqual([...settled].filter(([, times]) => times !== 1), [], "settled once");
  const trades = floor.all<Market.State>("market")
    .reduce((sum, [, { nextTrade }]) => sum + nextTrade - 1, 0);
  assert.equal(settled.size, 4 * trades, "each trade has four sides");
  const held = floor.all<Account.State>("account").reduce((sum, [, { cash }]) => sum + cash, 0n);
  assert.equal(held, cash, "cash");
  for (const [symbol, came] of shares) {
    const owned = floor.all<Portfolio.State>("portfolio")
      .reduce((sum, [, { positions }]) => sum + (positions.get(symbol)?.quantity ?? 0), 0);
    assert.equal(owned, came, `shares of ${symbol}`);
  }
}
