/**
 * The part of a plan that is trading: in some seeds much, in others some, in most none. Cash and shares
 * are so few, and prices so near to each other, that orders meet and that both run short.
 *
 * @module
 */
import { type Side, sides, type TimeInForce, timesInForce } from "../../actors/trading.ts";
import { type Deal, type PlaceDeal, tradingKinds } from "./deals.ts";
import { Dice } from "./dice.ts";
import type { Act, Fault } from "./plan.ts";
import { commitMishaps } from "./postgres/fault_plan.ts";

/** What the dice are for. */
const TRADING = 0x74726164;
/** Of all seeds. */
const TRADING_SEEDS = 0.3;
/** Somebody acts on one of so many: older ones have mostly ended, the newest are not there yet. */
const ORDERS_RECENT = 40;
const ORDERS_NEWEST = 4;
const PRICE = 10;
/** As in planning.ts, if all that is done is trading. */
const calls = { commit: 250, claim: 200, settle: 200, load: 150 };
const statements = { "commit": 500, "commit page": 250, "settle": 200 };
/** From noon, when every run begins, to well after the day is over. */
const DAY_ENDS_MS = 13 * 3_600_000;

/** An order that is for a day, with how far it is from where most is traded. */
interface Placed {
  readonly id: number;
  readonly person: number;
  readonly distance: number;
}

type Doing = Deal["is"] | "read";

export class Trading {
  readonly #dice: Dice;
  /** Of all operations. */
  readonly #share: number;
  readonly #people: number;
  readonly #symbols: number;
  /** By how much those who sell want more than those who buy would give, by and large. */
  readonly #spread: number;
  readonly #weights: ReadonlyMap<Doing, number>;
  readonly #placed: Placed[] = [];

  constructor(seed: number) {
    const dice = new Dice(seed, TRADING);
    this.#dice = dice;
    this.#share = dice.happens(TRADING_SEEDS) ? dice.one([0.1, 0.3, 0.6, 0.9]) : 0;
    this.#people = dice.from(3, 6);
    this.#symbols = dice.from(1, 2);
    this.#spread = dice.from(0, 4);
    this.#weights = weightsOf(dice);
  }

  /** Markets that are open, and people with cash and shares. */
  beginnings(): readonly Act[] {
    const dice = this.#dice;
    if (this.#share === 0) return [];
    const symbols = Array.from({ length: this.#symbols }, (_, symbol) => symbol);
    const deals = symbols.map((symbol): Deal => ({ is: "quote", symbol, price: PRICE }));
    for (let person = 0; person < this.#people; person++) {
      deals.push({ is: "deposit", person, amount: dice.from(100, 800) });
      for (const symbol of symbols) {
        deals.push({ is: "deposit shares", person, symbol, quantity: dice.from(5, 40) });
      }
      if (dice.happens(0.3)) deals.push(this.#limits(person));
    }
    return deals.map((deal) => ({ is: "trade", deal }));
  }

  /** What the operation of that id does; undefined if it is not about trading. */
  act(id: number): Act | undefined {
    const dice = this.#dice;
    if (!dice.happens(this.#share)) return undefined;
    const doing = dice.weighed(this.#weights);
    return doing === "read" ? this.#read() : { is: "trade", deal: this.#deal(doing, id) };
  }

  /**
   * What strikes late enough to meet trading, which keeps nodes much busier than all else does; and
   * sometimes the day is over, and what was to be for a day is no more.
   */
  faults({ lengthMs, nodes }: { readonly lengthMs: number; readonly nodes: number }): Fault[] {
    const dice = this.#dice;
    if (this.#share === 0) return [];
    const at = (of: Readonly<Record<string, number>>) => {
      const call = dice.one(Object.keys(of));
      const nth = dice.from(1, Math.ceil(of[call]! * this.#share));
      return { node: dice.from(0, nodes - 1), call, nth };
    };
    const atMs = () => dice.from(lengthMs / 2, lengthMs);
    const dayEnds: Fault[] = [{ is: "database jump", atMs: atMs(), byMs: DAY_ENDS_MS }];
    return [
      ...dice.some(4, (): Fault => {
        const side = dice.one(["before", "after"] as const);
        return { is: "crash", at: at(calls), side, downMs: dice.from(10, 3_000) };
      }),
      ...dice.some(4, (): Fault => {
        return { is: "statement", at: at(statements), how: dice.one(commitMishaps) };
      }),
      ...(dice.happens(0.2) ? dayEnds : []),
    ];
  }

  #deal(is: Deal["is"], id: number): Deal {
    const dice = this.#dice;
    const person = dice.from(0, this.#people - 1);
    const symbol = dice.from(0, this.#symbols - 1);
    switch (is) {
      case "place":
        return this.#place(id, { person, symbol });
      case "cancel":
      case "replace":
        return this.#change(is) ?? this.#place(id, { person, symbol });
      case "deposit":
      case "withdraw":
        return { is, person, amount: dice.from(1, 200) };
      case "deposit shares":
      case "withdraw shares":
        return { is, person, symbol, quantity: dice.from(1, 10) };
      case "quote":
        return { is, symbol, price: priceOf(dice) };
      case "pause market":
      case "resume market":
        return { is, symbol };
      case "pause person":
      case "resume person":
        return { is, person };
      case "set limits":
        return this.#limits(person);
    }
  }

  #place(id: number, of: Pick<PlaceDeal, "person" | "symbol">): Deal {
    const dice = this.#dice;
    const side = dice.one(sides);
    const plan = { ...of, is: "place", side, quantity: dice.from(1, 9) } as const;
    if (dice.happens(0.15)) {
      // It takes what there is, at any price that is somewhat sane.
      const limit = side === "buy" ? 1.5 * PRICE : 0.5 * PRICE;
      return { ...plan, orderType: "market", limit, timeInForce: "immediate-or-cancel" };
    }
    const limit = this.#limit(side);
    const timeInForce = dice.one<TimeInForce>(["day", "day", "day", "day", ...timesInForce]);
    const distance = (side === "buy" ? 1 : -1) * (PRICE - limit);
    if (timeInForce === "day") this.#placed.push({ id, person: of.person, distance });
    return { ...plan, orderType: "limit", limit, timeInForce };
  }

  #limit(side: Side): number {
    const half = this.#spread / 2;
    const price = priceOf(this.#dice);
    return side === "buy" ? price - Math.floor(half) : price + Math.ceil(half);
  }

  /** Rather one that waits than one that has found somebody. */
  #placedBefore(): Placed | undefined {
    const recent = this.#placed.slice(-ORDERS_RECENT, -ORDERS_NEWEST);
    if (recent.length === 0) return undefined;
    const [one, other] = [this.#dice.one(recent), this.#dice.one(recent)];
    return one.distance > other.distance ? one : other;
  }

  /** By who placed it, or rarely by somebody else, for whom it does not exist. */
  #change(is: "cancel" | "replace"): Deal | undefined {
    const dice = this.#dice;
    const placed = this.#placedBefore();
    if (placed === undefined) return undefined;
    const { id: order, person: owner } = placed;
    const person = dice.happens(0.05) ? (owner + 1) % this.#people : owner;
    if (is === "cancel") return { is, person, order };
    return {
      is,
      person,
      order,
      ...(dice.happens(0.6) && { limit: priceOf(dice) }),
      ...(dice.happens(0.6) && { quantity: dice.from(1, 12) }),
    };
  }

  #limits(person: number): Deal {
    const dice = this.#dice;
    return {
      is: "set limits",
      person,
      limits: {
        ...(dice.happens(0.4) && { orderCost: String(dice.from(50, 120)) }),
        ...(dice.happens(0.4) && { openCost: String(dice.from(80, 300)) }),
        ...(dice.happens(0.3) && { positionCost: String(dice.from(150, 500)) }),
        ...(dice.happens(0.4) && { dailyLoss: String(dice.from(0, 20)) }),
      },
      pausesOnBreach: dice.happens(0.3),
    };
  }

  #read(): Act {
    const dice = this.#dice;
    const kind = dice.one(tradingKinds);
    const index = kind === "order"
      ? this.#placedBefore()?.id ?? 0
      : dice.from(0, (kind === "market" ? this.#symbols : this.#people) - 1);
    return { is: "read", kind, index, strength: dice.one(["plain", "session", "strong"]) };
  }
}

function weightsOf(dice: Dice): ReadonlyMap<Doing, number> {
  const some = (most: number) => dice.happens(0.2) ? 0 : dice.from(1, most);
  return new Map<Doing, number>([
    ["place", 40],
    ["cancel", some(12)],
    ["replace", some(50)],
    ["deposit", some(5)],
    ["withdraw", some(6)],
    ["deposit shares", some(5)],
    ["withdraw shares", some(4)],
    ["quote", some(3)],
    ["pause market", some(1)],
    ["resume market", 4],
    ["pause person", some(1)],
    ["resume person", 5],
    ["set limits", some(2)],
    ["read", some(10)],
  ]);
}

function priceOf(dice: Dice): number {
  return dice.from(PRICE - 2, PRICE + 2);
}
