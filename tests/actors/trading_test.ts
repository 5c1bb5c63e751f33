import fc from "fast-check";
import assert from "node:assert/strict";
import { timesInForce } from "../../actors/trading.ts";
import { assertSettled, assertSound, TradingFloor } from "../support/trading_floor.ts";
import { assertLetThrough, assertWithinLimits } from "../support/trading_limits.ts";

const people = ["ann", "ben", "cas"] as const;
const symbols = ["ACME", "BOLT"] as const;
const person = fc.constantFrom(...people);
const symbol = fc.constantFrom(...symbols);
const side = fc.constantFrom("buy" as const, "sell" as const);
const LOWEST = 9;
const limit = fc.integer({ min: LOWEST, max: 11 });
const quantity = fc.integer({ min: 1, max: 9 });

const wish = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      is: fc.constant("place" as const),
      person,
      symbol,
      side,
      limit,
      quantity,
      timeInForce: fc.constantFrom("day" as const, "day" as const, ...timesInForce),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ is: fc.constant("cancel" as const), which: fc.nat(6) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      is: fc.constant("replace" as const),
      which: fc.nat(6),
      limit: fc.option(limit, { nil: undefined }),
      quantity: fc.option(quantity, { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ is: fc.constant("withdraw" as const), person, amount: fc.nat(300) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant("withdraw-shares" as const),
      person,
      symbol,
      quantity: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      is: fc.constantFrom("pause-person" as const, "resume-person" as const),
      person,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      is: fc.constantFrom("pause" as const, "resume" as const, "resume" as const),
      symbol,
    }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("end-day" as const) }) },
);
type Wish = typeof wish extends fc.Arbitrary<infer Wish> ? Wish : never;

/** What somebody does, and which messages are brought before the next does anything. */
const move = fc.record({ wish, deliveries: fc.array(fc.nat(1_000), { maxLength: 14 }) });

function opened(limits: object): TradingFloor {
  const floor = new TradingFloor();
  for (const symbol of symbols) {
    floor.ask("market", symbol, { type: "Quote", price: 10, volume: 0, quotedAt });
  }
  for (const person of people) {
    floor.ask("account", person, { type: "Deposit", amount: 220n });
    for (const symbol of symbols) {
      floor.ask("portfolio", person, { type: "Deposit", symbol, quantity: 12, price: 9 });
    }
    floor.ask("risk", person, { ...limits, pausesOnBreach: false, type: "SetLimits" });
  }
  floor.settle();
  return floor;
}

const quotedAt = "2030-01-01T12:00:00.000Z";
const lenient = { orderCost: "90", openCost: "300", positionCost: "500" };
/** So low that all of them are met with. */
const strict = { orderCost: "75", openCost: "80", positionCost: "165" };

function grant(floor: TradingFloor, wish: Wish, number: number): void {
  switch (wish.is) {
    case "place": {
      const { is: _, person, ...order } = wish;
      const place = { ...order, type: "Place", orderType: "limit" };
      assert.equal(floor.ask("order", `order-${number}`, place, person), undefined);
      return;
    }
    case "cancel":
      return byItsOwner(floor, wish.which, { type: "Cancel" });
    case "replace": {
      const { is: _, which, limit, quantity } = wish;
      return byItsOwner(floor, which, {
        type: "Replace",
        ...(limit !== undefined && { limit }),
        ...(quantity !== undefined && { quantity }),
      });
    }
    case "withdraw":
      floor.ask("account", wish.person, { type: "Withdraw", amount: BigInt(wish.amount) });
      return;
    case "withdraw-shares": {
      const { is: _, person, ...shares } = wish;
      floor.ask("portfolio", person, { ...shares, type: "Withdraw" });
      return;
    }
    case "pause-person":
    case "resume-person":
      floor.ask("risk", wish.person, { type: wish.is === "pause-person" ? "Pause" : "Resume" });
      return;
    case "pause":
    case "resume":
      floor.ask("market", wish.symbol, { type: wish.is === "pause" ? "Pause" : "Resume" });
      return;
    case "end-day":
      return floor.endDay();
  }
}

/** To one of the orders that were placed last. It may be refused: then nothing has happened. */
function byItsOwner(floor: TradingFloor, which: number, command: unknown): void {
  const [orderId, order] = floor.all<{ accountId: string }>("order").at(-1 - which) ?? [];
  if (orderId !== undefined) floor.ask("order", orderId, command, order!.accountId);
}

const awaited = [
  "CancelRequested asked",
  "CancelRequested expired",
  "CashReleased",
  "ExcessReleased",
  "LimitBreached",
  "OrderCancelled asked",
  "OrderCancelled expired",
  "OrderCancelled nobody-to-trade-with",
  "OrderCancelled self-trade",
  "OrderFilled",
  "OrderLessened",
  "OrderRejected insufficient-cash",
  "OrderRejected insufficient-shares",
  "OrderRejected market-paused",
  "OrderRejected order-too-large",
  "OrderReplaced",
  "ReplaceRejected insufficient-cash",
  "ReplaceRejected not-resting",
  "SharesReleased",
];

/** How often each kind of event has come up, by its reason. */
function count(seen: Map<string, number>, { recorded }: TradingFloor): void {
  for (const { event } of recorded) {
    const what = `${event.type} ${event.reason ?? event.because ?? ""}`.trim();
    seen.set(what, (seen.get(what) ?? 0) + 1);
  }
}

function assertCameUp(seen: ReadonlyMap<string, number>, awaited: readonly string[]): void {
  const rare = awaited.filter((what) => (seen.get(what) ?? 0) < 3);
  assert.deepEqual(rare, [], "all these have come up");
}

Deno.test("whatever people want and whichever message is first: their limits hold", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(move, { minLength: 10, maxLength: 60, size: "max" }), (moves) => {
      const floor = opened(strict);
      for (const [number, { wish, deliveries }] of moves.entries()) {
        grant(floor, wish, number);
        for (const choice of deliveries) floor.deliver(choice);
        assertWithinLimits(floor, strict, LOWEST);
      }
      floor.settle();
      assertWithinLimits(floor, strict, LOWEST);
      assertLetThrough(floor);
      count(seen, floor);
    }),
    { numRuns: 500 },
  );
  assertCameUp(seen, [
    "OrderRejected order-too-large",
    "OrderRejected position-too-large",
    "OrderRejected too-much-open",
    "OrderRejected trading-paused",
    "ReplaceRejected order-too-large",
    "ReplaceRejected position-too-large",
    "ReplaceRejected trading-paused",
    "OrderChanged",
    "OrderReplaced",
  ]);
});

Deno.test("whatever people want and whichever message is first: nothing is lost, doubled or kept for nobody", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(move, { minLength: 10, maxLength: 60, size: "max" }), (moves) => {
      const floor = opened(lenient);
      for (const [number, { wish, deliveries }] of moves.entries()) {
        grant(floor, wish, number);
        for (const choice of deliveries) {
          floor.deliver(choice);
          assertSound(floor);
        }
      }
      floor.settle();
      assertSound(floor);
      assertSettled(floor);
      for (const symbol of symbols) floor.ask("market", symbol, { type: "Resume" });
      floor.endDay();
      floor.settle();
      assertSettled(floor);
      count(seen, floor);
      for (const [key, { reserved }] of floor.all<{ reserved: bigint }>("account")) {
        assert.equal(reserved, 0n, `after the day nothing is kept for ${key}`);
      }
    }),
    { numRuns: 1_000 },
  );
  assertCameUp(seen, awaited);
});
