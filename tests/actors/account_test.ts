import assert from "node:assert/strict";
import fc from "fast-check";
import * as Account from "../../actors/account/aggregate.ts";
import type { ToOrder } from "../../actors/trading.ts";
import { given } from "../support/given.ts";

const deposited = (amount: string): Account.Event => ({ type: "Deposited", amount });
const reserved = (orderId: string, amount: string): Account.Event =>
  ({ type: "CashReserved", orderId, amount }) as const;
const reply = (key: string, command: ToOrder) => ({
  to: { kind: "order", key },
  schema: 1,
  command,
});
const refusal = { type: "NotReserved", reason: "insufficient-cash" } as const;

Deno.test("what is not kept for orders can be withdrawn, and no more", () => {
  const { when } = given(Account, [deposited("100"), reserved("a", "60")]);
  when({ type: "Withdraw", amount: 40n }).then({ type: "Withdrawn", amount: "40" });
  when({ type: "Withdraw", amount: 41n }).thenRejected("insufficient-cash");
  given(Account, []).when({ type: "Deposit", amount: 7n }).then(deposited("7"));
});

Deno.test("what is there can be kept for an order, once", () => {
  const { when } = given(Account, [deposited("100"), reserved("a", "60")]);
  when({ type: "Reserve", orderId: "b", amount: "40" })
    .thenTelling([reply("b", { type: "Reserved" })], reserved("b", "40"));
  when({ type: "Reserve", orderId: "b", amount: "41" }).thenTelling([reply("b", refusal)], {
    type: "ReservationRefused",
    orderId: "b",
    amount: "41",
  });
});

Deno.test("for an order that becomes larger more is kept, if there is more", () => {
  const { when } = given(Account, [deposited("100"), reserved("a", "60")]);
  when({ type: "Reserve", orderId: "a", amount: "40" })
    .thenTelling([reply("a", { type: "Reserved" })], reserved("a", "40"));
  when({ type: "Reserve", orderId: "a", amount: "41" }).thenTelling([reply("a", refusal)], {
    type: "ReservationRefused",
    orderId: "a",
    amount: "41",
  });
  const { state } = given(Account, [deposited("100"), reserved("a", "60"), reserved("a", "15")]);
  assert.deepEqual([state.reserved, state.reservations.get("a")?.amount], [75n, 75n]);
});

Deno.test("a purchase costs what it cost, and what was kept beyond that is free again", () => {
  const paid: Account.Event = {
    type: "PurchasePaid",
    orderId: "a",
    tradeId: "it:1",
    cost: "25",
    released: "30",
  };
  const history = [deposited("100"), reserved("a", "60")];
  given(Account, history).when({ ...paid, type: "Pay" }).then(paid);
  const { state, when } = given(Account, [...history, paid]);
  assert.deepEqual([state.cash, state.reserved, Account.availableOf(state)], [75n, 30n, 45n]);
  when({ type: "Release", orderId: "a", amount: "10" })
    .then({ type: "CashReleased", orderId: "a", amount: "10" });
});

Deno.test("a sale is received whatever else is", () => {
  const sale: Account.Event = {
    type: "SaleReceived",
    orderId: "a",
    tradeId: "it:1",
    proceeds: "9007199254740993",
  };
  given(Account, []).when({ ...sale, type: "Receive" }).then(sale);
  assert.equal(given(Account, [sale, sale]).state.cash, 18_014_398_509_481_986n);
});

Deno.test("no more is released than is kept", () => {
  given(Account, [deposited("1")]).when({ type: "Release", orderId: "a", amount: "1" }).then();
  given(Account, [deposited("9"), reserved("a", "3")])
    .when({ type: "Release", orderId: "a", amount: "4" })
    .then({ type: "CashReleased", orderId: "a", amount: "3" });
});

Deno.test("there is an end to the orders that something is kept for", () => {
  const many = Array.from({ length: Account.RESERVATIONS_MAX }, (_, n) => reserved(`o${n}`, "1"));
  const { when } = given(Account, [deposited("1000000"), ...many]);
  when({ type: "Reserve", orderId: "late", amount: "1" }).thenTelling(
    [reply("late", { type: "NotReserved", reason: "too-many-orders" })],
    { type: "ReservationRefused", orderId: "late", amount: "1" },
  );
  when({ type: "Reserve", orderId: "o5", amount: "2" })
    .thenTelling([reply("o5", { type: "Reserved" })], reserved("o5", "2"));
});

const amount = fc.integer({ min: 1, max: 30 });
const orderId = fc.constantFrom("a", "b", "c");
/** A payment is for a part of what is kept: an order that has nothing kept trades nothing. */
const wish = fc.oneof(
  fc.record({ is: fc.constantFrom("Deposit" as const, "Withdraw" as const), amount }),
  fc.record({ is: fc.constantFrom("Reserve" as const, "Pay" as const), orderId, amount }),
  fc.record({ is: fc.constantFrom("Receive" as const, "Release" as const), orderId, amount }),
);
type Wish = typeof wish extends fc.Arbitrary<infer Wish> ? Wish : never;

function commandFor(wish: Wish, state: Account.State): Account.Command | undefined {
  const amount = String(wish.amount);
  switch (wish.is) {
    case "Deposit":
    case "Withdraw":
      return { type: wish.is, amount: BigInt(wish.amount) };
    case "Reserve":
      return { type: "Reserve", orderId: wish.orderId, amount };
    case "Receive":
      return { type: "Receive", orderId: wish.orderId, tradeId: "it:1", proceeds: amount };
    case "Release":
      return { type: "Release", orderId: wish.orderId, amount };
    case "Pay": {
      const kept = state.reservations.get(wish.orderId)?.amount ?? 0n;
      const released = kept < BigInt(amount) ? kept : BigInt(amount);
      const cost = released - released / 3n;
      const common = { orderId: wish.orderId, tradeId: "it:1" };
      return kept === 0n
        ? undefined
        : { type: "Pay", ...common, cost: String(cost), released: String(released) };
    }
  }
}

Deno.test("whatever comes, cash is what came less what went, and what is kept is there", () => {
  const seen = { refused: 0, rejected: 0, paid: 0, released: 0 };
  fc.assert(
    fc.property(fc.array(wish, { minLength: 5, maxLength: 60, size: "max" }), (wishes) => {
      let state = Account.initial;
      let cash = 0n;
      for (const wish of wishes) {
        const command = commandFor(wish, state);
        if (command === undefined) continue;
        const copy = Account.snapshot.decode(
          JSON.parse(JSON.stringify(Account.snapshot.encode(state))),
        );
        const decision = Account.decide(state, command);
        assert.deepEqual(Account.decide(copy, command), decision);
        if (!decision.accepted) seen.rejected++;
        for (const event of decision.accepted ? decision.events : []) {
          state = Account.evolve(state, Account.Event.parse(JSON.parse(JSON.stringify(event))));
          if (event.type === "Deposited") cash += BigInt(event.amount);
          if (event.type === "Withdrawn") cash -= BigInt(event.amount);
          if (event.type === "SaleReceived") cash += BigInt(event.proceeds);
          if (event.type === "PurchasePaid") cash -= BigInt(event.cost);
          if (event.type === "PurchasePaid") seen.paid++;
          if (event.type === "ReservationRefused") seen.refused++;
          if (event.type === "CashReleased") seen.released++;
        }
        assert.equal(state.cash, cash);
        const kept = state.reservations.values().reduce((sum, { amount }) => sum + amount, 0n);
        assert.equal(state.reserved, kept);
        assert(kept <= cash, `${kept} of ${cash} are kept`);
      }
    }),
    { numRuns: 2_000 },
  );
  for (const [what, times] of Object.entries(seen)) assert(times > 500, `${what}: ${times}`);
});
