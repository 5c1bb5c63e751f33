/**
 * How the cash and the shares of an account have come to be what they are.
 *
 * @module
 */
import { type QueryExecutorProvider, sql } from "kysely";

/** All that moved in one stretch of time. */
export interface Movement {
  /** 0 is up to the first moment and with it, 1 from there up to the second one, and so on. */
  readonly stretch: number;
  /** Undefined where it is cash. */
  readonly symbol: string | undefined;
  /** Of cash or of shares; below 0 if there are fewer after it. */
  readonly units: bigint;
  /** Of these, what came from elsewhere or went there; the rest was traded. */
  readonly transferred: bigint;
}

/** In order, up to the last of the moments: these are in epoch milliseconds, and ascending. */
export async function movementsOf(
  db: QueryExecutorProvider,
  accountId: string,
  moments: readonly number[],
): Promise<readonly Movement[]> {
  const stamps = moments.map((moment) => new Date(moment).toISOString());
  const { rows } = await sql<MovementRow>`
    with moved as (
      select at, symbol, units, units as transferred from transfer
      where account_id = ${accountId}
      union all
      select at, leg.symbol, leg.units, 0
      from (
        select at, symbol, price::numeric as price, quantity::numeric as quantity,
          case side when 'buy' then 1 else -1 end as sign
        from execution where account_id = ${accountId}
      ) e
      cross join lateral (
        values (null, -sign * price * quantity), (e.symbol, sign * quantity)
      ) as leg(symbol, units)
    )
    select width_bucket(at - interval '1 microsecond', ${stamps}::timestamptz[]) as stretch, symbol,
      sum(units)::text as units, sum(transferred)::text as transferred
    from moved
    where at <= ${stamps.at(-1)!}::timestamptz
    group by 1, 2 order by 1, 2`.execute(db);
  return rows.map(({ stretch, symbol, units, transferred }) => ({
    stretch,
    symbol: symbol ?? undefined,
    units: BigInt(units),
    transferred: BigInt(transferred),
  }));
}

interface MovementRow {
  readonly stretch: number;
  readonly symbol: string | null;
  readonly units: string;
  readonly transferred: string;
}

/** When something came from elsewhere or went there, after `from` and up to `to`: the first so many. */
export async function transferMoments(
  db: QueryExecutorProvider,
  accountId: string,
  { from, to }: { readonly from: number; readonly to: number },
  limit: number,
): Promise<readonly number[]> {
  const { rows } = await sql<{ at: Date }>`
    select distinct at from transfer
    where account_id = ${accountId} and at > ${new Date(from)} and at <= ${new Date(to)}
    order by at limit ${limit}`.execute(db);
  return rows.map(({ at }) => at.getTime());
}
