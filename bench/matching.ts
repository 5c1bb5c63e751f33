/**
 * `deno task matching`: how many orders a second the matching engine takes by itself, on one core.
 *
 *     matching.ts [--orders=1000000] [--rounds=5]
 *
 * Orders come around a price that wanders: most rest near it, a part meets what rests, and a quarter of
 * those that rest are withdrawn again. Each is matched against the book and the book made that follows,
 * as the market does in a turn.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type Book, empty, withdrawn } from "../actors/market/book.ts";
import { type Incoming, match, matched } from "../actors/market/matching.ts";
import type { Side } from "../actors/trading.ts";
import { mulberry32 } from "../tests/support/seeded.ts";
import { medianOf } from "./figures.ts";

const perSecondMin = 500_000;
const accounts = 1_000;
/** How far from the price orders are placed, in ticks. */
const spreadTicks = 40;
const midTicks = 100_000;

interface Step {
  readonly order: Incoming;
  /** The id of an earlier order, to be withdrawn first. */
  readonly withdraws: string | undefined;
}

/** Made before the clock starts, and the same for the same seed. */
function stepsOf(count: number, random: () => number): Step[] {
  let mid = midTicks;
  return Array.from({ length: count }, (_, number) => {
    const drift = random();
    if (drift < 0.05) mid += drift < 0.025 ? 1 : -1;
    const side: Side = random() < 0.5 ? "buy" : "sell";
    const away = Math.floor(random() * random() * spreadTicks) - 2;
    return {
      order: {
        id: `order-${number}`,
        accountId: `account-${Math.floor(random() * accounts)}`,
        side,
        limit: side === "buy" ? mid - away : mid + away,
        quantity: 1 + Math.floor(random() * 100),
        timeInForce: random() < 0.9 ? "day" : "immediate-or-cancel",
      },
      withdraws: random() < 0.25 ? `order-${Math.floor(number * random())}` : undefined,
    };
  });
}

interface Run {
  readonly perSecond: number;
  readonly trades: number;
  readonly book: Book;
}

function run(steps: readonly Step[]): Run {
  let book = empty;
  let trades = 0;
  const startedAt = performance.now();
  for (const { order, withdraws } of steps) {
    if (withdraws !== undefined) book = withdrawn(book, withdraws);
    const matching = match(book, order);
    trades += matching.trades.length;
    book = matched(book, order, matching);
  }
  return { perSecond: steps.length / (performance.now() - startedAt) * 1_000, trades, book };
}

function main(args: string[]): number {
  const { values } = parseArgs({
    args,
    options: {
      orders: { type: "string", default: "1000000" },
      rounds: { type: "string", default: "5" },
    },
  });
  const steps = stepsOf(Number(values.orders), mulberry32(1));
  const rates: number[] = [];
  for (let round = 1; round <= Number(values.rounds); round++) {
    const { perSecond, trades, book } = run(steps);
    rates.push(perSecond);
    console.log(
      `round ${round}: ${Math.round(perSecond).toLocaleString("en")} orders/s, ` +
        `${trades.toLocaleString("en")} trades, ${
          book.orders.size.toLocaleString("en")
        } resting at ` +
        `${book.bids.length + book.asks.length} prices`,
    );
  }
  const median = medianOf(rates);
  const isMet = median >= perSecondMin;
  console.log(
    `${isMet ? "ok    " : "MISSED"}  ${Math.round(median).toLocaleString("en")} orders/s, ` +
      `at least ${perSecondMin.toLocaleString("en")}`,
  );
  return isMet ? 0 : 1;
}

process.exitCode = main(Deno.args);
