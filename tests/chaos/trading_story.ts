/** A history of trading that was made up, with what real actors record of it. */
import { TradingFloor } from "../support/trading_floor.ts";
import type { RememberedReply } from "./checker.ts";
import type { Entry, TradingName } from "./history.ts";
import type { TradingEvent } from "./trading_check.ts";

export interface TradingStory {
  readonly history: Entry[];
  readonly trading: TradingEvent[];
  readonly replies: RememberedReply[];
}

interface Asked {
  readonly f: TradingName;
  /** Kind and key. */
  readonly of: string;
  readonly who: string;
  readonly command: { readonly type: string } & Readonly<Record<string, unknown>>;
  /** What is to be recorded of it. */
  readonly asked?: Readonly<Record<string, unknown>>;
  /** What it leads to comes with the next. */
  readonly isLeft?: boolean;
}

/** Its operations are numbered from there. */
const FIRST = 100;
const T_FIRST = 1_000;

class Teller {
  readonly story: TradingStory = { history: [], trading: [], replies: [] };
  readonly #floor = new TradingFloor();
  readonly #versions = new Map<string, number>();
  #operations = FIRST;
  #time = T_FIRST;

  /** With all that it leads to. */
  did({ f, of, who, command, asked = {}, isLeft = false }: Asked): void {
    const { history, replies } = this.story;
    const i = this.#operations++;
    const [kind, key] = of.split("/") as [string, string];
    const idempotencyKey = `key-${i}`;
    history.push({
      type: "invoke",
      t: this.#time++,
      i,
      process: "client-0",
      f,
      key: f === "place" ? "" : of,
      who,
      command: `command-${i}`,
      idempotencyKey,
      asked,
    });
    const reason = this.#floor.ask(kind, key, command, who);
    this.#record(i, `message-${i}`);
    const version = this.#versions.get(of) ?? 0;
    if (!isLeft) this.#floor.settle();
    this.#record(i);
    const kept = reason === undefined ? { isAccepted: true } : { isAccepted: false, reason };
    replies.push({ idempotencyKey, version, ...kept });
    const ended = { t: this.#time++, i, node: 0 };
    if (reason === undefined) {
      history.push({ ...ended, type: "ok", http: 200, key: of, version, value: null });
    } else history.push({ ...ended, type: "fail", http: 409, value: reason });
  }

  /** What is new, as the work of one message or each of its own. */
  #record(i: number, message?: string): void {
    const { trading } = this.story;
    for (
      const { kind, key, event: { type, ...data } } of this.#floor.recorded.slice(trading.length)
    ) {
      const version = (this.#versions.get(`${kind}/${key}`) ?? 0) + 1;
      this.#versions.set(`${kind}/${key}`, version);
      const causationId = message ?? `consequence-${trading.length}`;
      const correlationId = `command-${i}`;
      trading.push({ kind, key, version, type, data, correlationId, causationId });
    }
  }
}

const [HUNDRED, SHARE] = [1_000_000, 10_000];

const symbol = "ACME";
const price = { price: HUNDRED };
const market = { of: "market/ACME", who: "root" };
const wish = { of: "order/wish", who: "ann" };

type Plan = Readonly<Record<"limit" | "quantity", number>>;

/** Ben offers what Ann wants, and each does everything else that can be done or refused. */
export function tradingStory(): TradingStory {
  const teller = new Teller();
  const quote = { type: "Quote", ...price, volume: 0, quotedAt: "2026-01-01T00:00:00Z" };
  teller.did({ ...market, f: "quote", command: quote, asked: price });
  teller.did(cash("deposit", 5_000n));
  teller.did(shares("deposit", 20));
  const offer = { limit: HUNDRED, quantity: 8 * SHARE };
  teller.did(placing({ of: "order/first", who: "ben" }, "sell", offer));
  teller.did(placing({ of: "order/second", who: "ben" }, "sell", offer));
  const bid = { of: "order/bid", who: "ann" };
  teller.did(placing(bid, "buy", { limit: HUNDRED + 100, quantity: 5 * SHARE }));
  const cheap = { limit: HUNDRED / 2, quantity: 2 * SHARE };
  const larger = { ...cheap, quantity: 3 * SHARE };
  teller.did({ ...placing(wish, "buy", cheap), isLeft: true });
  teller.did(replacing(wish, larger));
  teller.did({ ...replacing(wish, larger), isLeft: true });
  teller.did(replacing(wish, larger));
  teller.did(cancelling(wish));
  teller.did(cancelling(bid));
  teller.did(replacing({ of: "order/first", who: "ben" }, { ...offer, quantity: 4 * SHARE }));
  teller.did({ ...market, f: "halt", command: { type: "Pause" } });
  teller.did({ ...market, f: "halt", command: { type: "Pause" } });
  teller.did({ ...market, f: "resume", command: { type: "Resume" } });
  teller.did({ ...market, f: "resume", command: { type: "Resume" } });
  teller.did(cash("pay-out", 100n));
  teller.did(cash("pay-out", 5_000n));
  teller.did(shares("pay-out", 20));
  return teller.story;
}

function cash(f: "deposit" | "pay-out", dollars: bigint): Asked {
  const amount = dollars * 10n ** 8n;
  const command = { type: f === "deposit" ? "Deposit" : "Withdraw", amount };
  return { f, of: "account/ann", who: "ann", command, asked: { amount: String(amount) } };
}

function shares(f: "deposit" | "pay-out", count: number): Asked {
  const asked = { symbol, quantity: count * SHARE };
  const command = f === "deposit"
    ? { type: "Deposit", ...asked, ...price }
    : { type: "Withdraw", ...asked };
  return { f, of: "portfolio/ben", who: "ben", command, asked };
}

type OfOrder = Pick<Asked, "of" | "who">;

function placing(order: OfOrder, side: "buy" | "sell", plan: Plan): Asked {
  const asked = { ...plan, side, symbol, orderType: "limit", timeInForce: "day" };
  return { ...order, f: "place", command: { type: "Place", ...asked }, asked };
}

function replacing(order: OfOrder, plan: Plan): Asked {
  return { ...order, f: "replace", command: { type: "Replace", ...plan }, asked: plan };
}

function cancelling(order: OfOrder): Asked {
  return { ...order, f: "cancel", command: { type: "Cancel" }, asked: { because: "asked" } };
}
