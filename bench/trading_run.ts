/** Has a trading session happen: sends its requests and keeps what was answered. */
import { isDeepStrictEqual } from "node:util";
import { ApiClient, type Reply } from "./api_client.ts";
import { OrderWatch } from "./order_watch.ts";
import {
  type AccountView,
  type Books,
  cashUnits,
  type ClosingView,
  type Ledger,
  newLedger,
  type OrderView,
  type PositionView,
  priceUnits,
  quantityUnits,
} from "./trading_books.ts";
import type { SessionRequest } from "./trading_session.ts";
import { costOf } from "../actors/trading.ts";

export interface RunOptions {
  readonly clientOf: (who: SessionRequest["by"]) => ApiClient;
  readonly accounts: number;
  readonly connections: number;
  /** Under it requests are repeated; no other run has the same. */
  readonly mark: string;
}

/** An answer that nobody may give to a session such as this. */
export interface Surprise {
  readonly request: SessionRequest;
  readonly reply: Reply;
}

const readersMax = 16;
const pageSize = 200;
const strong = { isStrong: true };

export class TradingRun {
  readonly watch: OrderWatch;
  readonly surprises: Surprise[] = [];
  /** Why requests were refused, and how often. */
  readonly refused = new Map<string, number>();
  /** Of orders that were acknowledged. */
  readonly latenciesMs: number[] = [];
  asked = 0;
  /** When the last order was acknowledged, by `performance.now`. */
  acknowledgedAt = performance.now();
  /** Cancellations and changes that are acknowledged. */
  secondThoughts = 0;
  readonly #options: RunOptions;
  readonly #ledgers: readonly Ledger[];
  readonly #ids = new Map<number, PromiseWithResolvers<string | undefined>>();
  /** As they were set, by account. */
  readonly #limits = new Map<number, SessionRequest["body"]>();
  /** Orders of which another quantity was asked for. */
  readonly #resized = new Set<string>();
  #number = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#ledgers = Array.from({ length: options.accounts }, newLedger);
    this.watch = new OrderWatch(options.clientOf);
  }

  /** In their order, so many at a time. */
  async send(requests: readonly SessionRequest[]): Promise<void> {
    for (const { places } of requests) {
      if (places !== undefined) this.#ids.set(places, Promise.withResolvers());
    }
    let next = 0;
    await Promise.all(Array.from({ length: this.#options.connections }, async () => {
      while (next < requests.length) await this.#send(requests[next++]!);
    }));
  }

  /** Withdraws what still waits in its market. */
  async cancelOpen(): Promise<void> {
    const working = this.watch.orders.filter(({ view }) => view.status === "working");
    await this.send(working.map(({ account, view }) => {
      return {
        by: account,
        method: "DELETE",
        path: `/orders/${view.id}`,
        body: {},
        mayBe: ["ended"],
      };
    }));
  }

  /** Everything, read anew, with every write so far in it. */
  async books(): Promise<readonly Books[]> {
    await this.watch.seeAll();
    const all: Books[] = [];
    const orders = Map.groupBy(this.watch.orders, ({ account }) => account);
    let next = 0;
    await Promise.all(Array.from({ length: readersMax }, async () => {
      while (next < this.#options.accounts) {
        const number = next++;
        const client = this.#options.clientOf(number);
        const { items } = await client.get<{ items: PositionView[] }>("/positions", strong);
        all.push({
          name: `account ${number}`,
          ledger: this.#ledgers[number]!,
          account: await client.get<AccountView>("/accounts/me", strong),
          positions: items,
          closings: await closingsOf(client),
          orders: (orders.get(number) ?? []).map(({ view }) => view),
        });
      }
    }));
    return all;
  }

  /** What orders say otherwise than their acknowledgements. */
  differing(): string[] {
    return this.watch.orders.flatMap(({ asked, view }) => {
      const { id, symbol, side, quantity } = view;
      const isSame = symbol === asked.symbol && side === asked.side &&
        (quantity === asked.quantity || this.#resized.has(id));
      return isSame ? [] : [`${id} was to ${JSON.stringify(asked)} and is ${JSON.stringify(view)}`];
    });
  }

  /** Whose limits are not those that they have set. */
  async differingLimits(): Promise<string[]> {
    const faults = await Promise.all(
      this.#limits.entries().map(async ([account, set]) => {
        const { limits, pausesOnBreach } = await this.#options.clientOf(account)
          .get<Readonly<Record<string, unknown>>>("/risk/status", strong);
        const is = { ...limits as object, pausesOnBreach };
        return isDeepStrictEqual(is, set)
          ? []
          : [`account ${account} has ${JSON.stringify(is)}, and has set ${JSON.stringify(set)}`];
      }),
    );
    return faults.flat();
  }

  async #send(request: SessionRequest): Promise<void> {
    const { by, method, about, places, body } = request;
    const id = about === undefined ? "" : await this.#ids.get(about)!.promise;
    // The order that it was about has not come to be.
    if (id === undefined) return void this.asked++;
    const path = request.path.replace("{order}", id);
    const startedAt = performance.now();
    const key = `${this.#options.mark}-${this.#number++}`;
    const reply = await this.#options.clientOf(by).ask({ method, path, body }, key);
    this.asked++;
    const isTaken = reply.status < 300;
    if (isTaken) this.#note(request, reply, performance.now() - startedAt);
    else this.#refuse(request, reply);
    if (places !== undefined) this.#ids.get(places)!.resolve(isTaken ? reply.body.id : undefined);
  }

  #note({ by, path, body, places, about }: SessionRequest, { body: view }: Reply, ms: number) {
    if (about !== undefined) {
      this.secondThoughts++;
      if (body.quantity !== undefined) this.#resized.add(view.id);
    }
    if (typeof by !== "number") return;
    if (places !== undefined) {
      this.latenciesMs.push(ms);
      this.acknowledgedAt = performance.now();
      this.watch.add({ account: by, asked: body, view: view as OrderView });
    }
    if (path === "/risk/limits") this.#limits.set(by, body);
    if (path === "/accounts/deposits") deposited(this.#ledgers[by]!, body);
    if (path === "/accounts/withdrawals") {
      this.#ledgers[by]!.withdrawn += cashUnits(body.amount as string);
    }
  }

  /** Some requests are meant to be refused, for what they say themselves; nothing else may happen. */
  #refuse(request: SessionRequest, reply: Reply): void {
    const reason = String(reply.body?.type).split("/").at(-1)!;
    if (reply.status !== 409 || !request.mayBe?.includes(reason)) {
      return void this.surprises.push({ request, reply });
    }
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
  }
}

interface AlertPage {
  readonly items: readonly (ClosingView & { readonly type: string })[];
  readonly nextCursor?: string;
}

async function closingsOf(client: ApiClient): Promise<readonly ClosingView[]> {
  const all: ClosingView[] = [];
  let after = "";
  for (;;) {
    const page = await client.get<AlertPage>(`/risk/alerts?limit=${pageSize}${after}`);
    all.push(...page.items.filter(({ type }) => type === "position-closed"));
    if (page.nextCursor === undefined) return all;
    after = `&cursor=${encodeURIComponent(page.nextCursor)}`;
  }
}

function deposited(ledger: Ledger, body: SessionRequest["body"]): void {
  const { amount, symbol, quantity, price } = body as Record<string, string>;
  if (amount !== undefined) {
    ledger.deposited += cashUnits(amount);
    return;
  }
  const before = ledger.shares.get(symbol!) ?? { quantity: 0, cost: 0n };
  const units = quantityUnits(quantity!);
  ledger.shares.set(symbol!, {
    quantity: before.quantity + units,
    cost: before.cost + costOf(priceUnits(price!), units),
  });
}
