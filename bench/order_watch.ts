/** Follows orders from their acknowledgement to their end, by asking each account for its own. */
import { ApiClient } from "./api_client.ts";
import { endedStatuses, type OrderView } from "./trading_books.ts";

export interface WatchedOrder {
  readonly account: number;
  /** What was asked for. */
  readonly asked: Readonly<Record<string, unknown>>;
  /** As it was last seen. */
  view: OrderView;
}

const asksAtOnce = 16;
/** An account that asked more often would soon ask too often. */
const pauseMs = 1_500;
const pageSize = 200;

interface Page {
  readonly items: readonly OrderView[];
  readonly nextCursor?: string;
}

export class OrderWatch {
  readonly orders: WatchedOrder[] = [];
  readonly #clientOf: (account: number) => ApiClient;
  /** Those that have not been seen at their end, whoever was asked for longest ago first. */
  #open: WatchedOrder[] = [];

  constructor(clientOf: (account: number) => ApiClient) {
    this.#clientOf = clientOf;
  }

  get open(): number {
    return this.#open.length;
  }

  add(order: WatchedOrder): void {
    this.orders.push(order);
    this.#open.push(order);
  }

  /** How many were last seen so, and of those that are rejected or cancelled, why. */
  counts(): { readonly statuses: Map<string, number>; readonly reasons: Map<string, number> } {
    const statuses = new Map<string, number>();
    const reasons = new Map<string, number>();
    for (const { view: { status, reason } } of this.orders) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === "rejected") reasons.set(reason!, (reasons.get(reason!) ?? 0) + 1);
    }
    return { statuses, reasons };
  }

  /** Asks those accounts to which so many of the open ones belong. Several may look at a time. */
  async look(most: number): Promise<void> {
    const accounts = new Set(this.#open.slice(0, most).map(({ account }) => account));
    const looked = this.#open.filter(({ account }) => accounts.has(account));
    await this.#seeThoseOf([...accounts]);
    const isLooked = new Set(looked);
    this.#open = [
      ...this.#open.filter((order) => !isLooked.has(order)),
      ...looked.filter(({ view }) => !endedStatuses.includes(view.status)),
    ];
  }

  /** Asks for every order there is, with all that was written by then. */
  async seeAll(): Promise<void> {
    await atOnce(this.orders, async (order) => {
      const path = `/orders/${order.view.id}`;
      order.view = await this.#clientOf(order.account).get<OrderView>(path, { isStrong: true });
    });
  }

  /**
   * Resolves once of every open order it is so; to those left, if any, once none of them has been
   * seen to change for so long.
   */
  async until(
    isSo: (view: OrderView) => boolean,
    stillMs: number,
  ): Promise<readonly WatchedOrder[]> {
    let seen = "";
    let changedAt = performance.now();
    for (;;) {
      await this.look(this.#open.length);
      const others = this.#open.filter(({ view }) => !isSo(view));
      if (others.length === 0) return [];
      const now = JSON.stringify(others.map(({ view }) => view));
      if (now !== seen) [seen, changedAt] = [now, performance.now()];
      if (performance.now() - changedAt > stillMs) return others;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async #seeThoseOf(accounts: readonly number[]): Promise<void> {
    await atOnce(accounts, async (account) => {
      const views = new Map<string, OrderView>();
      for (let cursor: string | undefined = ""; cursor !== undefined;) {
        const from: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
        const page: Page = await this.#clientOf(account).get(`/orders?limit=${pageSize}${from}`);
        for (const view of page.items) views.set(view.id, view);
        cursor = page.nextCursor;
      }
      for (const order of this.orders) {
        if (order.account === account) order.view = views.get(order.view.id) ?? order.view;
      }
    });
  }
}

async function atOnce<T>(all: readonly T[], act: (each: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: asksAtOnce }, async () => {
    while (next < all.length) await act(all[next++]!);
  }));
}
