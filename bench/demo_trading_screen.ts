/**
 * Shows a trading session while it lasts: a screen that redraws itself, or a line each second where it
 * cannot.
 *
 * @module
 */
import { type ApiClient, NotAnswering } from "./api_client.ts";
import type { TradingRun } from "./trading_run.ts";
import { counted } from "./verdicts.ts";

const redrawMs = 200;
const lineMs = 1_000;
const barWidth = 36;
const bookDepth = 20;
const bookLines = 5;
const depthBarWidth = 18;
/** Of the longest line; where there is less room, lines would break and the screen with them. */
const columnsMin = 92;
/** Beside one for each symbol. */
const rowsMin = 20;
/** Few enough for no account to be asked about too often. */
const ordersPerLook = 40;
const encoder = new TextEncoder();

interface Level {
  readonly price: string;
  readonly quantity: string;
  readonly orders: number;
}

interface MarketView {
  readonly symbol: string;
  readonly status: string;
  readonly price: string;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
}

export interface Shown {
  readonly title: string;
  readonly run: TradingRun;
  readonly requests: number;
  readonly symbols: readonly string[];
  /** Asks for books. */
  readonly onlooker: ApiClient;
}

type Colour = 1 | 2 | 31 | 32 | 33;

export class TradingScreen implements AsyncDisposable {
  readonly #shown: Shown;
  readonly #isScreen: boolean;
  readonly #startedAt = performance.now();
  readonly #askedBefore: number;
  readonly #firstPrices = new Map<string, number>();
  readonly #watching: Promise<void>;
  #markets: readonly MarketView[] = [];
  #linesDrawn = 0;
  #isOver = false;
  #onOver = Promise.withResolvers<void>();

  constructor(shown: Shown) {
    this.#shown = shown;
    this.#askedBefore = shown.run.asked;
    this.#isScreen = hasRoom(shown.symbols.length);
    this.#watching = this.#watch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#onOver.resolve();
    await this.#watching;
  }

  /** How long the server takes to answer does not decide how often the screen is drawn. */
  async #watch(): Promise<void> {
    await Promise.all([
      this.#repeatedly(() => this.#look(), redrawMs),
      this.#repeatedly(() => this.#show(), this.#isScreen ? redrawMs : lineMs),
    ]);
    await this.#look();
    this.#show();
  }

  async #repeatedly(act: () => Promise<void> | void, everyMs: number): Promise<void> {
    while (!this.#isOver) {
      await act();
      await this.#pause(everyMs);
    }
  }

  /** While the server is away, all stays as it was last seen. */
  async #look(): Promise<void> {
    try {
      await this.#see();
    } catch (error) {
      if (!(error instanceof NotAnswering)) throw error;
    }
  }

  async #see(): Promise<void> {
    const { run, symbols, onlooker } = this.#shown;
    const asking = symbols.map((symbol) =>
      onlooker.get<MarketView>(`/markets/${symbol}/book?depth=${bookDepth}`)
    );
    [this.#markets] = await Promise.all([
      Promise.all(asking),
      run.watch.look(ordersPerLook),
    ]);
    for (const { symbol, price } of this.#markets) {
      if (!this.#firstPrices.has(symbol)) this.#firstPrices.set(symbol, Number(price));
    }
  }

  /** Cut short by the end. */
  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([promise, this.#onOver.promise]);
    clearTimeout(timer);
  }

  #show(): void {
    if (!this.#isScreen) return write(`${this.#line()}\n`);
    const lines = this.#lines();
    // Back to the first line; each erases what a longer one left behind.
    const back = this.#linesDrawn === 0 ? "" : `\x1b[${this.#linesDrawn}A`;
    write(back + lines.map((line) => `${line}\x1b[K\n`).join(""));
    this.#linesDrawn = lines.length;
  }

  #line(): string {
    const { run } = this.#shown;
    const { statuses } = run.watch.counts();
    return [
      `${counted(this.#done())} of ${counted(this.#shown.requests)} requests`,
      `${counted(this.#perSecond())} orders/s`,
      `accepted ${counted(run.watch.orders.length)}`,
      ...["filled", "cancelled", "rejected"].map((status) =>
        `${status} ${counted(statuses.get(status) ?? 0)}`
      ),
      `refused ${counted(sumOf(run.refused))}`,
      `p99 ${p99Of(run.latenciesMs).toFixed(0)} ms`,
    ].join("  ");
  }

  #lines(): string[] {
    const { title, run, requests, symbols } = this.#shown;
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const filled = Math.min(barWidth, Math.round(barWidth * this.#done() / requests));
    const bar = painted("━".repeat(filled), 32) + painted("─".repeat(barWidth - filled), 2);
    const { statuses, reasons } = run.watch.counts();
    const shownFirst = this.#markets.find(({ symbol }) => symbol === symbols[0]);
    return [
      "",
      `  ${painted(title, 1)}`,
      `  ${bar}  ${counted(this.#done())} of ${counted(requests)} requests in ` +
      `${seconds.toFixed(1)} s`,
      "",
      `  ${standing(run, statuses)}`,
      `  ${painted("orders/s", 2)} ${counted(this.#perSecond()).padEnd(9)}` +
      `${painted("acknowledged, 99 % within", 2)} ${p99Of(run.latenciesMs).toFixed(0)} ms` +
      `${painted("   changes and cancellations", 2)} ${counted(run.secondThoughts)}`,
      `  ${painted("rejected", 2)} ${tally(reasons)}`,
      `  ${painted("refused ", 2)} ${tally(run.refused)}`,
      "",
      painted(
        `  ${"symbol".padEnd(12)}${right("price", 12)}${right("change", 10)}${right("bid", 12)}` +
          `${right("ask", 12)}${right("spread", 9)}${right("bids", 10)}${right("asks", 10)}`,
        2,
      ),
      ...this.#markets.map((market) => this.#marketLine(market)),
      "",
      ...shownFirst === undefined ? [] : bookOf(shownFirst),
      "",
    ];
  }

  #marketLine({ symbol, status, price, bids, asks }: MarketView): string {
    const first = this.#firstPrices.get(symbol)!;
    const change = (Number(price) / first - 1) * 100;
    const [bid, ask] = [bids[0]?.price, asks[0]?.price];
    const spread = bid === undefined || ask === undefined
      ? "–"
      : (Number(ask) - Number(bid)).toFixed(2);
    const changed = right(`${change >= 0 ? "+" : ""}${change.toFixed(2)} %`, 10);
    return `  ${symbol.padEnd(12)}${right(Number(price).toFixed(2), 12)}` +
      painted(changed, change >= 0 ? 32 : 31) +
      right(priceIn(bid), 12) + right(priceIn(ask), 12) + right(spread, 9) +
      right(counted(depthOf(bids)), 10) + right(counted(depthOf(asks)), 10) +
      (status === "paused" ? painted("  paused", 33) : "");
  }

  #done(): number {
    return this.#shown.run.asked - this.#askedBefore;
  }

  #perSecond(): number {
    const { acknowledgedAt, watch } = this.#shown.run;
    return watch.orders.length / Math.max(1, acknowledgedAt - this.#startedAt) * 1_000;
  }
}

function hasRoom(symbols: number): boolean {
  if (!Deno.stdout.isTerminal()) return false;
  const { columns, rows } = Deno.consoleSize();
  return columns >= columnsMin && rows >= rowsMin + symbols;
}

function standing({ watch }: TradingRun, statuses: ReadonlyMap<string, number>): string {
  const accepted = `${painted("accepted", 2)} ${counted(watch.orders.length).padEnd(9)}`;
  const colours = { filled: 32, cancelled: 33, rejected: 31 } as const;
  const ended = Object.entries(colours).map(([status, colour]) => {
    const number = counted(statuses.get(status) ?? 0).padEnd(9);
    return `${painted(status, 2)} ${painted(number, colour)}`;
  });
  return `${accepted}${ended.join("")}${painted("open", 2)} ${counted(watch.open)}`;
}

/** The best prices in the middle, what is offered for them outwards. */
function bookOf({ symbol, bids, asks }: MarketView): string[] {
  const most = Math.max(
    1,
    ...[...bids, ...asks].slice(0, 2 * bookDepth).map(({ quantity }) => Number(quantity)),
  );
  const bar = (level: Level | undefined) =>
    "▆".repeat(level === undefined ? 0 : Math.ceil(depthBarWidth * Number(level.quantity) / most));
  const amount = (level: Level | undefined) =>
    level === undefined ? "" : counted(Number(level.quantity));
  return [
    painted(`  the book of ${symbol}`, 2),
    ...Array.from({ length: bookLines }, (_, n) => {
      const [bid, ask] = [bids[n], asks[n]];
      return `  ${painted(right(bar(bid), depthBarWidth), 32)} ${right(amount(bid), 7)}` +
        `${right(priceIn(bid?.price), 11)} ${painted("│", 2)} ${priceIn(ask?.price).padEnd(11)}` +
        `${amount(ask).padEnd(7)} ${painted(bar(ask), 31)}`;
    }),
  ];
}

function depthOf(levels: readonly Level[]): number {
  return levels.reduce((sum, { quantity }) => sum + Number(quantity), 0);
}

function priceIn(price: string | undefined): string {
  return price === undefined ? "–" : Number(price).toFixed(2);
}

/** The most frequent first. */
function tally(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, 4);
  if (sorted.length === 0) return painted("none", 2);
  return sorted.map(([reason, times]) => `${reason} ${counted(times)}`).join(painted(" · ", 2));
}

function sumOf(counts: ReadonlyMap<string, number>): number {
  return counts.values().reduce((sum, count) => sum + count, 0);
}

function p99Of(latenciesMs: readonly number[]): number {
  const sorted = Float64Array.from(latenciesMs).sort();
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}

function right(text: string, width: number): string {
  return text.padStart(width);
}

function painted(text: string, colour: Colour): string {
  return Deno.noColor || text === "" ? text : `\x1b[${colour}m${text}\x1b[0m`;
}

function write(text: string): void {
  Deno.stdout.writeSync(encoder.encode(text));
}
