/**
 * The projections that two programs know: a node, which follows them, and what makes their tables anew.
 *
 * @module
 */
import type { QueryExecutorProvider } from "kysely";
import * as AccountTransfers from "../actors/account/transfers.ts";
import { projection } from "../actors/live_event/projection.ts";
import { audienceOf } from "../actors/market/audience.ts";
import { marketProjection } from "../actors/market/projection.ts";
import { orderProjection } from "../actors/order/projection.ts";
import * as PortfolioTransfers from "../actors/portfolio/transfers.ts";
import { alertProjection } from "../actors/trading_alerts.ts";
import { transferProjection } from "../actors/trading_transfers.ts";
import { userProjection } from "../actors/user/projection.ts";
import type { Env } from "../lib/env.ts";
import type { Database } from "../lib/postgres/database.ts";
import { flowProjection } from "../lib/postgres/flow_listing.ts";
import { PostgresRebuildStore } from "../lib/postgres/rebuild_store.ts";
import { scheduleProjection } from "../lib/postgres/schedules.ts";
import type { Observe } from "../lib/runtime/observe.ts";
import { Rebuilder, type RebuildLimits } from "../lib/runtime/rebuild.ts";

export const transfers = transferProjection({
  account: AccountTransfers.transferIn,
  portfolio: PortfolioTransfers.transferIn,
});
export const alerts = alertProjection(audienceOf);

export function rebuilderOf(
  database: Database,
  env: Env,
  observe: Observe,
  limits: Partial<RebuildLimits> = {},
): Rebuilder<QueryExecutorProvider> {
  const store = new PostgresRebuildStore(database);
  return new Rebuilder({
    projections: [
      projection,
      flowProjection,
      scheduleProjection,
      orderProjection,
      marketProjection,
      transfers,
      alerts,
      userProjection,
    ],
    store,
    env,
    observe,
    limits,
  });
}
