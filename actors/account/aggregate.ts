/**
 * An account: the cash of one person, and how much of it is kept for orders.
 *
 * What `decide` upholds and everyone else may assume:
 * - what is kept for orders is there: neither a withdrawal nor another order can have it;
 * - cash comes by deposits and sales, leaves by withdrawals and purchases, and by nothing else;
 * - a purchase is paid out of what was kept for its order, so it cannot fail.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  type Message,
  reject,
  type SnapshotCodec,
  tell,
} from "../../lib/runtime/aggregate.ts";
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import { Cash, SignedCash, type ToAccount, toAccount, type ToOrder, toOrder } from "../trading.ts";

export const { kind, Command } = toAccount;

/** What comes after a message that could not be handled may rest on it: an operator sees to it. */
export const afterBurial = "park";

/** For one account; each is an order that has not come to its end. */
export const RESERVATIONS_MAX = 10_000;

/** Parsed where it comes in; here its types are believed. */
export type Command =
  | ToAccount
  | { readonly type: "Deposit" | "Withdraw"; readonly amount: bigint };

type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

const order = { orderId: z.string() };
const trade = { ...order, tradeId: z.string() };

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Deposited"), amount: Cash }),
  z.object({ type: z.literal("Withdrawn"), amount: Cash }),
  z.object({ type: z.literal("CashReserved"), ...order, amount: Cash }),
  z.object({ type: z.literal("ReservationRefused"), ...order, amount: Cash }),
  z.object({ type: z.literal("PurchasePaid"), ...trade, cost: Cash, released: Cash }),
  z.object({ type: z.literal("SaleReceived"), ...trade, proceeds: Cash }),
  z.object({ type: z.literal("CashReleased"), ...order, amount: Cash }),
]);
export type Event = z.infer<typeof Event>;

export type Reason = "insufficient-cash";

type Verdict = Decision<Event, Reason>;

interface Reservation {
  readonly orderId: string;
  /** More than 0. */
  readonly amount: bigint;
}

/** In units of cash. */
export interface State {
  /** What is kept for orders included. */
  readonly cash: bigint;
  readonly reserved: bigint;
  /** By order. */
  readonly reservations: PersistentMap<string, Reservation>;
}

export const initial: State = { cash: 0n, reserved: 0n, reservations: PersistentMap.of() };

/** What can be withdrawn, or kept for another order. */
export function availableOf({ cash, reserved }: State): bigint {
  return cash - reserved;
}

export function decide(state: State, command: Command): Verdict {
  switch (command.type) {
    case "Deposit":
      return accept({ type: "Deposited", amount: String(command.amount) });
    case "Withdraw":
      return command.amount <= availableOf(state)
        ? accept({ type: "Withdrawn", amount: String(command.amount) })
        : reject("insufficient-cash");
    case "Reserve":
      return reserve(state, command);
    case "Pay": {
      const { type: _, ...payment } = command;
      return accept({ ...payment, type: "PurchasePaid" });
    }
    case "Receive": {
      const { type: _, ...sale } = command;
      return accept({ ...sale, type: "SaleReceived" });
    }
    case "Release":
      return release(state, command);
  }
}

function reserve(state: State, { orderId, amount }: CommandOf<"Reserve">): Verdict {
  const refused = (reason: "insufficient-cash" | "too-many-orders") =>
    told({ type: "ReservationRefused", orderId, amount }, { type: "NotReserved", reason });
  if (BigInt(amount) > availableOf(state)) return refused("insufficient-cash");
  const isNew = !state.reservations.has(orderId);
  if (isNew && state.reservations.size >= RESERVATIONS_MAX) return refused("too-many-orders");
  return told({ type: "CashReserved", orderId, amount }, { type: "Reserved" });
}

/** Nothing that is not kept. */
function release(state: State, { orderId, amount }: CommandOf<"Release">): Verdict {
  const kept = keptFor(state, orderId);
  const released = kept < BigInt(amount) ? kept : BigInt(amount);
  if (released === 0n) return accept();
  return accept({ type: "CashReleased", orderId, amount: String(released) });
}

function told(event: Event & { readonly orderId: string }, command: ToOrder): Verdict {
  const message: Message = tell(toOrder, event.orderId, command);
  return { accepted: true, events: [event], messages: [message] };
}

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "Deposited":
      return { ...state, cash: state.cash + BigInt(event.amount) };
    case "Withdrawn":
      return { ...state, cash: state.cash - BigInt(event.amount) };
    case "CashReserved":
      return keepingMore(state, event.orderId, BigInt(event.amount));
    case "ReservationRefused":
      return state;
    case "PurchasePaid": {
      const paid = { ...state, cash: state.cash - BigInt(event.cost) };
      return keepingMore(paid, event.orderId, -BigInt(event.released));
    }
    case "SaleReceived":
      return { ...state, cash: state.cash + BigInt(event.proceeds) };
    case "CashReleased":
      return keepingMore(state, event.orderId, -BigInt(event.amount));
  }
}

/** Or less, down to nothing. */
function keepingMore(state: State, orderId: string, amount: bigint): State {
  const { reservations } = state;
  const before = keptFor(state, orderId);
  const kept = before + amount > 0n ? before + amount : 0n;
  return {
    ...state,
    reserved: state.reserved - before + kept,
    reservations: kept > 0n
      ? reservations.set(orderId, { orderId, amount: kept })
      : reservations.delete(orderId),
  };
}

function keptFor({ reservations }: State, orderId: string): bigint {
  return reservations.get(orderId)?.amount ?? 0n;
}

const Encoded = z.tuple([SignedCash, z.array(z.tuple([z.string(), Cash]))]);

export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: ({ cash, reservations }) => [
    String(cash),
    reservations.values().map(({ orderId, amount }) => [orderId, String(amount)]),
  ],
  decode: (encoded) => {
    const [cash, reservations] = Encoded.parse(encoded);
    return reservations.reduce(
      (state, [orderId, amount]) => keepingMore(state, orderId, BigInt(amount)),
      { ...initial, cash: BigInt(cash) },
    );
  },
};
