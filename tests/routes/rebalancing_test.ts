/** Weights become orders: what is proposed, what is placed, and that it stays so under its key. */
import assert from "node:assert/strict";
import { Api, assertProblem, type Client, eventuallyEqual } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { opened, order, placed, untilStatus } from "../support/trading_scene.ts";

const database = await databaseOfThisFile();

const path = "/portfolio/rebalance";
const placing = `${path}?execute`;
const key = { "idempotency-key": "balance" };

const proposed = (symbol: string, side: string, price: string, quantity: string) => {
  return { symbol, side, price, quantity, currency: "USD" };
};

/** Somebody with 50 shares at 10, and 100 in cash; and another market, at 20. */
async function invested(api: Api, symbol: string, other: string) {
  const scene = await opened(api, symbol);
  const { seller, feed } = scene;
  assert.equal((await feed.post(`/markets/${other}/prices`, { price: "20" })).status, 200);
  await deposited(seller, "100.00");
  return scene;
}

async function deposited(person: Client, amount: string): Promise<void> {
  const { status, text } = await person.post("/accounts/deposits", { amount, currency: "USD" });
  assert.equal(status, 200, text);
}

async function ordersOf(person: Client) {
  const { body } = await person.get("/orders");
  return body.items.map(({ symbol, side, quantity }: Record<string, string>) =>
    `${side} ${quantity} ${symbol}`
  ).toSorted();
}

Deno.test("the orders that lead to the weights one wants are proposed, and placed if so asked", async () => {
  await using api = new Api(database);
  const { buyer, seller } = await invested(api, "MIKE", "NOVA");
  // All is worth 600.
  const weights = { MIKE: "0.5", NOVA: "0.4" };
  const orders = [
    proposed("MIKE", "sell", "10", "20"),
    proposed("NOVA", "buy", "20", "5"),
  ];
  const omitted = [{ ...proposed("NOVA", "buy", "20", "7"), reason: "unfunded" }];
  const proposal = await seller.post(path, { weights });
  assert.deepEqual([proposal.status, proposal.body], [200, { orders, omitted }], proposal.text);

  const first = await seller.post(placing, { weights });
  assert.equal(first.status, 201, first.text);
  const withoutIds = first.body.orders.map(
    ({ id: _, status, ...order }: { [key: string]: string }) => {
      assert.equal(status, "pending");
      return order;
    },
  );
  assert.deepEqual([withoutIds, first.body.omitted], [orders, omitted]);
  const [sale, purchase] = first.body.orders;
  await untilStatus(seller, `/orders/${sale.id}`, "working");
  await untilStatus(seller, `/orders/${purchase.id}`, "working");

  // What is kept for the sale is not sold once more, and nothing is left to buy with.
  const meanwhile = await seller.post(path, { weights: { MIKE: "0" } });
  assert.deepEqual(meanwhile.body, {
    orders: [proposed("MIKE", "sell", "10", "30")],
    omitted: [{ ...proposed("MIKE", "sell", "10", "20"), reason: "reserved" }],
  });
  // Once the sale has ended, what it brought buys the rest.
  await placed(buyer, order("MIKE", "buy", { quantity: "20" }));
  await untilStatus(seller, `/orders/${sale.id}`, "filled");
  await eventuallyEqual(async () => (await seller.get("/accounts/me")).body.available, "200");
  const second = await seller.post(placing, { weights: { NOVA: "0.4" } });
  assert.deepEqual(second.body.omitted, []);
  await untilStatus(seller, `/orders/${second.body.orders[0].id}`, "working");
});

Deno.test("what cannot be is refused as an order is, and nothing is placed", async () => {
  await using api = new Api(database);
  const { seller, admin } = await invested(api, "OAKS", "PINE");
  const weights = { OAKS: "0.5", PINE: "0.1" };
  const refused = [
    [{ weights: { NONE: "0.1" } }, 422, "/problems/order/unknown-symbol"],
    [{ weights: { OAKS: "0.6", PINE: "0.5" } }, 400, "/problems/invalid-request"],
    [{ weights: { OAKS: "1.1" } }, 400, "/problems/invalid-request"],
    [{ weights: { oaks: "0.1" } }, 400, "/problems/invalid-request"],
  ] as const;
  for (const [body, status, type] of refused) {
    assertProblem(await seller.post(path, body), status, type);
    assertProblem(await seller.post(placing, body), status, type);
  }
  assert.equal((await seller.post("/risk/pause")).status, 200);
  assertProblem(await seller.post(placing, { weights }), 409, "/problems/order/trading-paused");
  assert.equal((await seller.post("/risk/resume")).status, 200);
  assert.equal((await admin.post("/markets/PINE/pause")).status, 200);
  const paused = async () =>
    assertProblem(
      await seller.post(placing, { weights }, key),
      409,
      "/problems/order/market-paused",
    );
  await paused();
  assert.equal((await admin.post("/markets/PINE/resume")).status, 200);
  await paused();
  assert.deepEqual(await ordersOf(seller), []);
});

Deno.test("under one key it is placed once and answered alike, whatever has become of cash and prices", async () => {
  await using api = new Api(database);
  const { buyer, seller, feed } = await invested(api, "QUAY", "RAIL");
  const weights = { QUAY: "0.5", RAIL: "0.4" };
  const first = await seller.post(placing, { weights }, key);
  assert.equal(first.status, 201, first.text);
  const repeated = async (client: Client) => {
    const again = await client.post(placing, { weights }, key);
    assert.deepEqual([again.status, again.body], [201, first.body], again.text);
    const other = await client.post(placing, { weights: { QUAY: "0.1" } }, key);
    assertProblem(other, 422, "/problems/idempotency-key-reused");
  };
  await repeated(seller);
  await deposited(seller, "1800.00");
  await repeated(seller);
  await placed(buyer, order("QUAY", "buy", { quantity: "20" }));
  await untilStatus(seller, `/orders/${first.body.orders[0].id}`, "filled");
  assert.equal((await feed.post("/markets/RAIL/prices", { price: "2" })).status, 200);
  await repeated(seller);
  await using elsewhere = api.anotherNode();
  await repeated(elsewhere.as("seller", "trader"));
  assert.deepEqual(await ordersOf(seller), ["buy 5 RAIL", "sell 20 QUAY"]);
});

Deno.test("what was left undone is done when it is asked for again, as it was proposed", async () => {
  await using api = new Api(database);
  const { seller } = await invested(api, "SAGE", "TEAK");
  const weights = { SAGE: "0.5", TEAK: "0.1" };
  // The second order meets a store that breaks.
  api.store.script = () => {
    const isSecond = api.store.batches.at(-1)?.some(({ events }) =>
      events.some(({ type, data }) =>
        type === "OrderPlaced" && (data as { symbol: string }).symbol === "TEAK"
      )
    );
    return Promise.resolve(isSecond ? new Error("The store broke") : undefined);
  };
  assert.equal((await seller.post(placing, { weights }, key)).status, 500);
  api.store.script = undefined;
  api.bugs.length = 0;
  await eventuallyEqual(() => ordersOf(seller), ["sell 20 SAGE"]);
  await deposited(seller, "1000.00");
  const again = await seller.post(placing, { weights }, key);
  assert.equal(again.status, 201, again.text);
  assert.deepEqual(
    again.body.orders.map(({ symbol, quantity }: Record<string, string>) => [symbol, quantity]),
    [["SAGE", "20"], ["TEAK", "3"]],
  );
  await eventuallyEqual(() => ordersOf(seller), ["buy 3 TEAK", "sell 20 SAGE"]);
});
