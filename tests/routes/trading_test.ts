import assert from "node:assert/strict";
import {
  Api,
  assertProblem,
  type Client,
  databaseOfThisFile,
  eventuallyEqual,
} from "../support/api.ts";

const database = await databaseOfThisFile();

interface Scene {
  readonly buyer: Client;
  readonly seller: Client;
  readonly feed: Client;
  readonly admin: Client;
}

/** Two people who can trade, and a market that is theirs. */
async function opened(api: Api, symbol: string): Promise<Scene> {
  const people = {
    buyer: api.as("buyer", "trader"),
    seller: api.as("seller", "trader"),
    feed: api.as("feed", "feed"),
    admin: api.as("root", "admin"),
  };
  const { buyer, seller, feed } = people;
  const answers = [
    await feed.post(`/markets/${symbol}/prices`, { price: "10.00" }),
    await buyer.post("/accounts/deposits", { amount: "1000.00", currency: "USD" }),
    await seller.post("/accounts/deposits", { symbol, quantity: "50", price: "8" }),
  ];
  for (const { status, text } of answers) assert.equal(status, 200, text);
  return people;
}

const order = (symbol: string, side: "buy" | "sell", differing: object = {}) => {
  return { type: "limit", symbol, side, price: "10", quantity: "5", ...differing };
};

async function placed(person: Client, body: object): Promise<string> {
  const answer = await person.post("/orders", body);
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers.get("location"), `/api/v1/orders/${answer.body.id}`);
  return `/orders/${answer.body.id}`;
}

async function untilStatus(person: Client, path: string, status: string) {
  await eventuallyEqual(async () => (await person.get(path)).body.status, status);
  return (await person.get(path)).body;
}

Deno.test("who buys and who sells meet, and both have what they wanted", async () => {
  await using api = new Api(database);
  const { buyer, seller } = await opened(api, "ACME");
  const asked = await placed(seller, order("ACME", "sell", { price: "9.50", quantity: "8" }));
  await untilStatus(seller, asked, "working");
  assert.deepEqual((await buyer.get("/markets/ACME/book")).body.asks, [
    { price: "9.5", quantity: "8", orders: 1 },
  ]);
  const bid = await placed(buyer, order("ACME", "buy"));
  const bought = await untilStatus(buyer, bid, "filled");
  assert.deepEqual([bought.filled, bought.remaining, bought.price], ["5", "0", "10"]);
  const cash = async (person: Client) => {
    const { cash, reserved } = (await person.get("/accounts/me")).body;
    return [cash, reserved];
  };
  await eventuallyEqual(() => cash(buyer), ["952.5", "0"]);
  await eventuallyEqual(() => cash(seller), ["47.5", "0"]);
  await eventuallyEqual(async () => {
    return (await buyer.get("/positions")).body.items.map(
      ({ symbol, quantity, lots }: Record<string, unknown>) => [symbol, quantity, lots],
    );
  }, [["ACME", "5", [{ quantity: "5", price: "9.5" }]]]);
  await eventuallyEqual(async () => {
    const [{ quantity, reserved, earned }] = (await seller.get("/positions")).body.items;
    return [quantity, reserved, earned];
  }, ["45", "3", "7.5"]);
  const rest = (await seller.get(asked)).body;
  assert.deepEqual([rest.status, rest.filled, rest.remaining], ["working", "5", "3"]);
});

Deno.test("a portfolio is worth what its shares would bring, and its cash", async () => {
  await using api = new Api(database);
  const { seller, feed } = await opened(api, "ALFA");
  await seller.post("/accounts/deposits", { symbol: "ZULU", quantity: "0.5", price: "3.0001" });
  await seller.post("/accounts/deposits", { amount: "0.25", currency: "USD" });
  await feed.post("/markets/ALFA/prices", { price: "12.3456" });
  const { status, body, text } = await seller.get("/portfolio");
  assert.equal(status, 200, text);
  const nothing = { price: "0", value: "0", realized: "0" };
  assert.deepEqual(body, {
    currency: "USD",
    cash: "0.25",
    value: "617.53",
    positions: [
      {
        symbol: "ALFA",
        quantity: "50",
        price: "12.3456",
        cost: "400",
        value: "617.28",
        unrealized: "217.28",
        realized: "0",
      },
      { symbol: "ZULU", quantity: "0.5", cost: "1.50005", unrealized: "-1.50005", ...nothing },
    ],
  });
});

Deno.test("the orders that lead to the weights one wants are proposed, and placed if so asked", async () => {
  await using api = new Api(database);
  const { seller, feed } = await opened(api, "MIKE");
  await feed.post("/markets/NOVA/prices", { price: "20" });
  const weights = { MIKE: "0.5", NOVA: "0.2" };
  const orders = [
    { symbol: "MIKE", side: "sell", price: "10", quantity: "25" },
    { symbol: "NOVA", side: "buy", price: "20", quantity: "5" },
  ];
  const proposed = await seller.post("/portfolio/rebalance", { weights });
  assert.deepEqual([proposed.status, proposed.body.orders], [200, orders], proposed.text);

  const key = { "idempotency-key": "balance" };
  const placed = await seller.post("/portfolio/rebalance?execute", { weights }, key);
  assert.equal(placed.status, 201, placed.text);
  const again = await seller.post("/portfolio/rebalance?execute", { weights }, key);
  const ids = (answer: typeof placed) => answer.body.orders.map(({ id }: { id: string }) => id);
  const [sale, purchase] = ids(placed);
  assert.equal(ids(again)[0], sale);
  await untilStatus(seller, `/orders/${sale}`, "working");
  // Nobody has bought yet, so there is no cash to buy with.
  assert.equal(
    (await untilStatus(seller, `/orders/${purchase}`, "rejected")).reason,
    "insufficient-cash",
  );

  const refused = [
    [{ weights: { NONE: "0.1" } }, 422, "/problems/order/unknown-symbol"],
    [{ weights: { MIKE: "0.6", NOVA: "0.5" } }, 400, "/problems/invalid-request"],
    [{ weights: { MIKE: "1.1" } }, 400, "/problems/invalid-request"],
    [{ weights: { mike: "0.1" } }, 400, "/problems/invalid-request"],
  ] as const;
  for (const [body, status, type] of refused) {
    assertProblem(await seller.post("/portfolio/rebalance", body), status, type);
  }
});

Deno.test("an order is changed and cancelled by whose it is, and nothing stays kept", async () => {
  await using api = new Api(database);
  const { buyer, seller } = await opened(api, "BOLT");
  const bid = await placed(buyer, order("BOLT", "buy", { quantity: "10" }));
  await untilStatus(buyer, bid, "working");
  assertProblem(await seller.get(bid), 404, "/problems/order/not-found");
  assertProblem(await seller.delete(bid), 404, "/problems/order/not-found");
  assertProblem(await seller.patch(bid, { price: "1" }), 404, "/problems/order/not-found");

  const changed = await buyer.patch(bid, { price: "11", quantity: "20" });
  assert.equal(changed.status, 202, changed.text);
  assert.deepEqual(changed.body.replacement, { price: "11", quantity: "20" });
  const reserved = async () => (await buyer.get("/accounts/me")).body.reserved;
  await eventuallyEqual(async () => [(await buyer.get(bid)).body.quantity, await reserved()], [
    "20",
    "220",
  ]);
  const cancelled = await buyer.delete(bid);
  assert.deepEqual([cancelled.status, cancelled.body.status], [202, "cancelling"]);
  assert.equal((await untilStatus(buyer, bid, "cancelled")).reason, "asked");
  await eventuallyEqual(reserved, "0");
  assertProblem(await buyer.delete(bid), 409, "/problems/order/ended");
});

Deno.test("a market order trades at what is there, and does not wait", async () => {
  await using api = new Api(database);
  const { buyer, seller } = await opened(api, "CORE");
  const asked = await placed(seller, order("CORE", "sell", { price: "10.20" }));
  await untilStatus(seller, asked, "working");
  const bid = await placed(buyer, { type: "market", symbol: "CORE", side: "buy", quantity: "7" });
  const bought = await untilStatus(buyer, bid, "cancelled");
  assert.deepEqual([bought.filled, bought.remaining, bought.reason], [
    "5",
    "2",
    "nobody-to-trade-with",
  ]);
});

Deno.test("the same request under one key places one order", async () => {
  await using api = new Api(database);
  const { buyer } = await opened(api, "DUPE");
  const key = { "idempotency-key": "once" };
  const first = await buyer.post("/orders", order("DUPE", "buy"), key);
  const again = await buyer.post("/orders", order("DUPE", "buy"), key);
  assert.deepEqual([first.status, again.status, again.body.id], [201, 201, first.body.id]);
  await untilStatus(buyer, `/orders/${first.body.id}`, "working");
  assert.equal((await buyer.get("/markets/DUPE/book")).body.bids[0].orders, 1);
});

Deno.test("what cannot be is refused with its reason, and nothing is kept for it", async () => {
  await using api = new Api(database);
  const { buyer, seller, admin } = await opened(api, "EASY");
  const refused = async (person: Client, body: object, status: number, type: string) =>
    assertProblem(await person.post("/orders", body), status, `/problems/order/${type}`);
  await refused(buyer, order("NONE", "buy"), 422, "unknown-symbol");
  await refused(buyer, order("EASY", "buy", { quantity: "101" }), 409, "insufficient-cash");
  await refused(seller, order("EASY", "sell", { quantity: "51" }), 409, "insufficient-shares");
  await refused(buyer, order("EASY", "sell"), 409, "insufficient-shares");
  assert.equal((await admin.post("/markets/EASY/pause", { reason: "news" })).status, 200);
  await refused(buyer, order("EASY", "buy"), 409, "market-paused");
  assertProblem(await admin.post("/markets/EASY/pause"), 409, "/problems/market/already-paused");
  assert.equal((await admin.post("/markets/EASY/resume")).status, 200);
  const { cash, reserved } = (await buyer.get("/accounts/me")).body;
  assert.deepEqual([cash, reserved], ["1000", "0"]);
  const tooMuch = await buyer.post("/accounts/withdrawals", { amount: "1000.01", currency: "USD" });
  assertProblem(tooMuch, 409, "/problems/account/insufficient-cash");
  assertProblem(
    await seller.post("/accounts/withdrawals", { symbol: "EASY", quantity: "50.0001" }),
    409,
    "/problems/account/insufficient-shares",
  );
});

Deno.test("beyond a limit of one's own an order is rejected, and trading paused", async () => {
  await using api = new Api(database);
  const { buyer } = await opened(api, "FLAT");
  const limits = { orderCost: "40.00" };
  const set = await buyer.send("PUT", "/risk/limits", JSON.stringify(limits), {
    "content-type": "application/json",
  });
  assert.deepEqual([set.status, set.body.limits], [200, { orderCost: "40" }], set.text);
  const bid = await placed(buyer, order("FLAT", "buy"));
  assert.equal((await untilStatus(buyer, bid, "rejected")).reason, "order-too-large");
  assert.equal((await buyer.get("/risk/status")).body.paused, "orderCost");
  assertProblem(
    await buyer.post("/orders", order("FLAT", "buy", { quantity: "1" })),
    409,
    "/problems/order/trading-paused",
  );
});

const amounts = ["0", "-1", "1e3", "1.00001", "1000000.0001", "", "NaN", " 1", "01", "1,5"];

for (const amount of amounts) {
  Deno.test(`${JSON.stringify(amount)} is no price, no quantity and no cash`, async () => {
    await using api = new Api(database);
    const buyer = api.as("buyer", "trader");
    for (const wrong of [{ price: amount }, { quantity: amount }]) {
      const answer = await buyer.post("/orders", order("ACME", "buy", wrong));
      assertProblem(answer, 400, "/problems/invalid-request");
      assert.equal(answer.body.errors[0].path[0], Object.keys(wrong)[0]);
    }
    const isCash = amount === "1000000.0001" || amount === "1.00001";
    const cash = isCash ? "1.001" : amount;
    const deposit = await buyer.post("/accounts/deposits", { amount: cash, currency: "USD" });
    assertProblem(deposit, 400, "/problems/invalid-request");
  });
}

Deno.test("everybody does what is theirs to do, and nothing else", async () => {
  await using api = new Api(database);
  const { buyer, feed, admin } = await opened(api, "GIVE");
  const forbidden = async (answer: Promise<Parameters<typeof assertProblem>[0]>) =>
    assertProblem(await answer, 403, "/problems/forbidden");
  await forbidden(buyer.post("/markets/GIVE/prices", { price: "1" }));
  await forbidden(buyer.post("/markets/GIVE/sentiment", { score: 1, source: "wire" }));
  await forbidden(buyer.post("/markets/GIVE/pause"));
  await forbidden(feed.post("/markets/GIVE/resume"));
  await forbidden(feed.post("/orders", order("GIVE", "buy")));
  await forbidden(feed.post("/accounts/deposits", { amount: "1", currency: "USD" }));
  const sentiment = await feed.post("/markets/GIVE/sentiment", { score: 80, source: "wire" });
  assert.deepEqual([sentiment.status, sentiment.body.sentiment], [200, 80]);
  assertProblem(await admin.get("/markets/NONE/book"), 404, "/problems/market/not-found");
  const alert = await buyer.post("/markets/GIVE/alerts", {
    condition: "price-at-least",
    price: "12",
  });
  assert.equal(alert.status, 201, alert.text);
  const path = alert.headers.get("location")!;
  assertProblem(await feed.delete(path), 404, "/problems/market/not-found");
  assert.equal((await buyer.delete(path)).status, 204);
});
