/**
 * What a market has recorded, played once more by the naive book: that matches an order at once, in
 * however many parts the market has.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type * as Market from "../../actors/market/aggregate.ts";
import type { EventOf } from "../../actors/market/events.ts";
import { sides } from "../../actors/trading.ts";
import { NaiveBook, type NaiveResult } from "./naive_book.ts";

type Matched = EventOf<"OrderSubmitted" | "OrderReplaced">;

/** What the naive book has made of an order, and the market has not recorded yet. */
interface Expected extends NaiveResult {
  readonly orderId: string;
}

export class ReplayedMarket {
  readonly #book = new NaiveBook();
  readonly #submitted = new Set<string>();
  #status: Market.State["status"] = "unknown";
  #nextTrade = 1;
  #unfinished: Expected | undefined;
  /** What was postponed, by order. */
  readonly #waiting: string[] = [];
  /** Whose turn it is of those. */
  #takenUp: string | undefined;

  /** What is wrong with it, if anything is. */
  play(event: Market.Event): string | undefined {
    switch (event.type) {
      case "PriceQuoted":
        if (this.#status === "unknown") this.#status = "open";
        return undefined;
      case "TradingPaused":
        this.#status = "paused";
        return undefined;
      case "TradingResumed":
        this.#status = "open";
        return undefined;
      case "Postponed":
        this.#waiting.push(event.command.orderId);
        return undefined;
      case "TakenUp":
        this.#takenUp = this.#waiting.shift();
        return this.#takenUp === undefined ? "what was not postponed is taken up" : undefined;
      case "OrderSubmitted":
        if (this.#unfinished?.orderId === event.orderId) {
          return this.#goesOn(this.#unfinished, event);
        }
        return this.#tooEarly(event) ?? this.#firstSubmitted(event) ?? this.#matched(event);
      case "OrderReplaced":
        if (this.#tooEarly(event)) return this.#tooEarly(event);
        if (this.#book.withdraw(event.orderId) === 0) return `${event.orderId} did not rest`;
        return this.#matched(event);
      case "OrderWithdrawn": {
        if (this.#tooEarly(event)) return this.#tooEarly(event);
        const rested = this.#book.withdraw(event.orderId);
        if (rested === event.remaining) return undefined;
        return `${event.orderId} was withdrawn with ${event.remaining}, and not with ${rested}`;
      }
      case "OrderLessened":
        if (this.#tooEarly(event)) return this.#tooEarly(event);
        this.#book.lessen(event.orderId, event.by);
        if (event.by >= 0) return undefined;
        return `${event.orderId} has become larger and kept its place`;
      default:
        return undefined;
    }
  }

  /** Where a book has other orders than the naive one, or in another order. */
  differenceFrom(market: Market.State): string | undefined {
    for (const side of sides) {
      const resting = market.book.orders.values()
        .filter((order) => order.side === side)
        .toSorted((a, b) =>
          (side === "buy" ? b.price - a.price : a.price - b.price) ||
          a.place - b.place
        )
        .map(({ id, price, remaining }) => [id, price, remaining]);
      const expected = this.#book.standing(side);
      if (isDeepStrictEqual(resting, expected)) continue;
      return `to ${side} there rest ${JSON.stringify(resting)}, not ${JSON.stringify(expected)}`;
    }
    return undefined;
  }

  /** Nothing comes between the parts of an order, and nobody before those who wait. */
  #tooEarly({ orderId }: { readonly orderId: string }): string | undefined {
    if (this.#unfinished !== undefined) {
      return `${orderId} comes before the end of ${this.#unfinished.orderId}`;
    }
    if (this.#waiting.length === 0 || orderId === this.#takenUp) return undefined;
    return `${orderId} comes before ${this.#waiting[0]}, which waits`;
  }

  #firstSubmitted({ orderId }: Matched): string | undefined {
    if (this.#submitted.has(orderId)) return `${orderId} was submitted twice`;
    this.#submitted.add(orderId);
    return undefined;
  }

  #matched(event: Matched): string | undefined {
    const { orderId, accountId, side, limit, quantity, timeInForce } = event;
    const order = { id: orderId, accountId, side, limit, quantity, timeInForce };
    const expected = { ...this.#book.submit(order), orderId };
    if (this.#status === "open") return this.#goesOn(expected, event);
    return `${orderId} was taken while the market was ${this.#status}`;
  }

  /** The first of what is expected has been recorded, and all of it unless the market goes on. */
  #goesOn(expected: Expected, event: Matched): string | undefined {
    const { orderId, trades, remaining, rest, firstTrade, quantity } = event;
    const part = expected.trades.slice(0, trades.length);
    const later = expected.trades.slice(trades.length);
    const left = quantity - trades.reduce((sum, { quantity }) => sum + quantity, 0);
    const isPart = later.length > 0;
    const whole = isPart
      ? { trades: part, remaining: left, rest: "goes-on" }
      : { trades: expected.trades, remaining: expected.remaining, rest: expected.rest };
    this.#unfinished = isPart ? { ...expected, trades: later } : undefined;
    const next = { ...whole, firstTrade: this.#nextTrade };
    this.#nextTrade += part.length;
    const matching = { trades, remaining, rest, firstTrade };
    if (isDeepStrictEqual(matching, next)) return undefined;
    return `${orderId} led to ${JSON.stringify(matching)}, not to ${JSON.stringify(next)}`;
  }
}
