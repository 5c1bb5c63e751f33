/**
 * Orders and what of them was traded as tables, for the lists that no single actor can answer.
 *
 * @module
 */
import { type QueryExecutorProvider, sql } from "kysely";
import type { Projection } from "../../lib/runtime/projector.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import type { Side, TimeInForce } from "../trading.ts";
import { Event, kind } from "./aggregate.ts";
import type { Status } from "./state.ts";

type Int8 = number | bigint | string;

// A type, not an interface: Kysely extends a database only by what has an index signature.
export type OrderTables = {
  placed_order: {
    id: string;
    account_id: string;
    symbol: string;
    side: Side;
    order_type: "limit" | "market";
    price: Int8;
    quantity: Int8;
    filled: Int8;
    time_in_force: TimeInForce;
    status: Status;
    reason: string | null;
    placed_at: Date;
  };
  execution: {
    order_id: string;
    trade_id: string;
    account_id: string;
    at: Date;
    symbol: string;
    side: Side;
    price: Int8;
    quantity: Int8;
  };
};

/** What a page of events changes about one order. */
interface OrderChange {
  readonly id: string;
  /** Added to what is there. */
  readonly filled: number;
  /** Absent if the order was placed before this page. */
  readonly accountId?: string;
  readonly status?: Status;
  readonly reason?: string;
  readonly price?: number;
  readonly quantity?: number;
}

interface Execution {
  readonly orderId: string;
  readonly tradeId: string;
  readonly at: string;
  readonly price: number;
  readonly quantity: number;
}

/** Takes pages of any size in three statements, however many orders they speak of. */
export const orderProjection: Projection<QueryExecutorProvider> = {
  name: "order_listing",
  tables: ["placed_order", "execution"],
  kind,
  types: [
    "OrderPlaced",
    "OrderRejected",
    "OrderRested",
    "OrderExecuted",
    "OrderFilled",
    "OrderCancelled",
    "OrderReplaced",
  ] satisfies readonly Event["type"][],
  hasIndex: true,
  async apply(transaction, recorded) {
    const { changes, executions } = changesOf(recorded);
    await insertPlaced(transaction, changes.filter(({ accountId }) => accountId !== undefined));
    await update(transaction, changes.filter(({ accountId }) => accountId === undefined));
    await insertExecutions(transaction, executions);
  },
};

function changesOf(recorded: readonly FeedEvent[]) {
  const changes = new Map<string, OrderChange>();
  const executions: Execution[] = [];
  for (const { address: { key: id }, at, data } of recorded) {
    const event = Event.parse(data);
    const before = changes.get(id) ?? { id, filled: 0 };
    changes.set(id, { ...before, ...changedBy(before, event) });
    if (event.type !== "OrderExecuted") continue;
    const { tradeId, price, quantity } = event;
    executions.push({ orderId: id, tradeId, at: new Date(at).toISOString(), price, quantity });
  }
  return { changes: [...changes.values()], executions };
}

function changedBy({ filled }: OrderChange, event: Event): Partial<OrderChange> {
  switch (event.type) {
    case "OrderPlaced": {
      const { type: _, limit: price, ...details } = event;
      return { ...details, price, status: "pending" };
    }
    case "OrderRejected":
      return { status: "rejected", reason: event.reason };
    case "OrderRested":
      return { status: "working" };
    case "OrderExecuted":
      return { filled: filled + event.quantity };
    case "OrderFilled":
      return { status: "filled" };
    case "OrderCancelled":
      return { status: "cancelled", reason: event.because };
    case "OrderReplaced":
      return { price: event.limit, quantity: event.quantity };
    default:
      return {};
  }
}

async function insertPlaced(transaction: QueryExecutorProvider, changes: readonly OrderChange[]) {
  if (changes.length === 0) return;
  await sql`
    insert into placed_order (id, account_id, symbol, side, order_type, price, quantity, filled,
      time_in_force, status, reason, placed_at)
    select r.id, r."accountId", r.symbol, r.side, r."orderType", r.price, r.quantity, r.filled,
      r."timeInForce", r.status, r.reason, r."placedAt"
    from jsonb_to_recordset(${JSON.stringify(changes)}::text::jsonb) as r(id text,
      "accountId" text, symbol text, side text, "orderType" text, price bigint, quantity bigint,
      filled bigint, "timeInForce" text, status text, reason text, "placedAt" timestamptz)`.execute(
    transaction,
  );
}

async function update(transaction: QueryExecutorProvider, changes: readonly OrderChange[]) {
  if (changes.length === 0) return;
  await sql`
    update placed_order o set
      status = coalesce(r.status, o.status),
      reason = coalesce(r.reason, o.reason),
      price = coalesce(r.price, o.price),
      quantity = coalesce(r.quantity, o.quantity),
      filled = o.filled + r.filled
    from jsonb_to_recordset(${JSON.stringify(changes)}::text::jsonb) as r(id text, status text,
      reason text, price bigint, quantity bigint, filled bigint)
    where o.id = r.id`.execute(transaction);
}

/** Whose they are is known of their orders, which are written by now. */
async function insertExecutions(
  transaction: QueryExecutorProvider,
  executions: readonly Execution[],
) {
  if (executions.length === 0) return;
  await sql`
    insert into execution (order_id, trade_id, account_id, at, symbol, side, price, quantity)
    select o.id, r."tradeId", o.account_id, r.at, o.symbol, o.side, r.price, r.quantity
    from jsonb_to_recordset(${JSON.stringify(executions)}::text::jsonb) as r("orderId" text,
      "tradeId" text, at timestamptz, price bigint, quantity bigint)
    join placed_order o on o.id = r."orderId"`.execute(transaction);
}
