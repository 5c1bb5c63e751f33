/**
 * An order book as one would write it without a thought for speed: a list of all that rests, searched
 * from one end to the other. It shares nothing with the real one but the words.
 *
 * @module
 */

interface Order {
  readonly id: string;
  readonly accountId: string;
  readonly side: "buy" | "sell";
  readonly price: number;
  readonly arrival: number;
  remaining: number;
}

export interface NaiveIncoming {
  readonly id: string;
  readonly accountId: string;
  readonly side: "buy" | "sell";
  readonly limit: number;
  readonly quantity: number;
  readonly timeInForce: string;
}

export interface NaiveResult {
  readonly trades: readonly {
    readonly orderId: string;
    readonly accountId: string;
    readonly price: number;
    readonly quantity: number;
  }[];
  readonly remaining: number;
  readonly rest: string;
}

export class NaiveBook {
  #orders: Order[] = [];
  #arrivals = 0;

  copy(): NaiveBook {
    const copy = new NaiveBook();
    copy.#orders = this.#orders.map((order) => ({ ...order }));
    copy.#arrivals = this.#arrivals;
    return copy;
  }

  submit(order: NaiveIncoming): NaiveResult {
    const before = order.timeInForce === "fill-or-kill" ? this.copy() : undefined;
    const trades: NaiveResult["trades"][number][] = [];
    let remaining = order.quantity;
    let rest = "none";
    while (remaining > 0) {
      const next = this.#bestFor(order);
      if (next === undefined) {
        rest = order.timeInForce === "day" ? "rests" : "nobody-to-trade-with";
        break;
      }
      if (next.accountId === order.accountId) {
        rest = "self-trade";
        break;
      }
      const quantity = Math.min(remaining, next.remaining);
      const { id: orderId, accountId, price } = next;
      trades.push({ orderId, accountId, price, quantity });
      next.remaining -= quantity;
      remaining -= quantity;
      this.#orders = this.#orders.filter((each) => each.remaining > 0);
    }
    if (remaining > 0 && before !== undefined) {
      this.#orders = before.#orders;
      return { trades: [], remaining: order.quantity, rest };
    }
    const arrival = this.#arrivals++;
    if (rest === "rests") {
      const { id, accountId, side, limit: price } = order;
      this.#orders.push({ id, accountId, side, price, arrival, remaining });
    }
    return { trades, remaining, rest };
  }

  /** Says how much of it rested. */
  withdraw(id: string): number {
    const remaining = this.#orders.find((order) => order.id === id)?.remaining ?? 0;
    this.#orders = this.#orders.filter((order) => order.id !== id);
    return remaining;
  }

  lessen(id: string, by: number): void {
    for (const order of this.#orders) if (order.id === id) order.remaining -= by;
  }

  /** What rests on one side, from the best price to the worst and from first to last. */
  standing(side: "buy" | "sell"): readonly (readonly [string, number, number])[] {
    return this.#orders
      .filter((order) => order.side === side)
      .toSorted((a, b) => better(a, b))
      .map(({ id, price, remaining }) => [id, price, remaining]);
  }

  #bestFor({ side, limit }: NaiveIncoming): Order | undefined {
    return this.#orders
      .filter((order) => order.side !== side)
      .filter(({ price }) => side === "buy" ? price <= limit : price >= limit)
      .toSorted((a, b) => better(a, b))[0];
  }
}

function better(a: Order, b: Order): number {
  const byPrice = a.side === "sell" ? a.price - b.price : b.price - a.price;
  return byPrice || a.arrival - b.arrival;
}
