/** Books that do not add up must not pass for books that do. */
import assert from "node:assert/strict";
import { type Books, checksOf, type OrderView } from "../../bench/trading_books.ts";

const order: OrderView = {
  id: "order-1",
  status: "filled",
  symbol: "ACME",
  side: "sell",
  quantity: "4",
  filled: "4",
};

/** One had 10 at 8 and sold 4 of them at 10 to the other, who had 100 in cash. */
function sound(): Books[] {
  return [
    {
      name: "seller",
      ledger: {
        deposited: 0n,
        withdrawn: 0n,
        shares: new Map([["ACME", { quantity: 100_000, cost: 80_0000_0000n }]]),
      },
      account: { cash: "40", reserved: "0" },
      positions: [{
        symbol: "ACME",
        quantity: "6",
        reserved: "0",
        earned: "8",
        lots: [{ quantity: "6", price: "8" }],
      }],
      closings: [],
      orders: [order],
    },
    {
      name: "buyer",
      ledger: { deposited: 100_0000_0000n, withdrawn: 10_0000_0000n, shares: new Map() },
      account: { cash: "50", reserved: "0" },
      positions: [{
        symbol: "ACME",
        quantity: "4",
        reserved: "0",
        earned: "0",
        lots: [{ quantity: "4", price: "10" }],
      }],
      closings: [],
      orders: [{ ...order, id: "order-2", side: "buy" }],
    },
  ];
}

/** The first words of the lines that have faults. */
function faulty([seller, buyer]: readonly Books[], changes: readonly Partial<Books>[]): string[] {
  const all = [{ ...seller!, ...changes[0] }, { ...buyer!, ...changes[1] }];
  return checksOf(all).filter(({ faults }) => faults.length > 0)
    .map(({ what }) => what.split(/[: ]/)[0]!);
}

Deno.test("books that add up have no fault", () => {
  assert.deepEqual(faulty(sound(), []), []);
  assert.match(checksOf(sound())[0]!.what, /^Cash: 100 came in, 10 left, 90 is there$/);
});

Deno.test("each thing that can be wrong is seen", () => {
  const [seller, buyer] = sound();
  const position = seller!.positions[0]!;
  const cases: readonly (readonly [string, readonly Partial<Books>[], readonly string[]])[] = [
    ["cash that is gone", [{ account: { cash: "39", reserved: "0" } }], ["Cash", "Accounts"]],
    [
      "cash in the wrong account",
      [{ account: { cash: "41", reserved: "0" } }, { account: { cash: "49", reserved: "0" } }],
      ["Accounts"],
    ],
    ["cash that is still kept", [{ account: { cash: "40", reserved: "1" } }], ["Nothing"]],
    [
      "shares that are still kept",
      [{ positions: [{ ...position, reserved: "1" }] }],
      ["Nothing"],
    ],
    [
      "shares out of nowhere",
      [{ positions: [{ ...position, quantity: "7" }] }],
      ["Shares", "Accounts"],
    ],
    [
      "a sale that earned too much",
      [{ positions: [{ ...position, earned: "9" }] }],
      ["Trades", "Accounts"],
    ],
    ["an order without end", [{ orders: [{ ...order, status: "working" }] }], ["Orders"]],
    [
      "an order filled in part and called filled",
      [{ orders: [{ ...order, filled: "3" }] }],
      ["Orders", "Trades", "Accounts"],
    ],
    [
      "an order that has traded more than it was for",
      [{ orders: [{ ...order, quantity: "3" }] }],
      ["Orders"],
    ],
    ["an order that is not there", [{}, { orders: [] }], ["Trades", "Accounts"]],
  ];
  for (const [what, changes, expected] of cases) {
    assert.deepEqual(faulty([seller!, buyer!], changes), expected, what);
  }
});

/** Of 4 at 8 all were sold at 10. */
const closing: Partial<Books> = {
  ledger: {
    deposited: 0n,
    withdrawn: 0n,
    shares: new Map([["ACME", { quantity: 40_000, cost: 32_0000_0000n }]]),
  },
  positions: [],
  closings: [{ symbol: "ACME", realized: "8" }],
};

Deno.test("what a position earned that is closed is part of the books", () => {
  assert.deepEqual(faulty(sound(), [closing]), []);
  assert.deepEqual(faulty(sound(), [{ ...closing, closings: [] }]), ["Trades", "Accounts"]);
  const tooMuch = [{ symbol: "ACME", realized: "9" }];
  assert.deepEqual(faulty(sound(), [{ ...closing, closings: tooMuch }]), ["Trades", "Accounts"]);
});
