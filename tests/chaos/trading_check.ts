/**
 * Trading: all that is recorded of it, in the order of the feed, held against the rules of trading and
 * against all that anybody was told of it.
 *
 * @module
 */
import { TradingBooks } from "../support/trading_books.ts";
import { floorsOf } from "./actor_check.ts";
import type { Breaches } from "./breaches.ts";
import type { Operation, RememberedReply } from "./checker.ts";
import type { Invoked, TradingName } from "./history.ts";
import type { RecordedEvent } from "./rules.ts";
import { isEnd, Refusals } from "./trading_refusals.ts";

/** One event of one of the actors of trading, as it lies in the database. */
export interface TradingEvent extends Omit<RecordedEvent, "at" | "isLate"> {
  readonly kind: string;
}

export interface TradingContext {
  /** All that were about trading, but for repetitions. */
  readonly operations: readonly Operation[];
  readonly byCommand: ReadonlyMap<string, Operation>;
  readonly replies: ReadonlyMap<string, RememberedReply>;
  readonly breaches: Breaches;
}

export interface TradingFindings {
  readonly events: number;
  readonly trades: number;
}

/** What only happens because somebody asked for it; all else follows from that. */
const askedFor: Readonly<Record<string, TradingName>> = {
  "account Deposited": "deposit",
  "account Withdrawn": "pay-out",
  "market PriceQuoted": "quote",
  "market TradingPaused": "halt",
  "market TradingResumed": "resume",
  "order CancelRequested": "cancel",
  "order OrderPlaced": "place",
  "order ReplaceRequested": "replace",
  "portfolio SharesDeposited": "deposit",
  "portfolio SharesWithdrawn": "pay-out",
};

/** What one operation has led to at once. */
interface Effect {
  readonly event: TradingEvent;
  readonly address: string;
  last: number;
}

/** What an order was, from a version on. */
interface Plan {
  readonly version: number;
  readonly limit: number;
  readonly quantity: number;
}

export async function checkTrading(
  events: AsyncIterable<TradingEvent> | Iterable<TradingEvent>,
  context: TradingContext,
): Promise<TradingFindings> {
  const books = new TradingBooks();
  const effects = new Effects(context);
  const orders = new Orders();
  const refusals = new Refusals(context);
  let [recorded, trades] = [0, 0];
  for await (const event of events) {
    const { kind, key, version, type, data } = event;
    books.record({ kind, key, version, data: { type, ...data } });
    effects.follow(event, orders);
    orders.follow(event);
    refusals.follow(event);
    recorded++;
    if (kind === "market") trades += data.trades?.length ?? 0;
  }
  refusals.end();
  for (const { rule, what } of books.atRest()) context.breaches.add(rule, `at rest, ${what}`);
  for (const { rule, what } of books.breaches) context.breaches.add(rule, what);
  const byAddress = Map.groupBy(
    context.operations,
    ({ invoked, ended }) => ended?.key ?? invoked.key,
  );
  for (const [address, operations] of byAddress) {
    for (const [operation, floor] of floorsOf(operations)) {
      checkOperation(operation, { address, floor, effects, orders, ...context });
    }
  }
  return { events: recorded, trades };
}

/** What each operation has led to. */
class Effects {
  readonly #context: TradingContext;
  readonly #all = new Map<Operation, Effect>();
  /** That was found last, by actor: the events of one decision follow one another. */
  readonly #latest = new Map<string, Effect>();

  constructor(context: TradingContext) {
    this.#context = context;
  }

  of(operation: Operation): Effect | undefined {
    return this.#all.get(operation);
  }

  follow(event: TradingEvent, orders: Orders): void {
    const { kind, type, version, causationId, correlationId } = event;
    const { byCommand, breaches } = this.#context;
    const address = addressOf(event);
    const latest = this.#latest.get(address);
    if (latest?.event.causationId === causationId) latest.last = version;
    if (askedFor[`${kind} ${type}`] === undefined || orders.isReminded(event)) return;
    const at = `${address} at ${version}, ${type}`;
    const operation = byCommand.get(correlationId);
    if (operation === undefined) return breaches.add("unasked", `${at}: nobody asked for it`);
    if (this.#all.has(operation)) {
      const text = `${at}: operation ${operation.invoked.i} had effect before`;
      return breaches.add("doubled", text);
    }
    const effect = { event, address, last: version };
    this.#all.set(operation, effect);
    this.#latest.set(address, effect);
  }
}

/** What can be said of orders by their own events alone; by address. */
class Orders {
  readonly #plans = new Map<string, Plan[]>();
  readonly #cancelling = new Set<string>();
  readonly #ended = new Set<string>();

  follow(event: TradingEvent): void {
    const { kind, version, type, data: { limit, quantity } } = event;
    if (kind !== "order") return;
    const address = addressOf(event);
    if (type === "OrderPlaced") this.#plans.set(address, [{ version, limit, quantity }]);
    if (type === "OrderReplaced") this.#plans.get(address)?.push({ version, limit, quantity });
    if (type === "CancelRequested") this.#cancelling.add(address);
    if (isEnd(type)) this.#ended.add(address);
  }

  /** Its day is over, or what it was asked while it was on its way comes back to it. */
  isReminded(event: TradingEvent): boolean {
    return event.type === "CancelRequested" &&
      (event.data.because === "expired" || this.#cancelling.has(addressOf(event)));
  }

  hasEnded(address: string): boolean {
    return this.#ended.has(address);
  }

  wasAsAsked(address: string, version: number, asked: Invoked["asked"]): boolean {
    const plan = this.#plans.get(address)?.findLast((plan) => plan.version <= version);
    return plan?.limit === asked?.limit && plan?.quantity === asked?.quantity;
  }
}

function addressOf({ kind, key }: TradingEvent): string {
  return `${kind}/${key}`;
}

interface OperationContext extends TradingContext {
  readonly address: string;
  /** The version that was known to be there when it began. */
  readonly floor: number;
  readonly effects: Effects;
  readonly orders: Orders;
}

function checkOperation(operation: Operation, context: OperationContext): void {
  const { replies, breaches, effects } = context;
  const { invoked: { i, f, idempotencyKey = "" }, ended } = operation;
  const effect = effects.of(operation);
  const reply = replies.get(idempotencyKey);
  const name = `operation ${i}, ${f}`;
  const isKept = reply?.isAccepted ?? false;
  if (effect !== undefined ? !isKept : isKept && !mayBeSilent.has(f)) {
    const remembered = reply === undefined ? "no reply is" : "another reply is";
    breaches.add("forgotten", `${name}: ${effect ? "done" : "not done"}, and ${remembered} kept`);
  }
  if (effect !== undefined) checkEffect(operation, effect, context);
  if (ended?.type === "ok") checkAcknowledged(operation, effect, context);
  if (ended?.type !== "fail") return;
  if (effect !== undefined) {
    breaches.add("failed-but-applied", `${name}: it is there at ${effect.event.version}`);
  } else checkRefusal(operation, reply, context);
}

/** Of an order that is being cancelled already, or is as it is to become, nothing is recorded. */
const mayBeSilent: ReadonlySet<string> = new Set(["cancel", "replace"]);

/** It is of what was asked, and as it was asked. */
function checkEffect(
  { invoked: { i, f, asked = {} } }: Operation,
  { event: { kind, type, data }, address }: Effect,
  context: OperationContext,
): void {
  // Of an order that nobody was told of, nobody knows the key.
  const isThere = context.address === "" || context.address === address;
  const isOfIt = askedFor[`${kind} ${type}`] === f && isThere;
  const wrong = Object.keys(asked).filter((field) => data[field] !== asked[field]);
  if (isOfIt && wrong.length === 0) return;
  const text = `operation ${i}, ${f} of ${context.address}: it led to ${type} of ${address}`;
  context.breaches.add("answer", `${text}, of another ${wrong.join()}`);
}

function checkAcknowledged(
  { invoked: { i, f, asked = {} }, ended }: Operation,
  effect: Effect | undefined,
  { address, floor, orders, breaches }: OperationContext,
): void {
  const { version } = ended as { readonly version: number };
  const name = `operation ${i}, ${f} of ${address}`;
  if (version < floor || effect !== undefined && version === floor) {
    breaches.add("order", `${name}: at ${version}, and ${floor} was there before`);
  }
  if (effect !== undefined && effect.last !== version) {
    breaches.add("answer", `${name}: acknowledged at ${version}, it is at ${effect.last}`);
  }
  if (f === "cancel") {
    if (!orders.hasEnded(address)) breaches.add("lost", `${name}: it has not ended`);
    return;
  }
  const isThere = effect !== undefined ||
    f === "replace" && orders.wasAsAsked(address, version, asked);
  if (!isThere) breaches.add("lost", `${name}: it was acknowledged`);
}

/** It is the one that is remembered, and of no time before that in which it was asked. */
function checkRefusal(
  { invoked: { i, f }, ended }: Operation,
  reply: RememberedReply | undefined,
  { address, floor, breaches }: OperationContext,
): void {
  // What was refused by somebody who had not made up the address is not kept.
  if (reply === undefined) return;
  const told = ended!.value as string;
  const name = `operation ${i}, ${f} of ${address}`;
  if (reply.reason !== told) breaches.add("answer", `${name}: told ${told}, kept ${reply.reason}`);
  if (reply.version < floor) {
    breaches.add("false-rejection", `${name}: ${told} at ${reply.version}, after ${floor}`);
  }
}
