/**
 * Orders in one market: how fast they are accepted beside the registrations of a rush, and how soon
 * two that meet are known to be filled.
 *
 * @module
 */
import { costOf, type Side } from "../actors/trading.ts";
import { ApiClient } from "./api_client.ts";
import { Arena, type Bench, rotated } from "./arena.ts";
import type { Contestant } from "./contestants.ts";
import type { LoadPlan, LoadReport } from "./load_generator.ts";
import { settle } from "./processes.ts";
import { inRounds, measure, registrations } from "./rounds.ts";
import {
  type Books,
  cashUnits,
  checksOf,
  type OrderView,
  type PositionView,
  priceUnits,
  quantityUnits,
} from "./trading_books.ts";

const connections = 64;
/** Every other one buys, the others sell: nobody meets an order of their own. */
const accounts = 200;
/** Their number is even, so that each account stays on its side. */
const kindsOfOrders = 22;
const symbol = "BENCH";
const symbolOfFills = "FILLS";
const price = "100";
const seats = 1_000;
const cash = "100000000.00";
const shares = "1000000";
const settleTimeoutMs = 600_000;
const fillTimeoutMs = 10_000;

/** Rush and orders take turns on one server, each on a machine that has nothing else to do. */
export async function orders(bench: Bench): Promise<void> {
  await using arena = await Arena.open(bench, "orders");
  const [real] = await arena.realAndNoop();
  const trading = await OrderBench.open(bench, real!);
  await inRounds(bench, async (round) => {
    for (const run of rotated([rushed, accepted], round)) await run(bench, real!, trading, round);
    await filled(bench, trading, round);
  });
  for (const fault of await trading.faults()) bench.fault(`orders: ${fault}`);
}

async function rushed(
  bench: Bench,
  real: Contestant,
  _trading: OrderBench,
  round: number,
): Promise<void> {
  const contestant: Contestant = { ...real, name: "registrations" };
  const ids = await real.createEvents(1, seats);
  const plan = registrations(bench, contestant, { ids, connections });
  await measure(bench, workload, { contestant, round, plan });
}

const workload = `orders ${connections}`;

/** The time until nothing is left to do is told too: what is accepted has to be matched and settled. */
async function accepted(
  bench: Bench,
  contestant: Contestant,
  trading: OrderBench,
  round: number,
): Promise<void> {
  const startedAt = performance.now();
  const plan = trading.placing(bench.sizes.orders);
  trading.keep(await measure(bench, workload, { contestant, round, plan }));
  await settle(contestant.server.pid, settleTimeoutMs);
  const perSecond = bench.sizes.orders / ((performance.now() - startedAt) / 1_000);
  if (round === 0) return;
  bench.tell({
    workload: "orders, until all are settled",
    contestant: "real",
    round,
    values: { perSecond },
  });
}

async function filled(bench: Bench, trading: OrderBench, round: number): Promise<void> {
  const sorted = (await trading.fillsMs(bench.sizes.fills)).toSorted((a, b) => a - b);
  if (round === 0) return;
  const at = (share: number) => sorted[Math.floor(sorted.length * share)]!;
  const values = { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: sorted.at(-1)! };
  bench.tell({ workload: "orders, acknowledged to filled", contestant: "real", round, values });
}

/** Accounts with enough of everything, and the orders that they have placed. */
class OrderBench {
  readonly #bench: Bench;
  readonly #url: string;
  readonly #pid: number;
  readonly #tokens: readonly string[];
  /** Of each order that was acknowledged, who placed it. */
  readonly #owners = new Map<string, number>();
  readonly #refused: string[] = [];

  private constructor(bench: Bench, { server }: Contestant, tokens: readonly string[]) {
    this.#bench = bench;
    this.#url = server.url;
    this.#pid = server.pid;
    this.#tokens = tokens;
  }

  static async open(bench: Bench, contestant: Contestant): Promise<OrderBench> {
    const { people } = bench;
    const tokens = await Promise.all(
      Array.from({ length: accounts }, (_, i) => people.token(`trader-${i}`, "trader")),
    );
    const feed = new ApiClient(contestant.server.url, await people.token("feed", "feed"));
    for (const each of [symbol, symbolOfFills]) {
      await feed.post(`/markets/${each}/prices`, { price });
    }
    const opened = new OrderBench(bench, contestant, tokens);
    const deposits = [
      { amount: cash, currency: "USD" },
      { symbol, quantity: shares, price },
      { symbol: symbolOfFills, quantity: shares, price },
    ];
    for (const deposit of deposits) {
      await opened.#all({
        method: "POST",
        path: "/api/v1/accounts/deposits",
        body: JSON.stringify(deposit),
      }, opened.#tokens);
    }
    return opened;
  }

  placing(requests: number): LoadPlan {
    return {
      targets: [this.#url],
      connections,
      requests,
      method: "POST",
      path: "/api/v1/orders",
      body: Array.from({ length: kindsOfOrders }, (_, n) => JSON.stringify(orderOf(n))),
      tokens: this.#tokens,
      isCaptured: true,
    };
  }

  keep({ answers = [] }: LoadReport): void {
    answers.forEach(({ status, body }, n) => {
      if (status === 201) this.#owners.set((JSON.parse(body) as OrderView).id, n % accounts);
      else this.#refused.push(`an order was answered ${status} ${body}`);
    });
  }

  /** From the second order's acknowledgement until both are read as filled, one pair at a time. */
  async fillsMs(pairs: number): Promise<number[]> {
    const [buyer, seller] = this.#tokens.map((token) => new ApiClient(this.#url, token));
    const all: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const sale = await this.#place(seller!, "sell");
      await until(seller!, sale, "working");
      const purchase = await this.#place(buyer!, "buy");
      const acknowledgedAt = performance.now();
      await Promise.all([until(buyer!, purchase, "filled"), until(seller!, sale, "filled")]);
      all.push(performance.now() - acknowledgedAt);
    }
    return all;
  }

  /** Cancels what still rests, and then has the books proven. */
  async faults(): Promise<string[]> {
    const working = (await this.#orders()).filter(({ status }) => status === "working");
    await this.#all(
      { method: "DELETE", path: "/api/v1/orders/{id}", ids: working.map(({ id }) => id) },
      working.map(({ id }) => this.#tokens[this.#owners.get(id)!]!),
    );
    await settle(this.#pid, settleTimeoutMs);
    return [...this.#refused, ...checksOf(await this.#books()).flatMap(({ faults }) => faults)];
  }

  async #books(): Promise<Books[]> {
    const orders = Map.groupBy(await this.#orders(), ({ id }) => this.#owners.get(id)!);
    const read = async <View>(path: string) =>
      (await this.#all({ method: "GET", path }, this.#tokens)) as View[];
    const views = await read<Books["account"]>("/api/v1/accounts/me");
    const positions = await read<{ items: PositionView[] }>("/api/v1/positions");
    return views.map((account, n) => ({
      name: `trader-${n}`,
      ledger: {
        deposited: cashUnits(cash),
        withdrawn: 0n,
        shares: new Map([symbol, symbolOfFills].map((each) => [each, depositOfShares()])),
      },
      account,
      positions: positions[n]!.items,
      // Nobody here sells the last of what they hold.
      closings: [],
      orders: orders.get(n) ?? [],
    }));
  }

  /** All that were acknowledged. */
  async #orders(): Promise<OrderView[]> {
    const ids = [...this.#owners.keys()];
    const tokens = [...this.#owners.values()].map((owner) => this.#tokens[owner]!);
    return await this.#all({ method: "GET", path: "/api/v1/orders/{id}", ids }, tokens);
  }

  /** One request for each token; what they are answered. */
  async #all<View>(
    plan: Pick<LoadPlan, "method" | "path"> & Partial<LoadPlan>,
    tokens: readonly string[],
  ): Promise<View[]> {
    if (tokens.length === 0) return [];
    const { answers = [] } = await this.#bench.load.fire({
      ...plan,
      targets: [this.#url],
      connections,
      requests: tokens.length,
      tokens,
      isCaptured: true,
    });
    return answers.map(({ status, body }) => {
      if (status < 300) return JSON.parse(body);
      throw new Error(`${plan.method} ${plan.path} was answered ${status} ${body}`);
    });
  }

  async #place(client: ApiClient, side: Side): Promise<string> {
    const order = { type: "limit", symbol: symbolOfFills, side, price, quantity: "1" };
    const { id } = await client.post<OrderView>("/orders", order);
    this.#owners.set(id, side === "buy" ? 0 : 1);
    return id;
  }
}

/** Near one price on both sides of it: most meet somebody, some wait. */
function orderOf(n: number) {
  const cents = n * 7 % 11;
  return n % 2 === 0
    ? { ...limit, side: "buy", price: `100.${twoDigits(cents)}`, quantity: String(1 + n % 10) }
    : {
      ...limit,
      side: "sell",
      price: `100.${twoDigits(10 - cents)}`,
      quantity: String(1 + n % 10),
    };
}

const limit = { type: "limit", symbol };

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}

function depositOfShares() {
  const quantity = quantityUnits(shares);
  return { quantity, cost: costOf(priceUnits(price), quantity) };
}

/** Asks as often as it can. */
async function until(client: ApiClient, id: string, status: string): Promise<void> {
  const givenUpAt = performance.now() + fillTimeoutMs;
  for (;;) {
    const order = await client.get<OrderView>(`/orders/${id}`);
    if (order.status === status) return;
    if (performance.now() < givenUpAt) continue;
    throw new Error(`Order ${id} is ${order.status} and was to be ${status}`);
  }
}
