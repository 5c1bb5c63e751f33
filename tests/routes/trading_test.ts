import assert from "node:assert/strict";
import { Api, assertProblem, type Client, eventuallyEqual } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { opened, order, placed, untilStatus } from "../support/trading_scene.ts";

const database = await databaseOfThisFile();

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
  assert.equal((await seller.get("/portfolio")).body.realized, "7.5");
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
    realized: "0",
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

Deno.test("a portfolio that is confirmed is worth what its shares are, whichever node knows it", async () => {
  await using api = new Api(database);
  const { seller } = await opened(api, "FARO");
  await using other = api.anotherNode();
  const value = async (headers = {}) => (await seller.get("/portfolio", headers)).body.value;
  assert.equal(await value(), "500");
  const quoted = await other.as("feed", "feed").post("/markets/FARO/prices", { price: "12" });
  assert.equal(quoted.status, 200, quoted.text);
  assert.equal(await value({ "cache-control": "no-cache" }), "600");
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
  const { status: was, cancelling, type, placedAt } = cancelled.body;
  assert.deepEqual([cancelled.status, was, cancelling], [202, "working", "asked"]);
  const over = await untilStatus(buyer, bid, "cancelled");
  assert.deepEqual([over.reason, over.cancelling], ["asked", undefined]);
  await eventuallyEqual(reserved, "0");
  const headers = { "consistency-token": cancelled.headers.get("consistency-token")! };
  const [listed] = (await buyer.get("/orders?status=cancelled", headers)).body.items;
  assert.deepEqual([listed.type, listed.placedAt], ["limit", placedAt]);
  assert.equal(type, "limit");
  assertProblem(await buyer.delete(bid), 409, "/problems/order/ended");
});

Deno.test("what an order cannot become is refused with its reason, and it stays as it was", async () => {
  await using api = new Api(database);
  const { buyer, seller, admin } = await opened(api, "BEND");
  const bid = await placed(buyer, order("BEND", "buy", { price: "9" }));
  const asked = await placed(seller, order("BEND", "sell", { price: "11" }));
  await untilStatus(buyer, bid, "working");
  await untilStatus(seller, asked, "working");
  const before = (await buyer.get(bid)).body;
  const refused = async (person: Client, path: string, changes: object, reason: string) =>
    assertProblem(await person.patch(path, changes), 409, `/problems/order/${reason}`);
  await refused(buyer, bid, { quantity: "112" }, "insufficient-cash");
  await refused(admin, bid, { quantity: "112" }, "insufficient-cash");
  await refused(seller, asked, { quantity: "51" }, "insufficient-shares");
  assert.equal((await admin.post("/markets/BEND/pause")).status, 200);
  await refused(buyer, bid, { price: "8" }, "market-paused");
  assertProblem(await seller.patch(bid, { price: "8" }), 404, "/problems/order/not-found");
  assert.equal((await admin.post("/markets/BEND/resume")).status, 200);
  assert.equal((await buyer.post("/risk/pause")).status, 200);
  await refused(buyer, bid, { price: "10" }, "trading-paused");
  assert.deepEqual((await buyer.get(bid)).body, before);
  // It needs nothing more, so it is no more trading.
  assert.equal((await buyer.patch(bid, { price: "8" })).status, 202);
  await eventuallyEqual(async () => (await buyer.get(bid)).body.price, "8");
});

Deno.test("an order says why it did not become what was last asked for", async () => {
  await using api = new Api(database);
  const { buyer } = await opened(api, "KEEP");
  const bid = await placed(buyer, order("KEEP", "buy"));
  await untilStatus(buyer, bid, "working");
  const limits = JSON.stringify({ orderCost: "60.00", pausesOnBreach: false });
  const headers = { "content-type": "application/json" };
  assert.equal((await buyer.send("PUT", "/risk/limits", limits, headers)).status, 200);
  assert.equal((await buyer.patch(bid, { quantity: "7" })).status, 202);
  await eventuallyEqual(async () => (await buyer.get(bid)).body.notReplaced, "order-too-large");
  const stayed = (await buyer.get(bid)).body;
  assert.deepEqual([stayed.status, stayed.quantity, stayed.replacement], [
    "working",
    "5",
    undefined,
  ]);
  const again = await buyer.patch(bid, { quantity: "6" });
  assert.deepEqual([again.status, again.body.notReplaced], [202, undefined]);
  await eventuallyEqual(async () => (await buyer.get(bid)).body.quantity, "6");
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

Deno.test("whoever asks again for an order hears the same, whatever has become of cash and market", async () => {
  await using api = new Api(database);
  const { buyer, admin } = await opened(api, "HOLD");
  const key = { "idempotency-key": "all-in" };
  const allIn = order("HOLD", "buy", { quantity: "100" });
  const first = await buyer.post("/orders", allIn, key);
  await untilStatus(buyer, `/orders/${first.body.id}`, "working");
  assert.equal((await buyer.get("/accounts/me")).body.available, "0");
  const repeated = async () => {
    const again = await buyer.post("/orders", allIn, key);
    assert.deepEqual([again.status, again.body], [201, first.body], again.text);
    const other = await buyer.post("/orders", order("HOLD", "buy"), key);
    assertProblem(other, 422, "/problems/idempotency-key-reused");
  };
  await repeated();
  assert.equal((await admin.post("/markets/HOLD/pause")).status, 200);
  await repeated();
});

Deno.test("nobody is refused for what another node knows to be over", async () => {
  await using api = new Api(database);
  const { buyer, seller, admin } = await opened(api, "NODE");
  await using other = api.anotherNode();
  const [buyerThere, sellerThere] = [other.as("buyer", "trader"), other.as("seller", "trader")];
  const large = order("NODE", "buy", { quantity: "150" });
  const many = order("NODE", "sell", { quantity: "60" });
  assertProblem(await buyerThere.post("/orders", large), 409, "/problems/order/insufficient-cash");
  assertProblem(
    await sellerThere.post("/orders", many),
    409,
    "/problems/order/insufficient-shares",
  );
  await buyer.post("/accounts/deposits", { amount: "600", currency: "USD" });
  await seller.post("/accounts/deposits", { symbol: "NODE", quantity: "10", price: "8" });
  assert.equal((await buyerThere.post("/orders", large)).status, 201);
  assert.equal((await sellerThere.post("/orders", many)).status, 201);

  const small = order("NODE", "buy", { quantity: "1", price: "1" });
  await admin.post("/markets/NODE/pause");
  await other.as("root", "admin").get("/markets/NODE/book", { "cache-control": "no-cache" });
  assertProblem(await buyerThere.post("/orders", small), 409, "/problems/order/market-paused");
  await admin.post("/markets/NODE/resume");
  assert.equal((await buyerThere.post("/orders", small)).status, 201);
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

Deno.test("what an order has been changed to is what counts against the limits, and is held to them", async () => {
  await using api = new Api(database);
  const { buyer, seller } = await opened(api, "GOLF");
  const limited = async (person: Client, limits: object) => {
    const type = { "content-type": "application/json" };
    const set = await person.send("PUT", "/risk/limits", JSON.stringify(limits), type);
    assert.equal(set.status, 200, set.text);
  };
  const openCost = async () => (await buyer.get("/risk/status")).body.openCost;
  await limited(buyer, { openCost: "950" });
  const bid = await placed(buyer, order("GOLF", "buy", { quantity: "90" }));
  await untilStatus(buyer, bid, "working");
  assert.equal(await openCost(), "900");
  assert.equal((await buyer.patch(bid, { quantity: "10" })).status, 202);
  await eventuallyEqual(openCost, "100");
  const other = await placed(buyer, order("GOLF", "buy", { quantity: "30", price: "9" }));
  await untilStatus(buyer, other, "working");
  const sold = await placed(seller, order("GOLF", "sell", { quantity: "4" }));
  await untilStatus(seller, sold, "filled");
  await eventuallyEqual(openCost, "330");
  assert.equal((await buyer.get("/risk/status")).body.paused, undefined);

  await limited(seller, { orderCost: "100" });
  const sale = await placed(seller, order("GOLF", "sell", { price: "20" }));
  await untilStatus(seller, sale, "working");
  assert.equal((await seller.patch(sale, { price: "900000" })).status, 202);
  await eventuallyEqual(async () => (await seller.get("/risk/status")).body.paused, "orderCost");
  await eventuallyEqual(async () => {
    const { price, replacement } = (await seller.get(sale)).body;
    return [price, replacement];
  }, ["20", undefined]);
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

Deno.test("an order that was refused stays so under its key, whatever comes after", async () => {
  await using api = new Api(database);
  const { buyer, admin } = await opened(api, "STAY");
  assert.equal((await admin.post("/markets/STAY/pause")).status, 200);
  const wanted = order("STAY", "buy", { quantity: "1" });
  const refusedUnderKey = async () => {
    const again = await buyer.post("/orders", wanted, { "Idempotency-Key": "stays" });
    assertProblem(again, 409, "/problems/order/market-paused");
  };
  await refusedUnderKey();
  assert.equal((await admin.post("/markets/STAY/resume")).status, 200);
  await refusedUnderKey();
  assert.equal((await buyer.post("/orders", wanted)).status, 201);
});
