/** Whatever the API asks of the tables of trading, it finds by an index. */
import assert from "node:assert/strict";
import { type CompiledQuery, type Kysely, type QueryExecutorProvider, sql } from "kysely";
import { listTrades, pricesAt } from "../../actors/market/listing.ts";
import { marketProjection, type MarketTables } from "../../actors/market/projection.ts";
import { listOrders, type OrderFilter } from "../../actors/order/listing.ts";
import { orderProjection, type OrderTables } from "../../actors/order/projection.ts";
import { alertProjection, type AlertTables, listAlerts } from "../../actors/trading_alerts.ts";
import { movementsOf, transferMoments } from "../../actors/trading_movements.ts";
import { transferProjection } from "../../actors/trading_transfers.ts";
import { openDatabase } from "../../lib/postgres/database.ts";
import { readFeed } from "../../lib/postgres/event_store.ts";
import { flowProjection } from "../../lib/postgres/flow_listing.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { PostgresProjectionStore } from "../../lib/postgres/projection_store.ts";
import { PostgresRebuildStore } from "../../lib/postgres/rebuild_store.ts";
import { scheduleProjection } from "../../lib/postgres/schedules.ts";
import { type Projection, wantedBy } from "../../lib/runtime/projector.ts";
import { feedStart } from "../../lib/runtime/store.ts";
import { migrations } from "../../migrations/all.ts";
import { createServerDatabase, openServerDatabase } from "../support/database.ts";
import { pagesOf, recordingBuilt } from "../support/query_plans.ts";

type Reads = Kysely<OrderTables & MarketTables & AlertTables>;

/** Of a statement that finds its few rows by an index; each of the tables has more than a thousand. */
const PAGES_MAX = 200;
const DAY_MS = 24 * 3_600_000;

/** A hundred accounts with a thousand orders each. */
async function fill(db: Kysely<never>): Promise<void> {
  const rows = sql`generate_series(1, 100000) n`;
  const when = sql`timestamptz '2030-01-01' + n * interval '1 minute'`;
  const statements = [
    sql`insert into placed_order select 'order-' || n, 'account-' || n % 100, 'S' || n % 7, 'buy',
      'limit', 10, 5, 5, 'day', case n % 50 when 0 then 'working' else 'filled' end, null, ${when}
      from ${rows}`,
    sql`insert into execution select 'order-' || n, 'trade-' || n, 'account-' || n % 100, ${when},
      'S' || n % 7, 'buy', 10, 5 from ${rows}`,
    sql`insert into transfer select 'account', 'account-' || n % 100, n, ${when}, null, 1000
      from ${rows}`,
    sql`insert into trade select 'S' || n % 7, n, ${when}, 10, 5, 'buy' from ${rows}`,
    sql`insert into market_price select 'S' || n % 7, ${when}, n, 10 from ${rows}`,
    sql`insert into trading_alert select 'risk', 'account-' || n % 100, n,
      'account/account-' || n % 100, ${when}, '{}' from ${rows}`,
    sql`insert into event (kind, key, version, type, schema, data, correlation_id, causation_id,
        principal, at)
      select 'live_event', 'event-' || n % 100, n, 'Registered', 1, '{}', gen_random_uuid(),
        gen_random_uuid(), 'ann', ${when} from ${rows}`,
    sql`vacuum analyze`,
  ];
  for (const statement of statements) await statement.execute(db);
}

function queries(db: Reads): Readonly<Record<string, () => Promise<unknown>>> {
  const accountId = "account-7";
  const placedAt = new Date("2030-02-01T00:00:00Z");
  const orders = (filter: Partial<OrderFilter>, isFirst = true) => () =>
    listOrders(db, { accountId, ...filter }, isFirst ? undefined : { placedAt, id: "x" }, 51);
  const end = Date.parse("2030-03-01T00:00:00Z");
  const moments = Array.from({ length: 91 }, (_, n) => end - (90 - n) * DAY_MS);
  const alerts = { at: placedAt, kind: "risk", key: accountId, version: 1 };
  return {
    "orders": orders({}),
    "orders, the next page": orders({}, false),
    "orders by status": orders({ status: "working" }),
    "orders by symbol": orders({ symbol: "S3" }),
    "orders by both": orders({ status: "working", symbol: "S3" }, false),
    "orders of a time": orders({ from: placedAt, to: new Date(end) }),
    "trades": () => listTrades(db, "S3", undefined, 51),
    "trades, the next page": () => listTrades(db, "S3", 5_000, 51),
    "alerts": () => listAlerts(db, { accountId }, undefined, 51),
    "alerts, the next page": () => listAlerts(db, { accountId }, alerts, 51),
    "prices at some moments": () => pricesAt(db, ["S1"], moments.slice(0, 20)),
    "movements": () => movementsOf(db, accountId, moments),
    "transfers of a time": () =>
      transferMoments(db, accountId, { from: end - DAY_MS, to: end }, 201),
  };
}

Deno.test("what is asked about one account, or one market, is found by an index", async (t) => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  await fill(database.maintenance as unknown as Kysely<never>);
  const statements: CompiledQuery[] = [];
  const db = recordingBuilt(database.queries, statements) as unknown as Reads;
  for (const [name, ask] of Object.entries(queries(db))) {
    await t.step(name, async () => {
      statements.length = 0;
      await ask();
      assert.equal(statements.length, 1);
      const { pages, plan } = await pagesOf(database.maintenance, statements[0]!);
      assert.doesNotMatch(JSON.stringify(plan), /Seq Scan/);
      assert(pages < PAGES_MAX, `${pages} pages: ${JSON.stringify(plan).slice(0, 2_000)}`);
    });
  }
  const followed: readonly Projection<never>[] = [
    orderProjection,
    marketProjection,
    transferProjection({ account: () => undefined, portfolio: () => undefined }),
    alertProjection(() => ({ symbol: "S1" })),
    flowProjection,
    scheduleProjection,
  ];
  for (const projection of followed) {
    await t.step(`${projection.name} steps over no events of others`, async () => {
      statements.length = 0;
      const feed = { after: feedStart, limit: 200, ...wantedBy(projection) };
      await readFeed(recordingBuilt(database.db, statements), feed);
      const { pages } = await pagesOf(database.maintenance, statements[0]!);
      assert(pages < 10, `${pages} pages`);
    });
  }
});

/** An order that was placed, and then waits. */
async function place(db: Kysely<never>, id: string): Promise<void> {
  const placed = {
    type: "OrderPlaced",
    accountId: "ann",
    symbol: "S1",
    side: "buy",
    orderType: "limit",
    limit: 10,
    quantity: 5,
    timeInForce: "day",
    placedAt: "2030-01-01T00:00:00Z",
  };
  for (const [index, data] of [placed, { type: "OrderRested" }].entries()) {
    await sql`
      insert into event (kind, key, version, type, schema, data, correlation_id, causation_id,
        principal, at)
      values ('order', ${id}, ${index + 1}, ${data.type}, 1, ${JSON.stringify(data)}::text::jsonb,
        gen_random_uuid(), gen_random_uuid(), 'ann', now())`.execute(db);
  }
}

/** How often this session has read the table of orders from end to end. */
async function walksOf(db: QueryExecutorProvider): Promise<number> {
  const { rows } = await sql<{ walks: number }>`
    select sum(seq_scan)::int as walks from pg_stat_xact_user_tables
    where relname = 'placed_order'`.execute(db);
  return rows[0]!.walks;
}

/** The projection of orders, and how often each of its pages has read its table from end to end. */
function watchedProjection() {
  const walks: number[] = [];
  const projection: typeof orderProjection = {
    ...orderProjection,
    async apply(transaction, events) {
      const before = await walksOf(transaction);
      await orderProjection.apply(transaction, events);
      walks.push(await walksOf(transaction) - before);
    },
  };
  return { walks, projection };
}

type Db = Kysely<never>;

/** Has a table grow that was empty when `follow` began, a page of one event at a time. */
async function growing(
  db: Db,
  schema: string,
  { walks, follow }: {
    readonly walks: number[];
    readonly follow: () => Promise<{ readonly events: number }>;
  },
): Promise<void> {
  // Transactions of others, in whatever database, may keep the newest events from being shown yet.
  const followed = async (events: number) => {
    for (let seen = 0; seen < events;) seen += (await follow()).events;
  };
  for (let number = 0; number < 10; number++) await place(db, `early-${number}`);
  await followed(20);
  assert(walks.some((times) => times > 0), "a small table may well be walked through");
  await sql`insert into ${sql.id(schema, "placed_order")}
    select 'order-' || n, 'ann', 'S1', 'buy', 'limit', 10, 5, 5, 'day', 'filled', null, now()
    from generate_series(1, 50000) n`.execute(db);
  walks.length = 0;
  await place(db, "late");
  await followed(2);
  assert.deepEqual(walks, [0, 0]);
}

Deno.test("a table that was empty when a projection began is not walked through once it is full", async () => {
  await using server = await createServerDatabase();
  await using database = await openDatabase({ url: server.url, poolMax: 1 });
  await migrateToLatest(database.maintenance, migrations);
  const { walks, projection } = watchedProjection();
  const store = new PostgresProjectionStore(database.db);
  const follow = async () => (await store.advance(projection, 1))!;
  await growing(database.maintenance as unknown as Db, "public", { walks, follow });
});

Deno.test("nor is one that a rebuild fills", async () => {
  await using server = await createServerDatabase();
  await using database = await openDatabase({ url: server.url, poolMax: 1 });
  await migrateToLatest(database.maintenance, migrations);
  const { walks, projection } = watchedProjection();
  const store = new PostgresRebuildStore(database);
  const attempt = { token: 1, leaseMs: 600_000 };
  await store.begin(projection, attempt, { id: "root" });
  const follow = () => store.advance(projection, attempt, 1);
  const schema = "rebuild_order_listing";
  await growing(database.maintenance as unknown as Db, schema, { walks, follow });
});
