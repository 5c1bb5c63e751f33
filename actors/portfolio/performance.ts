/**
 * What an investment has done, whatever was added to it and taken out meanwhile: the time-weighted
 * return, as GIPS defines it. Time is cut at every transfer, and the returns of the parts are chained.
 *
 * @module
 */
import { DAY_MS, type PricesThen, ratioOf } from "../trading.ts";
import type { Movement } from "../trading_movements.ts";

const HOUR_MS = 3_600_000;

/** How long each is, and how often it is looked at. */
export const periods = {
  "1d": { lengthMs: DAY_MS, everyMs: HOUR_MS },
  "1w": { lengthMs: 7 * DAY_MS, everyMs: 6 * HOUR_MS },
  "1m": { lengthMs: 30 * DAY_MS, everyMs: DAY_MS },
  "3m": { lengthMs: 90 * DAY_MS, everyMs: DAY_MS },
  "1y": { lengthMs: 364 * DAY_MS, everyMs: 7 * DAY_MS },
} as const;
export type Period = keyof typeof periods;

/** Of one period. Where there are more, those between two looks count as one, at the second. */
export const TRANSFERS_MAX = 200;

/** When to look: at both ends, at regular times and, unless there are too many, at each transfer. */
export function momentsOf(
  period: Period,
  to: number,
  transfers: readonly number[],
): readonly number[] {
  const { lengthMs, everyMs } = periods[period];
  const looks = Array.from(
    { length: lengthMs / everyMs + 1 },
    (_, n) => to - lengthMs + n * everyMs,
  );
  const cuts = transfers.length > TRANSFERS_MAX ? [] : transfers;
  return [...new Set([...looks, ...cuts])].toSorted((a, b) => a - b);
}

export interface Look {
  readonly at: number;
  /** Of cash and shares. */
  readonly value: bigint;
  /** Since the first look, as a ratio. */
  readonly return: bigint;
}

export interface Performance {
  readonly looks: readonly Look[];
  /** What came from elsewhere less what went there, as it was worth then, or when it first had a price. */
  readonly transferred: bigint;
  /** The most that was lost from a height, as a ratio of that height. */
  readonly drawdown: bigint;
}

/** What is chained has more digits than what is shown. */
const INDEX_UNIT = 10n ** 24n;

export function performanceOf(
  moments: readonly number[],
  movements: readonly Movement[],
  prices: PricesThen,
): Performance {
  const units = new Map<string | undefined, bigint>();
  /** What was transferred and has not had a price yet: it counts as such when it has one. */
  const unpriced = new Map<string | undefined, bigint>();
  const looks: Look[] = [];
  let index = INDEX_UNIT;
  let height = INDEX_UNIT;
  let drawdown = 0n;
  let transferred = 0n;
  let next = 0;
  moments.forEach((at, look) => {
    for (; movements[next]?.stretch === look; next++) {
      const movement = movements[next]!;
      add(units, movement.symbol, movement.units);
      add(unpriced, movement.symbol, movement.transferred);
    }
    let added = 0n;
    for (const [symbol, moved] of unpriced) {
      if (symbol !== undefined && prices.get(symbol)?.[look] === undefined) continue;
      added += worth(symbol, moved, look, prices);
      unpriced.delete(symbol);
    }
    let value = 0n;
    for (const [symbol, held] of units) value += worth(symbol, held, look, prices);
    const before = looks.at(-1)?.value;
    if (before !== undefined) {
      // Where nothing was invested, nothing was won or lost.
      if (before > 0n) index = index * (value - added) / before;
      transferred += added;
    }
    if (index > height) height = index;
    const lost = ratioOf(height - index, height);
    if (lost > drawdown) drawdown = lost;
    looks.push({ at, value, return: ratioOf(index - INDEX_UNIT, INDEX_UNIT) });
  });
  return { looks, transferred, drawdown };
}

function add(to: Map<string | undefined, bigint>, symbol: string | undefined, more: bigint): void {
  to.set(symbol, (to.get(symbol) ?? 0n) + more);
}

/** What nobody is known to buy is worth nothing. */
function worth(
  symbol: string | undefined,
  units: bigint,
  look: number,
  prices: PricesThen,
): bigint {
  return symbol === undefined ? units : units * BigInt(prices.get(symbol)?.[look] ?? 0);
}
