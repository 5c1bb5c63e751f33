/**
 * What could be lost: how much is invested, how evenly, and what a bad day would cost.
 *
 * @module
 */
import { DAY_MS, type PricesThen, ratioOf } from "../trading.ts";

/** The shares of one symbol. */
export interface Holding {
  readonly symbol: string;
  readonly value: bigint;
}

export interface Concentration {
  /** Of what is invested, the part that is in the symbol of which there is most. */
  readonly largest: bigint;
  /** The sum of the squares of all parts (Herfindahl and Hirschman): 1 if there is one symbol only. */
  readonly herfindahl: bigint;
}

function invested(holdings: readonly Pick<Holding, "value">[]): bigint {
  return holdings.reduce((sum, { value }) => sum + value, 0n);
}

/** Ratios; 0 where nothing is invested. */
export function concentrationOf(holdings: readonly Holding[]): Concentration {
  const whole = invested(holdings);
  const squares = holdings.reduce((sum, { value }) => sum + value * value, 0n);
  const most = holdings.reduce((most, { value }) => value > most ? value : most, 0n);
  return {
    largest: ratioOf(most, whole),
    herfindahl: ratioOf(squares, whole * whole),
  };
}

/** Days of the past that today's holdings are sent through. */
export const DAYS_OBSERVED = 250;

/** The ends of the days of UTC before `now`, the oldest first, and `now` itself. */
export function observedMoments(now: number): readonly number[] {
  const today = now - now % DAY_MS;
  const ends = Array.from(
    { length: DAYS_OBSERVED },
    (_, n) => today - (DAYS_OBSERVED - 1 - n) * DAY_MS,
  );
  return [...ends, now];
}

export interface Past {
  /** What today's holdings would have won, or lost, from each moment to the next; the worst first. */
  readonly outcomes: readonly bigint[];
  /**
   * Of their value through all these moments, the part that had prices, as a ratio: what had none is in
   * no outcome, neither as a gain nor as a loss.
   */
  readonly covered: bigint;
}

export function outcomesOf(holdings: readonly Holding[], prices: PricesThen): Past {
  const outcomes: bigint[] = [];
  let covered = 0n;
  const length = Math.max(0, ...holdings.map(({ symbol }) => prices.get(symbol)?.length ?? 0));
  for (let moment = 1; moment < length; moment++) {
    const known = holdings.flatMap(({ symbol, value }) => {
      const [before, after] = prices.get(symbol)?.slice(moment - 1, moment + 1) ?? [];
      return before === undefined || after === undefined ? [] : [{ value, before, after }];
    });
    if (known.length === 0) continue;
    covered += invested(known);
    outcomes.push(
      known.reduce(
        (sum, { value, before, after }) => sum + value * BigInt(after - before) / BigInt(before),
        0n,
      ),
    );
  }
  return {
    outcomes: outcomes.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0),
    covered: ratioOf(covered, invested(holdings) * BigInt(outcomes.length)),
  };
}

/**
 * Historical value at risk: so many days in a hundred cost no more than that. Undefined where there is
 * no past to tell it from.
 */
export function valueAtRisk(outcomes: readonly bigint[], percent: number): bigint | undefined {
  const beyond = Math.ceil(outcomes.length * (100 - percent) / 100);
  const outcome = outcomes[beyond - 1];
  if (outcome === undefined) return undefined;
  return outcome < 0n ? -outcome : 0n;
}
