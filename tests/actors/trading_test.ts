import fc from "fast-check";
import assert from "node:assert/strict";
import { timesInForce } from "../../actors/trading.ts";
import { assertSettled, assertSound, TradingFloor } from "../support/trading_floor.ts";

const people = ["ann", "ben", "cas"] as const;
const symbols = ["ACME", "BOLT"] as const;
const person = fc.constantFrom(...people);
const symbol = fc.constantFrom(...symbols);
const side = fc.constantFrom("buy" as const, "sell" as const);
const limit = fc.integer({ min: 9, max: 11 });
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

function opened(): TradingFloor {
  const floor = new TradingFloor();
  for (const symbol of symbols) {
    floor.ask("market", symbol, { type: "Quote", price: 10, volume: 0, quotedAt });
  }
  for (const person of people) {
    floor.ask("account", person, { type: "Deposit", amount: 220n });
    for (const symbol of symbols) {
      floor.ask("portfolio", person, { type: "Deposit", symbol, quantity: 12, price: 9 });
    }
    floor.ask("risk", person, { ...limits, type: "SetLimits" });
  }
  return floor;
}

const quotedAt = "2030-01-01T12:00:00.000Z";
const limits = { orderCost: "90", openCost: "300", positionCost: "500", pausesOnBreach: false };

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

Deno.test("whatever people want and whichever message is first: nothing is lost, doubled or kept for nobody", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(move, { minLength: 10, maxLength: 60, size: "max" }), (moves) => {
      const floor = opened();
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
      for (const { event } of floor.recorded) {
        const because = event.reason ?? event.because ?? "";
        const what = `${event.type} ${because}`.trim();
        seen.set(what, (seen.get(what) ?? 0) + 1);
      }
      for (const [key, { reserved }] of floor.all<{ reserved: bigint }>("account")) {
        assert.equal(reserved, 0n, `after the day nothing is kept for ${key}`);
      }
    }),
    { numRuns: 1_000 },
  );
  const rare = awaited.filter((what) => (seen.get(what) ?? 0) < 3);
  assert.deepEqual(rare, [], "all these have come up");
});
