/**
 * Whether what was refused in trading was rightly refused: at the version that the remembered reply
 * names, by the simplest rules there are. They share nothing with the service.
 *
 * @module
 */
import type { Breaches } from "./breaches.ts";
import type { Operation, RememberedReply } from "./checker.ts";
import type { TradingEvent } from "./trading_check.ts";

type Asked = Readonly<Record<string, unknown>>;

/** A refusal to look at while what refused stands at the version at which it did. */
interface Refusal {
  readonly operation: Operation;
  readonly reason: string;
  readonly version: number;
}

/** Reasons of an order that are known of its account, portfolio, risk and market. */
const ofOthers: ReadonlySet<string> = new Set([
  "insufficient-cash",
  "insufficient-shares",
  "market-paused",
  "trading-paused",
  "unknown-symbol",
]);

export class Refusals {
  readonly #standings = new Map<string, Standing>();
  /** By who refused, and at which version. */
  readonly #due: Map<string, Refusal[]>;
  readonly #breaches: Breaches;

  constructor({ operations, replies, breaches }: {
    readonly operations: readonly Operation[];
    readonly replies: ReadonlyMap<string, RememberedReply>;
    readonly breaches: Breaches;
  }) {
    const refusals = operations.flatMap((operation): Refusal[] => {
      const reply = replies.get(operation.invoked.idempotencyKey ?? "");
      if (reply === undefined || reply.isAccepted) return [];
      // An order that was never placed was refused for what others had: of itself there is no version.
      if (operation.invoked.f === "place" && reply.version === 0) return [];
      // Nor does its version say what others had when it was to become another.
      if (operation.invoked.f === "replace" && ofOthers.has(reply.reason!)) return [];
      return [{ operation, reason: reply.reason!, version: reply.version }];
    });
    this.#due = Map.groupBy(refusals, ({ operation: { invoked }, version }) => {
      return placeOf(invoked.key, version);
    });
    this.#breaches = breaches;
  }

  follow(event: TradingEvent): void {
    const { kind, key, version } = event;
    const address = `${kind}/${key}`;
    const standing = this.#standings.get(address) ?? standings[kind]?.();
    if (standing === undefined) return;
    this.#standings.set(address, standing);
    standing.follow(event);
    const place = placeOf(address, version);
    for (const refusal of this.#due.get(place) ?? []) {
      const { operation: { invoked: { asked = {} } }, reason } = refusal;
      if (!standing.refuses(reason, asked)) this.#note(refusal, "which was not so");
    }
    this.#due.delete(place);
  }

  /** Nothing follows any more. */
  end(): void {
    for (const refusal of [...this.#due.values()].flat()) this.#note(refusal, "which is not there");
  }

  #note({ operation: { invoked: { i, f, key } }, reason, version }: Refusal, why: string): void {
    const text = `operation ${i}, ${f} of ${key}: ${reason} at ${version}, ${why}`;
    this.#breaches.add("false-rejection", text);
  }
}

function placeOf(address: string, version: number): string {
  return `${address} at ${version}`;
}

interface Standing {
  follow(event: TradingEvent): void;
  refuses(reason: string, asked: Asked): boolean;
}

class AccountStanding implements Standing {
  #available = 0n;

  follow({ type, data }: TradingEvent): void {
    const { amount = 0, cost = 0, released = 0, proceeds = 0 } = data;
    const isLess = type === "Withdrawn" || type === "CashReserved";
    const isMore = type === "Deposited" || type === "CashReleased";
    if (isLess) this.#available -= BigInt(amount);
    if (isMore) this.#available += BigInt(amount);
    this.#available += BigInt(proceeds) + BigInt(released) - BigInt(cost);
  }

  refuses(reason: string, { amount }: Asked): boolean {
    return reason === "insufficient-cash" && BigInt(amount as string) > this.#available;
  }
}

class PortfolioStanding implements Standing {
  readonly #available = new Map<string, number>();

  follow({ type, data: { symbol, quantity } }: TradingEvent): void {
    const isLess = type === "SharesWithdrawn" || type === "SharesReserved";
    const isMore = ["SharesDeposited", "SharesBought", "SharesReleased"].includes(type);
    if (!isLess && !isMore) return;
    const available = this.#available.get(symbol) ?? 0;
    this.#available.set(symbol, available + (isMore ? quantity : -quantity));
  }

  refuses(reason: string, { symbol, quantity }: Asked): boolean {
    const available = this.#available.get(symbol as string) ?? 0;
    return reason === "insufficient-shares" && quantity as number > available;
  }
}

class MarketStanding implements Standing {
  #isPaused = false;

  follow({ type }: TradingEvent): void {
    if (type === "TradingPaused") this.#isPaused = true;
    if (type === "TradingResumed") this.#isPaused = false;
  }

  refuses(reason: string): boolean {
    return reason === (this.#isPaused ? "already-paused" : "not-paused");
  }
}

class OrderStanding implements Standing {
  #hasEnded = false;
  #isWorking = false;
  #isReplaced = false;
  #filled = 0;

  follow({ type, data }: TradingEvent): void {
    if (type === "OrderRested") this.#isWorking = true;
    if (type === "CancelRequested") this.#isWorking = false;
    if (type === "ReplaceRequested") this.#isReplaced = true;
    if (type === "OrderReplaced" || type === "ReplaceRejected") this.#isReplaced = false;
    if (type === "OrderExecuted") this.#filled += data.quantity;
    if (isEnd(type)) this.#hasEnded = true;
  }

  refuses(reason: string, { quantity = Infinity }: Asked): boolean {
    switch (reason) {
      case "ended":
        return this.#hasEnded;
      case "not-working":
        return !this.#hasEnded && !this.#isWorking;
      case "being-replaced":
        return this.#isWorking && this.#isReplaced;
      case "quantity-below-filled":
        return quantity as number <= this.#filled;
      default:
        return false;
    }
  }
}

/** Of an order, its last event but for what is given back. */
export function isEnd(type: string): boolean {
  return ["OrderFilled", "OrderCancelled", "OrderRejected"].includes(type);
}

const standings: Readonly<Record<string, () => Standing>> = {
  account: () => new AccountStanding(),
  market: () => new MarketStanding(),
  order: () => new OrderStanding(),
  portfolio: () => new PortfolioStanding(),
};
