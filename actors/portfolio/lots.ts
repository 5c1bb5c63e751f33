/**
 * What was bought, and for how much: the shares of a position by the price paid for them. Those bought
 * first are sold first (FIFO), which decides on what a sale has earned.
 *
 * Lots are persistent: a change gives new ones and leaves the old as they were.
 *
 * @module
 */
import { joined, type Line, lineOf, withoutFirst } from "../../lib/runtime/persistent_line.ts";
import { costOf } from "../trading.ts";

export interface Lot {
  readonly quantity: number;
  readonly price: number;
}

export interface Lots {
  readonly line: Line<Lot> | undefined;
  /** Of the first lot, what has been sold already. */
  readonly sold: number;
}

export const noLots: Lots = { line: undefined, sold: 0 };

/** At the price of the last lot it makes that one larger: an order may be filled in very many parts. */
export function bought({ line, sold }: Lots, lot: Lot): Lots {
  if (line === undefined) return { line: lineOf(lot), sold };
  const last = line.places[line.end - 1]!;
  if (last.price !== lot.price) return { line: joined(line, lot), sold };
  const larger = { ...last, quantity: last.quantity + lot.quantity };
  return { line: joined({ ...line, end: line.end - 1 }, larger), sold };
}

/** The lots as they are now, the first bought first. */
export function lotsOf({ line, sold }: Lots): readonly Lot[] {
  if (line === undefined) return [];
  const [first, ...others] = line.places.slice(line.start, line.end);
  return [{ ...first!, quantity: first!.quantity - sold }, ...others];
}

export interface Sale {
  readonly lots: Lots;
  /** What was paid for the shares that are sold, in units of cash. */
  readonly cost: bigint;
}

/** Takes so many out of the first lots; of more than there are, all. */
export function soldOff({ line, sold }: Lots, quantity: number): Sale {
  let left = quantity;
  let taken = sold;
  let cost = 0n;
  let at = line?.start ?? 0;
  const end = line?.end ?? 0;
  while (left > 0 && at < end) {
    const lot = line!.places[at]!;
    const part = Math.min(left, lot.quantity - taken);
    cost += costOf(lot.price, part);
    left -= part;
    taken += part;
    if (taken < lot.quantity) break;
    at++;
    taken = 0;
  }
  if (line === undefined || at === end) return { lots: noLots, cost };
  return { lots: { line: withoutFirst(line, at - line.start), sold: taken }, cost };
}
