/**
 * What people are alerted to: limits of theirs that were broken, prices they waited for, pauses.
 *
 * A subscriber of the event bus with a checkpoint of its own keeps them.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { Projection } from "../lib/runtime/projector.ts";
import type { FeedEvent } from "../lib/runtime/store.ts";
import { toMarket, toPortfolio, toRisk } from "./trading.ts";

// A type, not an interface: Kysely extends a database only by what has an index signature.
export type AlertTables = {
  trading_alert: {
    kind: string;
    key: string;
    version: number | bigint | string;
    audience: string;
    at: Date;
    event: unknown;
  };
};

/** Whoever holds an account, or all who look at a market. */
export type Audience =
  | { readonly accountId: string }
  | { readonly symbol: string };

/** `ofMarket` says whom an event of a market concerns; risk and portfolio are of one account each. */
export function alertProjection(
  ofMarket: (event: FeedEvent) => Audience,
): Projection<QueryExecutorProvider> {
  return {
    name: "trading_alerts",
    tables: ["trading_alert"],
    kind: [toRisk.kind, toPortfolio.kind, toMarket.kind],
    types: [
      "LimitBreached",
      "TradingPaused",
      "TradingResumed",
      "PositionClosed",
      "AlertTriggered",
      "SentimentCrossed",
    ],
    hasIndex: true,
    async apply(transaction, recorded) {
      const rows = recorded.map((event) => {
        const { address: { kind, key }, version, at, data } = event;
        const audience = kind === toMarket.kind ? ofMarket(event) : { accountId: key };
        const about = { kind, key, version, at: new Date(at).toISOString() };
        return { ...about, audience: audienceText(audience), event: data };
      });
      if (rows.length === 0) return;
      await sql`
        insert into trading_alert (kind, key, version, audience, at, event)
        select r.kind, r.key, r.version, r.audience, r.at, r.event
        from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r(kind text, key text,
          version bigint, audience text, at timestamptz, event jsonb)`.execute(transaction);
    },
  };
}

function audienceText(audience: Audience): string {
  return "symbol" in audience ? `market/${audience.symbol}` : `account/${audience.accountId}`;
}

export interface AlertsBefore {
  readonly at: Date;
  readonly kind: string;
  readonly key: string;
  readonly version: number;
}

/** The newest first. */
export async function listAlerts(
  db: Kysely<AlertTables>,
  audience: Audience,
  before: AlertsBefore | undefined,
  limit: number,
) {
  return await db.selectFrom("trading_alert")
    .select(["kind", "key", "version", "at", "event"])
    .where("audience", "=", audienceText(audience))
    .$if(
      before !== undefined,
      (query) =>
        query.where(sql<boolean>`(at, kind, key, version) < (${before!.at}, ${before!.kind}::text,
          ${before!.key}::text, ${before!.version}::bigint)`),
    )
    .orderBy("at", "desc").orderBy("kind", "desc").orderBy("key", "desc").orderBy("version", "desc")
    .limit(limit)
    .execute();
}
