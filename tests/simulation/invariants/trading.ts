/**
 * I16 to I19: trading, as its books say.
 *
 * @module
 */
import { type Breach, type Rule, TradingBooks } from "../../support/trading_books.ts";
import type { Committed } from "../history.ts";
import { Broken, type Chronicle } from "./chronicle.ts";

const invariants: Readonly<Record<Rule, string>> = {
  conservation: "I16",
  reservations: "I17",
  executions: "I18",
  priority: "I19",
};

/** After each commit. */
export function tradedFairly(): (committed: Committed) => void {
  const books = new TradingBooks();
  return ({ commit: { address, version, events } }) => {
    events.forEach(({ data }, index) => {
      books.record({ ...address, version: version + index + 1, data });
    });
    refuse(books.breaches);
  };
}

/** In the end nothing is open that is not waiting, and who followed the feed saw the same. */
export function tradingHasComeToRest({ history }: Chronicle): void {
  const books = new TradingBooks();
  for (const { address, version, data } of history.effects.get("everything") ?? []) {
    books.record({ ...address, version, data });
  }
  const left = books.atRest();
  refuse(books.breaches);
  refuse(left);
}

function refuse([first]: readonly Breach[]): void {
  if (first !== undefined) throw new Broken(invariants[first.rule], first.what);
}
