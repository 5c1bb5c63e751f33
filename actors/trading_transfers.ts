/**
 * Cash and shares that came from elsewhere, or went there, as a table: what an investment did is told
 * from what was added to it and taken out.
 *
 * @module
 */
import { type QueryExecutorProvider, sql } from "kysely";
import type { Projection } from "../lib/runtime/projector.ts";
import type { FeedEvent } from "../lib/runtime/store.ts";
import { toAccount, toPortfolio } from "./trading.ts";

// A type, not an interface: Kysely extends a database only by what has an index signature.
export type TransferTables = {
  transfer: {
    kind: string;
    account_id: string;
    version: number | bigint | string;
    at: Date;
    /** Null where it is cash. */
    symbol: string | null;
    units: string;
  };
};

export interface Transfer {
  /** Absent where it is cash. */
  readonly symbol?: string;
  /** Of cash or of shares; below 0 if they went. */
  readonly units: bigint;
}

/** What each kind of holder says of its own events. */
export type TransferIn = (event: FeedEvent) => Transfer | undefined;

export function transferProjection(
  transferIn: Readonly<Record<"account" | "portfolio", TransferIn>>,
): Projection<QueryExecutorProvider> {
  return {
    name: "transfers",
    tables: ["transfer"],
    kind: [toAccount.kind, toPortfolio.kind],
    types: ["Deposited", "Withdrawn", "SharesDeposited", "SharesWithdrawn"],
    hasIndex: true,
    async apply(transaction, recorded) {
      const rows = recorded.flatMap((event) => {
        const { address: { kind, key: accountId }, version, at } = event;
        const transfer = transferIn[kind as keyof typeof transferIn](event);
        if (transfer === undefined) return [];
        const { symbol, units } = transfer;
        const about = { kind, accountId, version, at: new Date(at).toISOString() };
        return [{ ...about, symbol: symbol ?? null, units: String(units) }];
      });
      if (rows.length === 0) return;
      await sql`
        insert into transfer (kind, account_id, version, at, symbol, units)
        select r.kind, r."accountId", r.version, r.at, r.symbol, r.units
        from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r(kind text,
          "accountId" text, version bigint, at timestamptz, symbol text, units numeric)`
        .execute(transaction);
    },
  };
}
