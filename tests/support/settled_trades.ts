/**
 * Every trade that the markets have recorded, and what has followed from it at those who took part.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { costOf, type Side } from "../../actors/trading.ts";

export interface Party {
  readonly orderId: string;
  readonly accountId: string;
}

export interface MarketTrade {
  readonly tradeId: string;
  readonly symbol: string;
  readonly price: number;
  readonly quantity: number;
  readonly buyer: Party;
  readonly seller: Party;
}

/** What follows from a trade, once on each of its sides. */
const parts: Readonly<Record<Side, readonly string[]>> = {
  buy: ["OrderExecuted", "PurchasePaid", "SharesBought", "PositionChanged"],
  sell: ["OrderExecuted", "SaleReceived", "SharesSold", "PositionChanged"],
};

/** A part of a trade, as it was recorded; each kind of event says some of it. */
export interface Part {
  readonly type: string;
  readonly tradeId: string;
  readonly side: Side;
  readonly says: Partial<Told>;
}

interface Told extends Party {
  readonly symbol: string;
  readonly price: number;
  readonly quantity: number;
  readonly amount: string;
}

interface Entry {
  readonly trade: MarketTrade;
  readonly done: Set<string>;
}

export class SettledTrades {
  readonly #entries = new Map<string, Entry>();
  /** Those of which a part is missing. */
  readonly #open = new Set<Entry>();

  add(trade: MarketTrade): void {
    const entry: Entry = { trade, done: new Set() };
    this.#entries.set(trade.tradeId, entry);
    this.#open.add(entry);
  }

  /** What is wrong with it, if anything is. */
  settle({ type, tradeId, side, says }: Part): string | undefined {
    const entry = this.#entries.get(tradeId);
    if (entry === undefined) {
      return `${type} of ${tradeId} is of no trade that a market has recorded`;
    }
    const { trade, done } = entry;
    const part = `${type} of ${side === "buy" ? "the buyer" : "the seller"}`;
    if (done.has(part)) return `${part} of ${tradeId} is there twice`;
    done.add(part);
    if (done.size === parts.buy.length + parts.sell.length) this.#open.delete(entry);
    const expected = { ...told(trade, side), ...says };
    if (isDeepStrictEqual(expected, told(trade, side))) return undefined;
    return `${part} of ${tradeId} says ${JSON.stringify(says)}`;
  }

  /** What has not followed yet from any of them. */
  *missing(): Iterable<string> {
    for (const { trade: { tradeId }, done } of this.#open) {
      for (const [side, who] of [["buy", "the buyer"], ["sell", "the seller"]] as const) {
        const left = parts[side].filter((type) => !done.has(`${type} of ${who}`));
        for (const type of left) yield `${type} of ${who} of ${tradeId} is missing`;
      }
    }
  }
}

function told({ symbol, price, quantity, buyer, seller }: MarketTrade, side: Side): Told {
  const party = side === "buy" ? buyer : seller;
  return { ...party, symbol, price, quantity, amount: String(costOf(price, quantity)) };
}
