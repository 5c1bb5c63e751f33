/** Queries over what the projection of markets has written. */
import { type Kysely, sql } from "kysely";
import type { PricesThen } from "../trading.ts";
import type { MarketTables } from "./projection.ts";

/** Those of one market, the newest first. */
export async function listTrades(
  db: Kysely<MarketTables>,
  symbol: string,
  before: number | undefined,
  limit: number,
) {
  return await db.selectFrom("trade")
    .select(["number", "at", "price", "quantity", "side"])
    .where("symbol", "=", symbol)
    .$if(before !== undefined, (query) => query.where("number", "<", before!))
    .orderBy("number", "desc")
    .limit(limit)
    .execute();
}

/** For each symbol the price at each of those moments, in their order; undefined before its first. */
export async function pricesAt(
  db: Kysely<MarketTables>,
  symbols: readonly string[],
  moments: readonly number[],
): Promise<PricesThen> {
  const asked = moments.map((moment) => new Date(moment).toISOString());
  const { rows } = await sql<{ symbol: string; prices: readonly (number | null)[] }>`
    select s.symbol, (
      select json_agg((
        select p.price from market_price p
        where p.symbol = s.symbol and p.at <= m.moment
        order by p.at desc, p.version desc
        limit 1
      ) order by m.number)
      from unnest(${asked}::timestamptz[]) with ordinality as m(moment, number)
    ) as prices
    from unnest(${symbols}::text[]) as s(symbol)`.execute(db);
  return new Map(rows.map(({ symbol, prices }) => {
    return [symbol, prices.map((price) => price ?? undefined)];
  }));
}
