/** What is read from tables about trading: lists, performance, alerts, analysis. */
import assert from "node:assert/strict";
import {
  Api,
  assertProblem,
  type Client,
  eventuallyEqual,
  itemsOf,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { opened, order, placed, untilStatus } from "../support/trading_scene.ts";

const database = await databaseOfThisFile();

const put = (person: Client, path: string, body: unknown) =>
  person.send("PUT", path, JSON.stringify(body), { "content-type": "application/json" });

Deno.test("orders are listed to whose they are, by what one asks for, the newest first", async () => {
  await using api = new Api(database);
  const { buyer, seller, admin } = await opened(api, "LISA");
  await opened(api, "LISB");
  const paths = [];
  for (const symbol of ["LISA", "LISB", "LISA"]) {
    const [path] = [await placed(buyer, order(symbol, "buy", { quantity: "1" }))];
    await untilStatus(buyer, path, "working");
    paths.push(path);
  }
  const [first, , third] = paths as [string, string, string];
  const cancelled = await buyer.delete(first);
  await untilStatus(buyer, first, "cancelled");
  const shown = since(await buyer.get(first, since(cancelled)));
  const ids = async (person: Client, query: string) =>
    (await itemsOf(person, `/orders${query}`, shown)).map(({ id }) => `/orders/${id}`);
  assert.deepEqual(await ids(buyer, "?limit=2"), paths.toReversed());
  assert.deepEqual(await ids(buyer, "?symbol=LISA"), [third, first]);
  assert.deepEqual(await ids(buyer, "?status=cancelled"), [first]);
  assert.deepEqual(await ids(buyer, "?status=working&symbol=LISA&limit=1"), [third]);
  assert.deepEqual(await ids(seller, ""), []);
  assert.deepEqual(await ids(admin, `?accountId=${buyer.id}`), paths.toReversed());
  const [newest, second, oldest] = await itemsOf(buyer, "/orders", shown);
  assert.deepEqual(
    await ids(buyer, `?from=${second.placedAt}&to=${newest.placedAt}`),
    [`/orders/${second.id}`],
  );
  const { placedAt, ...rest } = oldest;
  assert.equal(new Date(placedAt).toISOString(), placedAt);
  assert.deepEqual(rest, {
    id: oldest.id,
    status: "cancelled",
    reason: "asked",
    symbol: "LISA",
    side: "buy",
    type: "limit",
    price: "10",
    quantity: "1",
    filled: "0",
    remaining: "1",
    currency: "USD",
    timeInForce: "day",
  });
  assertProblem(await seller.get(`/orders?accountId=${buyer.id}`), 403, "/problems/forbidden");
  // JavaScript has a year 0, Postgres has none.
  const yearZero = "0000-12-31T00:00:00Z";
  const cursor = btoa(JSON.stringify([yearZero, crypto.randomUUID()]));
  const wrong = ["?status=gone", "?symbol=lisa", "?from=today", "?limit=0", "?cursor=x", "?a=1"];
  for (const query of [...wrong, `?from=${yearZero}`, `?cursor=${cursor}`]) {
    assertProblem(await buyer.get(`/orders${query}`), 400, "/problems/invalid-request");
  }
});

Deno.test("what was traded is on the tape of its market, the newest first", async () => {
  await using api = new Api(database);
  const { buyer, seller, feed } = await opened(api, "TAPE");
  const asked = await placed(seller, order("TAPE", "sell", { price: "9.5", quantity: "3" }));
  await untilStatus(seller, asked, "working");
  const more = await placed(seller, order("TAPE", "sell", { price: "10", quantity: "3" }));
  await untilStatus(seller, more, "working");
  const bid = await placed(buyer, order("TAPE", "buy"));
  await untilStatus(buyer, bid, "filled");
  const shown = since(await feed.post("/markets/TAPE/prices", { price: "11" }));
  const trades = (await itemsOf(feed, "/markets/TAPE/trades?limit=1", shown))
    .map(({ at, ...trade }) => {
      assert.equal(new Date(at).toISOString(), at);
      return trade;
    });
  assert.deepEqual(trades, [
    { number: 2, side: "buy", price: "10", quantity: "2", currency: "USD" },
    { number: 1, side: "buy", price: "9.5", quantity: "3", currency: "USD" },
  ]);
});

Deno.test("of a market that nobody has opened there is nothing, also no list", async () => {
  await using api = new Api(database);
  const { admin } = await opened(api, "NEWS");
  for (const list of ["trades", "alerts"]) {
    assert.deepEqual((await admin.get(`/markets/NEWS/${list}`)).body, { items: [] });
    assertProblem(await admin.get(`/markets/NONE/${list}`), 404, "/problems/market/not-found");
  }
  const alert = { condition: "price-at-least", price: "1" };
  for (
    const answer of [
      await admin.get("/markets/NONE/book"),
      await admin.post("/markets/NONE/pause"),
      await admin.post("/markets/NONE/resume"),
      await admin.post("/markets/NONE/alerts", alert),
    ]
  ) assertProblem(answer, 404, "/problems/market/not-found");
});

Deno.test("people are alerted to limits, pauses, closed positions and what they waited for", async () => {
  await using api = new Api(database);
  const { buyer, seller, feed, admin } = await opened(api, "WARN");
  const alert = { condition: "price-at-most", price: "9" };
  const { body: { id: alertId } } = await buyer.post("/markets/WARN/alerts", alert);
  await put(buyer, "/risk/limits", { orderCost: "40.00" });
  const bid = await placed(buyer, order("WARN", "buy"));
  await untilStatus(buyer, bid, "rejected");
  assert.equal((await buyer.post("/risk/resume")).status, 200);
  assertProblem(await buyer.post("/risk/resume"), 409, "/problems/risk/not-paused");
  assert.equal((await seller.post("/risk/pause")).body.paused, "asked");
  assertProblem(
    await seller.post("/orders", order("WARN", "sell")),
    409,
    "/problems/order/trading-paused",
  );
  await seller.post("/risk/resume");
  const sale = await placed(seller, order("WARN", "sell", { quantity: "50", price: "9" }));
  await untilStatus(seller, sale, "working");
  for (const number of [1, 2]) {
    const rich = api.as(`rich-${number}`, "trader");
    await rich.post("/accounts/deposits", { amount: "1000.00", currency: "USD" });
    await placed(rich, order("WARN", "buy", { price: "9", quantity: "25" }));
  }
  await untilStatus(seller, sale, "filled");
  await feed.post("/markets/WARN/sentiment", { score: -71, source: "wire" });
  await admin.post("/markets/WARN/pause", { reason: "news" });
  const resumed = await admin.post("/markets/WARN/resume");
  await eventuallyEqual(async () => (await seller.get("/positions")).body.items, []);
  const alertsOf = async (person: Client, path: string) =>
    (await itemsOf(person, `${path}?limit=2`, since(resumed))).map(({ at, ...said }) => {
      assert.equal(new Date(at).toISOString(), at);
      return said;
    });
  assert.deepEqual(await alertsOf(buyer, "/risk/alerts"), [
    {
      type: "market-alert",
      symbol: "WARN",
      alertId,
      condition: "price-at-most",
      asked: { price: "9" },
      price: "9",
      volume: "25",
    },
    { type: "trading-resumed" },
    { type: "trading-paused", because: "orderCost" },
    { type: "limit-breached", limit: "orderCost", value: "50", allowed: "40", currency: "USD" },
  ]);
  const closed = { type: "position-closed", symbol: "WARN", realized: "50", currency: "USD" };
  await eventuallyEqual(async () => await alertsOf(seller, "/risk/alerts"), [
    closed,
    { type: "trading-resumed" },
    { type: "trading-paused", because: "asked" },
  ]);
  const ofMarket = [
    { symbol: "WARN", type: "trading-resumed" },
    { symbol: "WARN", type: "trading-paused", reason: "news" },
    { symbol: "WARN", type: "sentiment-crossed", score: -71, threshold: -70 },
  ];
  assert.deepEqual(await alertsOf(seller, "/markets/WARN/alerts"), ofMarket);
  assert.deepEqual(await alertsOf(admin, "/risk/alerts"), []);
  assertProblem(
    await seller.get(`/risk/alerts?accountId=${buyer.id}`),
    403,
    "/problems/forbidden",
  );
});

Deno.test("performance leaves out what was added and taken out", async () => {
  await using api = new Api(database);
  const { seller, feed } = await opened(api, "PERF");
  // 50 shares at 10; they rise by a tenth, then cash comes in, and they fall to where they were.
  await feed.post("/markets/PERF/prices", { price: "11" });
  const deposit = await seller.post("/accounts/deposits", { amount: "450.00", currency: "USD" });
  const shown = since(await feed.post("/markets/PERF/prices", { price: "10" }));
  assert.equal(deposit.status, 200);
  api.advance(3_600_000);
  const { status, body, text } = await seller.get("/portfolio/performance?period=1d", shown);
  assert.equal(status, 200, text);
  const { from, to, series, ...rest } = body;
  assert.equal(Date.parse(to) - Date.parse(from), 24 * 3_600_000);
  assert.deepEqual(rest, {
    currency: "USD",
    period: "1d",
    value: "950",
    transferred: "950",
    timeWeightedReturn: "0.045",
    maximumDrawdown: "0.05",
  });
  assert.deepEqual([series.at(0).value, series.at(-1).value], ["0", "950"]);
  assert.equal(series.length, 25 + 2, "each hour, and each transfer");
  const { body: whole } = await seller.get("/portfolio/performance", shown);
  assert.deepEqual([whole.period, whole.series.length], ["1m", 31 + 2]);
  assertProblem(
    await seller.get("/portfolio/performance?period=2d"),
    400,
    "/problems/invalid-request",
  );
});

Deno.test("risk is told from what one holds and what prices have done before", async () => {
  await using api = new Api(database);
  const { seller, feed } = await opened(api, "RISA");
  await feed.post("/markets/RISB/prices", { price: "5" });
  await seller.post("/accounts/deposits", { symbol: "RISB", quantity: "20", price: "5" });
  await seller.post("/accounts/deposits", { amount: "400.00", currency: "USD" });
  await placed(seller, order("RISA", "buy", { price: "1", quantity: "5" }));
  // Tomorrow A has lost a fifth, and the day after it has won a quarter of that.
  const day = 24 * 3_600_000;
  api.advance(day);
  await api.as("feed", "feed").post("/markets/RISA/prices", { price: "8" });
  api.advance(day);
  const last = await api.as("feed", "feed").post("/markets/RISA/prices", { price: "10" });
  const later = api.as("seller", "trader");
  const [buyer, admin] = [api.as("buyer", "trader"), api.as("root", "admin")];
  const { status, body, text } = await later.get("/risk/analysis", since(last));
  assert.equal(status, 200, text);
  assert.deepEqual(body, {
    currency: "USD",
    exposure: {
      value: "600",
      cash: "400",
      openOrders: "5",
      weight: "0.6",
      positions: [
        { symbol: "RISA", value: "500", weight: "0.5" },
        { symbol: "RISB", value: "100", weight: "0.1" },
      ],
    },
    concentration: { largest: "0.83333333", herfindahl: "0.72222222" },
    valueAtRisk: {
      method: "historical",
      horizonDays: 1,
      daysObserved: 2,
      daysAsked: 250,
      covered: "1",
      losses: [{ confidence: "95%", loss: "100" }, { confidence: "99%", loss: "100" }],
    },
  });
  const { body: nothing } = await buyer.get("/risk/analysis");
  assert.deepEqual(nothing.valueAtRisk.losses, []);
  assert.equal(
    (await admin.get(`/risk/analysis?accountId=${seller.id}`)).body.exposure.cash,
    "400",
  );
  for (
    const path of ["/risk/analysis", "/risk/status", "/portfolio", "/positions", "/accounts/me"]
  ) {
    const asked = `${path}?accountId=${seller.id}`;
    assertProblem(await buyer.get(asked), 403, "/problems/forbidden");
    assert.equal((await admin.get(asked)).status, 200);
  }
});
