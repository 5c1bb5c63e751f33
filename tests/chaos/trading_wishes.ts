/**
 * All that is asked of trading in such a run, and what is to be recorded of it: amounts as texts one
 * way, as the service counts them the other, so that neither is made from the other by the service.
 *
 * @module
 */
import type { Wish } from "./client.ts";
import type { Answered } from "./http_client.ts";
import { by, type Person } from "./wishes.ts";

/** Units of the service: four decimals of prices and quantities, eight of cash. */
const UNITS_OF_CENT = 100;
const UNITS_OF_SHARE = 10_000;
const UNITS_OF_DOLLAR = 100_000_000n;

export type Funds =
  | { readonly dollars: number }
  | { readonly symbol: string; readonly shares: number; readonly cents: number };

export interface Plan {
  readonly cents: number;
  readonly shares: number;
}

export interface NewOrder {
  readonly symbol: string;
  readonly side: "buy" | "sell";
  readonly shares: number;
  readonly timeInForce: "day" | "immediate-or-cancel" | "fill-or-kill";
  /** Of a limit order; the others are market orders. */
  readonly cents: number | undefined;
}

export function quoting(feed: Person, symbol: string, cents: number): Wish {
  const body = JSON.stringify({ price: text(cents) });
  return {
    ...by(feed, "quote", `market/${symbol}`, "POST", `/markets/${symbol}/prices`, body),
    asked: { price: cents * UNITS_OF_CENT },
    told,
  };
}

export function halting(admin: Person, symbol: string): Wish {
  const path = `/markets/${symbol}/pause`;
  return { ...by(admin, "halt", `market/${symbol}`, "POST", path), asked: {}, told };
}

export function resuming(admin: Person, symbol: string): Wish {
  const path = `/markets/${symbol}/resume`;
  return { ...by(admin, "resume", `market/${symbol}`, "POST", path), asked: {}, told };
}

export function depositing(trader: Person, funds: Funds): Wish {
  return moving(trader, "deposit", funds);
}

export function payingOut(trader: Person, funds: Funds): Wish {
  return moving(trader, "pay-out", funds);
}

function moving(trader: Person, f: "deposit" | "pay-out", funds: Funds): Wish {
  const path = f === "deposit" ? "/accounts/deposits" : "/accounts/withdrawals";
  if ("dollars" in funds) {
    const { dollars } = funds;
    const body = JSON.stringify({ amount: String(dollars), currency: "USD" });
    const asked = { amount: String(BigInt(dollars) * UNITS_OF_DOLLAR) };
    return { ...by(trader, f, `account/${trader.id}`, "POST", path, body), asked, told };
  }
  const { symbol, shares, cents } = funds;
  const price = f === "deposit" ? { price: text(cents) } : {};
  const body = JSON.stringify({ symbol, quantity: String(shares), ...price });
  const asked = { symbol, quantity: shares * UNITS_OF_SHARE };
  return { ...by(trader, f, `portfolio/${trader.id}`, "POST", path, body), asked, told };
}

export function placing(trader: Person, { cents, shares, ...order }: NewOrder): Wish {
  const type = cents === undefined ? "market" : "limit";
  const price = cents === undefined ? {} : { price: text(cents) };
  const limit = cents === undefined ? {} : { limit: cents * UNITS_OF_CENT };
  const body = JSON.stringify({ type, ...order, ...price, quantity: String(shares) });
  const quantity = shares * UNITS_OF_SHARE;
  return {
    ...by(trader, "place", "", "POST", "/orders", body),
    asked: { accountId: trader.id, ...order, orderType: type, ...limit, quantity },
    told: (answered) => ({ key: `order/${answered.body.id}`, ...told(answered) }),
  };
}

/** `key` is the order's, with its kind. */
export function replacing(trader: Person, key: string, { cents, shares }: Plan): Wish {
  const body = JSON.stringify({ price: text(cents), quantity: String(shares) });
  const asked = { limit: cents * UNITS_OF_CENT, quantity: shares * UNITS_OF_SHARE };
  return { ...by(trader, "replace", key, "PATCH", pathOf(key), body), asked, told };
}

export function cancelling(trader: Person, key: string): Wish {
  const asked = { because: "asked" };
  return { ...by(trader, "cancel", key, "DELETE", pathOf(key)), asked, told };
}

function pathOf(key: string): string {
  return `/${key.replace("order/", "orders/")}`;
}

function told({ version, body }: Answered) {
  return { version: version!, value: body };
}

/** As a price reads. */
function text(cents: number): string {
  return (cents / 100).toFixed(2);
}
