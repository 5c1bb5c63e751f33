/** Queries over what the projection of orders has written. */
import { type Kysely, sql } from "kysely";
import type { OrderTables } from "./projection.ts";
import type { Status } from "./state.ts";

export interface OrderFilter {
  readonly accountId: string;
  readonly status?: Status;
  readonly symbol?: string;
  /** Placed at or after. */
  readonly from?: Date;
  /** Placed before. */
  readonly to?: Date;
}

export interface OrdersBefore {
  readonly placedAt: Date;
  readonly id: string;
}

/** Those of one account, the newest first. */
export async function listOrders(
  db: Kysely<OrderTables>,
  { accountId, status, symbol, from, to }: OrderFilter,
  before: OrdersBefore | undefined,
  limit: number,
) {
  return await db.selectFrom("placed_order")
    .select([
      "id",
      "status",
      "reason",
      "symbol",
      "side",
      "order_type as type",
      "price",
      "quantity",
      "filled",
      "time_in_force as timeInForce",
      "placed_at as placedAt",
    ])
    .where("account_id", "=", accountId)
    .$if(status !== undefined, (query) => query.where("status", "=", status!))
    .$if(symbol !== undefined, (query) => query.where("symbol", "=", symbol!))
    .$if(from !== undefined, (query) => query.where("placed_at", ">=", from!))
    .$if(to !== undefined, (query) => query.where("placed_at", "<", to!))
    .$if(
      before !== undefined,
      (query) =>
        query.where(sql<boolean>`(placed_at, id) < (${before!.placedAt}, ${before!.id}::text)`),
    )
    .orderBy("placed_at", "desc").orderBy("id", "desc")
    .limit(limit)
    .execute();
}
