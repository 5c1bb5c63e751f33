/** What the lists of trading are read from, and feeds of their own for what makes them. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable("placed_order")
    .addColumn("id", sql`text collate "C"`, (column) => column.primaryKey())
    .addColumn("account_id", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("symbol", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("side", "text", (column) => column.notNull())
    .addColumn("order_type", "text", (column) => column.notNull())
    .addColumn("price", "bigint", (column) => column.notNull())
    .addColumn("quantity", "bigint", (column) => column.notNull())
    .addColumn("filled", "bigint", (column) => column.notNull())
    .addColumn("time_in_force", "text", (column) => column.notNull())
    .addColumn("status", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("reason", "text")
    .addColumn("placed_at", "timestamptz", (column) => column.notNull())
    .modifyEnd(sql`with (fillfactor = 85)`)
    .execute();
  const newest = ["placed_at", "id"];
  await db.schema.createIndex("placed_order_account_idx").on("placed_order")
    .columns(["account_id", ...newest]).execute();
  await db.schema.createIndex("placed_order_status_idx").on("placed_order")
    .columns(["account_id", "status", ...newest]).execute();
  await db.schema.createIndex("placed_order_symbol_idx").on("placed_order")
    .columns(["account_id", "symbol", ...newest]).execute();

  await db.schema.createTable("execution")
    .addColumn("order_id", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("trade_id", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("account_id", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("at", "timestamptz", (column) => column.notNull())
    .addColumn("symbol", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("side", "text", (column) => column.notNull())
    .addColumn("price", "bigint", (column) => column.notNull())
    .addColumn("quantity", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("execution_pkey", ["order_id", "trade_id"])
    .execute();
  await sql`create index execution_account_idx on execution (account_id, at)
    include (symbol, side, price, quantity)`.execute(db);

  // Cash where there is no symbol. A cost of ten thousand million shares fits into no bigint.
  await db.schema.createTable("transfer")
    .addColumn("kind", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("account_id", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("version", "bigint", (column) => column.notNull())
    .addColumn("at", "timestamptz", (column) => column.notNull())
    .addColumn("symbol", sql`text collate "C"`)
    .addColumn("units", sql`numeric(40)`, (column) => column.notNull())
    .addPrimaryKeyConstraint("transfer_pkey", ["kind", "account_id", "version"])
    .execute();
  await sql`create index transfer_account_idx on transfer (account_id, at)
    include (symbol, units)`.execute(db);

  await db.schema.createTable("trade")
    .addColumn("symbol", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("number", "bigint", (column) => column.notNull())
    .addColumn("at", "timestamptz", (column) => column.notNull())
    .addColumn("price", "bigint", (column) => column.notNull())
    .addColumn("quantity", "bigint", (column) => column.notNull())
    // Of who came, and did not wait for it.
    .addColumn("side", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("trade_pkey", ["symbol", "number"])
    .execute();

  await db.schema.createTable("market_price")
    .addColumn("symbol", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("at", "timestamptz", (column) => column.notNull())
    .addColumn("version", "bigint", (column) => column.notNull())
    .addColumn("price", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("market_price_pkey", ["symbol", "at", "version"])
    .execute();

  await db.schema.createTable("trading_alert")
    .addColumn("kind", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("key", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("version", "bigint", (column) => column.notNull())
    .addColumn("audience", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("at", "timestamptz", (column) => column.notNull())
    .addColumn("event", "jsonb", (column) => column.notNull())
    .addPrimaryKeyConstraint("trading_alert_pkey", ["kind", "key", "version"])
    .execute();
  await db.schema.createIndex("trading_alert_audience_idx").on("trading_alert")
    .columns(["audience", "at", "kind", "key", "version"]).execute();

  // A part is followed by way of an index of just that part: these were two of them in one.
  await db.schema.dropIndex("event_quiet_feed_idx").execute();
  for (const [index, wanted] of Object.entries(feeds)) {
    await sql`create index ${sql.id(index)} on event (transaction, position)
      where ${sql.raw(wanted)}`.execute(db);
  }
}

const feeds = {
  event_flow_feed_idx: "kind = 'flow'",
  event_schedule_feed_idx: "kind = 'schedule'",
  event_order_feed_idx: "kind = 'order' and type in ('OrderPlaced', 'OrderRejected', " +
    "'OrderRested', 'OrderExecuted', 'OrderFilled', 'OrderCancelled', 'OrderReplaced')",
  event_market_feed_idx: "kind = 'market' and type in ('PriceQuoted', 'OrderSubmitted', " +
    "'OrderReplaced')",
  event_transfer_feed_idx: "kind in ('account', 'portfolio') and type in ('Deposited', " +
    "'Withdrawn', 'SharesDeposited', 'SharesWithdrawn')",
  event_alert_feed_idx: "kind in ('risk', 'portfolio', 'market') and type in ('LimitBreached', " +
    "'TradingPaused', 'TradingResumed', 'PositionClosed', 'AlertTriggered', 'SentimentCrossed')",
};

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const index of Object.keys(feeds)) await db.schema.dropIndex(index).execute();
  await sql`
    create index event_quiet_feed_idx on event (transaction, position)
    where kind in ('flow', 'schedule')`.execute(db);
  for (
    const table of [
      "trading_alert",
      "market_price",
      "trade",
      "transfer",
      "execution",
      "placed_order",
    ]
  ) await db.schema.dropTable(table).execute();
}
