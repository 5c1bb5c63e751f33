/** A database that was filled in bulk must be one that the service could have written. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { seedTrading } from "../../bench/seed_trading.ts";
import { cashUnits } from "../../bench/trading_books.ts";
import { type HistoryPlan, symbolOf, traderOf } from "../../bench/trading_history.ts";
import * as Account from "../../actors/account/aggregate.ts";
import * as Market from "../../actors/market/aggregate.ts";
import * as Order from "../../actors/order/aggregate.ts";
import { hasEnded, remainingOf } from "../../actors/order/state.ts";
import * as Portfolio from "../../actors/portfolio/aggregate.ts";
import * as Risk from "../../actors/risk/aggregate.ts";
import * as User from "../../actors/user/aggregate.ts";
import { costOf } from "../../actors/trading.ts";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { type AnyAggregate, replay } from "../../lib/runtime/turn.ts";
import { priceText, quantityText } from "../../routes/trading_schemas.ts";
import { Api, type Client, eventuallyEqual } from "../support/api.ts";
import { createServerDatabase } from "../support/database.ts";

const plan: HistoryPlan = {
  seed: 3,
  orders: 2_000,
  accounts: 100,
  symbols: 3,
  resting: 200,
  from: Date.now() - 10 * 24 * 3_600_000,
  until: Date.now(),
};

const seeded = await createServerDatabase();
Deno.test.afterAll(async () => await seeded[Symbol.asyncDispose]());
await seedTrading(seeded.url, plan, () => {});

const aggregates = [Account, Market, Order, Portfolio, Risk, User] as unknown as AnyAggregate[];

interface Found {
  readonly key: string;
  readonly state: unknown;
}

/** Every actor of that kind, from its whole stream; all that else is written of it agrees. */
async function replayed(database: Database, { kind }: { kind: string }): Promise<Found[]> {
  const aggregate = aggregates.find((one) => one.kind === kind)!;
  const store = new PostgresEventStore(database);
  const actors = await database.db.selectFrom("actor").select("key").where("kind", "=", kind)
    .execute();
  return await Promise.all(actors.map(async ({ key }) => {
    const address = { kind, key };
    const [kept, whole] = await store.load([{ address }, { address, afterVersion: 0 }]);
    const start = { state: aggregate.initial, version: 0 };
    const { state, version } = replay(aggregate, start, whole!.events);
    assert.equal(version, kept!.version, `${kind} ${key} has as many events as its row says`);
    assert(kept!.revision >= 1 && BigInt(kept!.transaction) > 0n);
    const { snapshot } = kept!;
    if (snapshot !== undefined) {
      assert.equal(snapshot.version, version);
      const encoded = JSON.parse(JSON.stringify(aggregate.snapshot!.encode(state)));
      assert.deepEqual(snapshot.state, encoded, `${kind} ${key} is what its snapshot says`);
    }
    return { key, state };
  }));
}

Deno.test("seeded books add up, and what rests is what markets know", async () => {
  await using database = await openDatabase({ url: seeded.url, allowUnsafe: true });
  const statesOf = async <State>(aggregate: { kind: string }) =>
    (await replayed(database, aggregate)) as { key: string; state: State }[];
  const orders = await statesOf<Order.State>(Order);
  assert.equal(orders.length, plan.orders);
  const open = orders.filter(({ state }) => !hasEnded(state));
  assert(open.length >= plan.resting && open.length < 1.5 * plan.resting, `${open.length} rest`);
  assert(open.every(({ state }) => state.status === "working"));

  const markets = await statesOf<Market.State>(Market);
  const resting = markets.flatMap(({ state }) => [...state.book.orders.values()]);
  assert.deepEqual(
    resting.map(({ id, remaining }) => [id, remaining]).toSorted(),
    open.map(({ key, state }) => [key, state.quantity - state.filled]).toSorted(),
  );
  const trades = markets.reduce((sum, { state }) => sum + state.nextTrade - 1, 0);
  assert(trades > plan.orders / 20, `${trades} trades`);

  const accounts = await statesOf<Account.State>(Account);
  assert.equal(accounts.length, plan.accounts);
  assert(accounts.every(({ state }) => state.reserved <= state.cash));
  const { rows: [came] } = await sql<{ cash: string; shares: number }>`
    select sum((data->>'amount')::numeric) filter (where type = 'Deposited')::text as cash,
      sum((data->>'quantity')::bigint) filter (where type = 'SharesDeposited')::float8 as shares
    from event where type in ('Deposited', 'SharesDeposited')`.execute(database.db);
  assert.equal(String(accounts.reduce((sum, { state }) => sum + state.cash, 0n)), came!.cash);
  const portfolios = await statesOf<Portfolio.State>(Portfolio);
  const held = portfolios.flatMap(({ state }) => [...state.positions.values()]);
  assert.equal(held.reduce((sum, { quantity }) => sum + quantity, 0), came!.shares);

  const users = await statesOf<User.State>(User);
  assert.equal(users.length, plan.accounts);
  assert(users.every(({ state }) => state.status === "active"));

  const risks = await statesOf<Risk.State>(Risk);
  assert.equal(risks.reduce((sum, { state }) => sum + state.open.size, 0), open.length);
  const { rows: waiting } = await sql<{ key: string }>`
    select distinct key from outbox where kind = 'order' and command->>'type' = 'Expire'
      and available_at = date_trunc('day', at at time zone 'utc') at time zone 'utc' + '1 day'`
    .execute(database.db);
  const expiring = new Set(waiting.map(({ key }) => key));
  assert(open.every(({ key }) => expiring.has(key)), "each that rests will expire");
});

Deno.test("the service goes on where the seed has left off", async () => {
  await using database = await openDatabase({ url: seeded.url, allowUnsafe: true });
  await using api = new Api(database);
  const trader = async (number: number) =>
    api.bearing(await api.token({ sub: traderOf(number).id, roles: ["trader"] }));
  const [offer] = (await openOrders(database)).filter(({ side, symbol }) =>
    side === "sell" && symbol === symbolOf(0)
  );
  const { key, accountId, symbol, limit } = offer!;
  const quantity = remainingOf(offer!);
  const number = Array.from({ length: plan.accounts }, (_, n) => traderOf(n).id).indexOf(accountId);
  const [seller, buyer] = [await trader(number), await trader((number + 1) % plan.accounts)];
  const user = await seller.get("/users/me");
  assert.deepEqual([user.status, user.body.id], [200, accountId], user.text);
  const [had, paid] = [await cashOf(seller), await cashOf(buyer)];

  const placed = await buyer.post("/orders", {
    type: "limit",
    symbol,
    side: "buy",
    price: priceText(limit),
    quantity: quantityText(quantity),
  });
  assert.equal(placed.status, 201, placed.text);
  const statusOf = async (person: Client, id: string) =>
    (await person.get(`/orders/${id}`)).body.status;
  await eventuallyEqual(() => statusOf(buyer, placed.body.id), "filled");
  await eventuallyEqual(() => statusOf(seller, key), "filled");
  const cost = costOf(limit, quantity);
  await eventuallyEqual(() => cashOf(seller), had + cost);
  await eventuallyEqual(() => cashOf(buyer), paid - cost);
});

Deno.test("a database that holds anything is left alone", async () => {
  await assert.rejects(seedTrading(seeded.url, plan, () => {}), /in use already/);
});

async function cashOf(person: Client): Promise<bigint> {
  return cashUnits((await person.get("/accounts/me")).body.cash);
}

/** Those that rest, the cheapest first and, at one price, whoever came first. */
async function openOrders(database: Database) {
  const orders = (await replayed(database, Order)) as { key: string; state: Order.State }[];
  return orders.filter(({ state }) => !hasEnded(state))
    .map(({ key, state }) => ({ key, ...state }))
    .toSorted((a, b) =>
      a.limit - b.limit ||
      (a.key < b.key ? -1 : 1)
    );
}
