/** The read tables of trading, after events in pages of any size. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import * as Account from "../../actors/account/aggregate.ts";
import * as AccountTransfers from "../../actors/account/transfers.ts";
import * as Market from "../../actors/market/aggregate.ts";
import { audienceOf } from "../../actors/market/audience.ts";
import { listTrades, pricesAt } from "../../actors/market/listing.ts";
import { marketProjection, type MarketTables } from "../../actors/market/projection.ts";
import * as Order from "../../actors/order/aggregate.ts";
import { listOrders } from "../../actors/order/listing.ts";
import { orderProjection, type OrderTables } from "../../actors/order/projection.ts";
import * as Portfolio from "../../actors/portfolio/aggregate.ts";
import * as PortfolioTransfers from "../../actors/portfolio/transfers.ts";
import { alertProjection, type AlertTables, listAlerts } from "../../actors/trading_alerts.ts";
import { movementsOf } from "../../actors/trading_movements.ts";
import { transferProjection } from "../../actors/trading_transfers.ts";
import type { Database } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { Projection } from "../../lib/runtime/projector.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import { migrations } from "../../migrations/all.ts";
import { openMemoryDatabase } from "../support/database.ts";
import { AT } from "../support/given.ts";
import { mulberry32 } from "../support/seeded.ts";
import { TradingFloor } from "../support/trading_floor.ts";

const projections = [
  orderProjection,
  marketProjection,
  transferProjection({
    account: AccountTransfers.transferIn,
    portfolio: PortfolioTransfers.transferIn,
  }),
  alertProjection(audienceOf),
];
const people = ["ann", "ben", "cas"];
const quotedAt = new Date(AT).toISOString();

/** A day of random trading, in which everything happens that can. */
function traded(): TradingFloor {
  const chance = mulberry32(7);
  const upTo = (most: number) => Math.floor(chance() * (most + 1));
  const floor = new TradingFloor();
  floor.ask("market", "ACME", { type: "Quote", price: 10, volume: 0, quotedAt });
  for (const person of people) {
    floor.ask("account", person, { type: "Deposit", amount: 700n });
    floor.ask("portfolio", person, { type: "Deposit", symbol: "ACME", quantity: 20, price: 9 });
  }
  floor.ask("account", "ann", { type: "Withdraw", amount: 5n });
  floor.ask("portfolio", "ann", { type: "Withdraw", symbol: "ACME", quantity: 1 });
  floor.ask("risk", "cas", { type: "SetLimits", orderCost: "60", pausesOnBreach: true });
  const alert = { type: "SetAlert", alertId: "x", condition: "price-at-least", value: 11 };
  floor.ask("market", "ACME", alert, "ben");
  for (let number = 0; number < 120; number++) {
    const place = {
      type: "Place",
      orderType: "limit",
      symbol: "ACME",
      side: chance() < 0.5 ? "buy" : "sell",
      limit: 9 + upTo(2),
      quantity: 1 + upTo(8),
      timeInForce: chance() < 0.8 ? "day" : "immediate-or-cancel",
    };
    floor.ask("order", `order-${number}`, place, people[upTo(2)]!);
    for (let brought = upTo(12); brought > 0; brought--) floor.deliver(upTo(1_000));
    if (chance() < 0.2) byItsOwner(floor, upTo(5), { type: "Cancel" });
    if (chance() < 0.2) byItsOwner(floor, upTo(5), { type: "Replace", quantity: 1 + upTo(8) });
  }
  floor.settle();
  floor.ask("market", "ACME", { type: "Quote", price: 11, volume: 0, quotedAt });
  floor.ask("market", "ACME", {
    type: "RecordSentiment",
    score: 75,
    source: "x",
    analyzedAt: quotedAt,
  });
  floor.ask("market", "ACME", { type: "Pause", reason: "news" });
  floor.ask("market", "ACME", { type: "Resume" });
  return floor;
}

function byItsOwner(floor: TradingFloor, which: number, command: unknown): void {
  const [orderId, order] = floor.all<Order.State>("order").at(-1 - which) ?? [];
  if (orderId !== undefined) floor.ask("order", orderId, command, order!.accountId);
}

function recordedBy(floor: TradingFloor): readonly FeedEvent[] {
  const versions = new Map<string, number>();
  const id = crypto.randomUUID();
  return floor.recorded.map(({ kind, key, event }, index) => {
    const version = (versions.get(`${kind}/${key}`) ?? 0) + 1;
    versions.set(`${kind}/${key}`, version);
    return {
      address: { kind, key },
      version,
      type: event.type,
      schema: 1,
      data: event,
      at: AT + index,
      correlationId: id,
      causationId: id,
      principalId: "nobody",
      cursor: { transaction: "1", position: String(index) },
    };
  });
}

async function projected(
  { db }: Database,
  events: readonly FeedEvent[],
  size: number,
): Promise<void> {
  for (const projection of projections) {
    const wanted = events.filter((event) => isFor(projection, event));
    for (let from = 0; from < wanted.length; from += size) {
      await db.transaction().execute((transaction) =>
        projection.apply(transaction, wanted.slice(from, from + size))
      );
    }
  }
}

function isFor({ kind, types }: Projection<never>, { address, type }: FeedEvent): boolean {
  return [kind!].flat().includes(address.kind) && types!.includes(type);
}

Deno.test("pages of any size lead to what the actors know", async (t) => {
  const floor = traded();
  const events = recordedBy(floor);
  await using database = await openMemoryDatabase();
  await migrateToLatest(database.maintenance, migrations);
  const db = database.db.$extendTables<OrderTables & MarketTables & AlertTables>();
  for (const size of [1, 2, 7, 50, events.length]) {
    await t.step(`pages of ${size}`, async () => {
      for (const table of projections.flatMap(({ tables }) => tables!)) {
        await sql`truncate ${sql.table(table)}`.execute(database.db);
      }
      await projected(database, events, size);
      await assertOrders(db, floor);
      await assertMovements(db, floor);
      const trades = await listTrades(db, "ACME", undefined, 1_000);
      const [[, market]] = floor.all<Market.State>("market") as [[string, Market.State]];
      assert.equal(trades.length, market.nextTrade - 1);
      assert.equal(trades[0]!.number, trades.length);
      const end = AT + events.length;
      const prices = await pricesAt(db, ["ACME", "NONE"], [AT - 1, AT, end]);
      assert.deepEqual(prices.get("ACME"), [undefined, 10, market.price]);
      assert.deepEqual(prices.get("NONE"), [undefined, undefined, undefined]);
      await assertAlerts(db, floor);
    });
  }
});

async function assertOrders(db: Parameters<typeof listOrders>[0], floor: TradingFloor) {
  const rows = [];
  for (const accountId of people) {
    for (let before = undefined as { placedAt: Date; id: string } | undefined;;) {
      const page = await listOrders(db, { accountId }, before, 10);
      rows.push(...page.map((row) => ({ ...row, accountId })));
      if (page.length < 10) break;
      before = page.at(-1)!;
    }
  }
  const listed = new Map(rows.map((row) => [row.id, row]));
  const orders = floor.all<Order.State>("order");
  assert.equal(rows.length, orders.length);
  for (const [id, order] of orders) {
    const row = listed.get(id)!;
    assert.deepEqual(
      [row.accountId, row.status, row.reason ?? undefined, Number(row.filled)],
      [order.accountId, order.status, order.ending, order.filled],
      id,
    );
    assert.deepEqual([Number(row.price), Number(row.quantity)], [order.limit, order.quantity], id);
  }
}

async function assertMovements(db: Parameters<typeof movementsOf>[0], floor: TradingFloor) {
  for (const person of people) {
    const movements = await movementsOf(db, person, [AT + 1, AT + 300, AT + 1_000_000]);
    const sumOf = (symbol?: string) =>
      movements.filter((movement) => movement.symbol === symbol)
        .reduce((sum, { units }) => sum + units, 0n);
    const [, account] = floor.all<Account.State>("account").find(([key]) => key === person)!;
    const [, held] = floor.all<Portfolio.State>("portfolio").find(([key]) => key === person)!;
    assert.equal(sumOf(), account.cash, `cash of ${person}`);
    assert.equal(sumOf("ACME"), BigInt(held.positions.get("ACME")?.quantity ?? 0), person);
    const moved = movements.reduce((sum, { symbol, transferred }) => {
      return symbol === undefined ? sum + transferred : sum;
    }, 0n);
    assert.equal(moved, person === "ann" ? 695n : 700n);
    if (person !== "ann") continue;
    const upToFirst = movements.filter(({ stretch }) => stretch === 0);
    const deposit = { stretch: 0, symbol: undefined, units: 700n, transferred: 700n };
    assert.deepEqual(upToFirst, [deposit], "what is of the very moment is before it");
    assert.deepEqual(new Set(movements.map(({ stretch }) => stretch)), new Set([0, 1, 2]));
  }
}

async function assertAlerts(db: Parameters<typeof listAlerts>[0], floor: TradingFloor) {
  const typesOf = async (audience: Parameters<typeof listAlerts>[1]) => {
    const rows = await listAlerts(db, audience, undefined, 1_000);
    return rows.map(({ event }) => (event as { type: string }).type).toReversed();
  };
  assert.deepEqual(await typesOf({ symbol: "ACME" }), [
    "SentimentCrossed",
    "TradingPaused",
    "TradingResumed",
  ]);
  assert.deepEqual((await typesOf({ accountId: "ben" })).filter((type) => /Alert/.test(type)), [
    "AlertTriggered",
  ]);
  const ofCas = floor.recorded.filter(({ kind, key }) => kind === "risk" && key === "cas")
    .map(({ event: { type } }) => type).filter((type) => /Breached|Paused/.test(type));
  assert.deepEqual(ofCas, ["LimitBreached", "TradingPaused"]);
  assert.deepEqual(
    (await typesOf({ accountId: "cas" })).filter((type) => type !== "PositionClosed"),
    ofCas,
  );
}
