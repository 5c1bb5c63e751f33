/**
 * `deno task demo:trading`: a trading session against a running server, shown as it goes, and its
 * books proven afterwards by what the service tells its users.
 *
 *     demo_trading.ts [--url=http://127.0.0.1:8000] [--seed=1] [--orders=5000] [--accounts=300]
 *                     [--symbols=6] [--connections=32]
 *
 * The same seed gives the same requests, in markets and by people of which the server has not heard
 * before: only what they are called differs from run to run. People hold tokens made with the server's
 * own key: run it with the same `DATA_DIR` or `TOKEN_SECRET`. It exits with 1 if anything does not add
 * up, with 2 if it could not run at all.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ApiClient } from "./api_client.ts";
import { TradingScreen } from "./demo_trading_screen.ts";
import { delay } from "./processes.ts";
import { type Mint, openMint } from "./token_mint.ts";
import { type Check, checksOf } from "./trading_books.ts";
import type { WatchedOrder } from "./order_watch.ts";
import { TradingRun } from "./trading_run.ts";
import { type Session, sessionOf, type SessionRequest } from "./trading_session.ts";
import {
  concludeWith,
  counted,
  serverUrlDefault,
  serverUrlFrom,
  tellCheck,
  wholeNumberFrom,
} from "./verdicts.ts";

interface Options {
  readonly url: string;
  readonly seed: number;
  readonly orders: number;
  readonly accounts: number;
  readonly symbols: number;
  readonly connections: number;
}

const tickers = ["ACME", "BOLT", "CRUX", "DUNE", "ECHO", "FLUX", "GALE", "HALO", "IRIS", "JADE"];

/**
 * So long nothing that is under way may stand still. What a node had in hand that has died is brought
 * by others after half of it.
 */
const stillMs = 60_000;
/** Of the orders that were placed, at least this part is filled. */
const filledShareLeast = 0.25;
/** What follows from the last trades arrives within this. */
const settlingMs = 60_000;
const settlingLookMs = 1_000;
/** So often the screen looks at markets that one alone would ask too often. */
const onlookers = 20;

function optionsFrom(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: "string", default: serverUrlDefault },
      seed: { type: "string", default: "1" },
      orders: { type: "string", default: "5000" },
      accounts: { type: "string", default: "300" },
      symbols: { type: "string", default: "6" },
      connections: { type: "string", default: "32" },
    },
  });
  return {
    url: serverUrlFrom(values.url),
    seed: wholeNumberFrom("seed", values.seed, { min: 0 }),
    orders: wholeNumberFrom("orders", values.orders),
    accounts: wholeNumberFrom("accounts", values.accounts, { min: 2 }),
    symbols: wholeNumberFrom("symbols", values.symbols, { max: tickers.length }),
    connections: wholeNumberFrom("connections", values.connections),
  };
}

async function demo(options: Options): Promise<readonly string[]> {
  const { url, seed, orders, accounts, connections } = options;
  await new ApiClient(url, "").expectReady();
  // Of four letters, as symbols have no room for more.
  const mark = crypto.getRandomValues(new Uint8Array(2)).toHex().toUpperCase();
  const symbols = tickers.slice(0, options.symbols).map((ticker) => `${ticker}.${mark}`);
  const session = sessionOf({ seed, orders, accounts, symbols });
  const mint = await openMint();
  const clients = await clientsFor(mint, { url, accounts, mark });
  const clientOf = (who: SessionRequest["by"]) => clients.get(who)!;
  const run = new TradingRun({ clientOf, accounts, connections, mark: `demo-${mark}` });

  console.log(`${url}: ${counted(accounts)} accounts, and markets for ${symbols.join(", ")}`);
  for (const stage of session.opening) await run.send(stage);
  console.log(`They bring in cash and shares: ${counted(run.asked)} requests`);
  const underWay = await trade(run, session, {
    title: `${counted(orders)} orders of ${counted(accounts)} accounts, seed ${seed}`,
    symbols,
    onlooker: await onlookerOf(mint, url, mark),
  });
  tellCheck("Orders: all have been answered by their markets", underWay);
  return [...underWay, ...await proven(run)];
}

async function clientsFor(
  mint: Mint,
  { url, accounts, mark }: {
    readonly url: string;
    readonly accounts: number;
    readonly mark: string;
  },
): Promise<ReadonlyMap<SessionRequest["by"], ApiClient>> {
  const numbers = Array.from({ length: accounts }, (_, number) => number);
  const people: readonly (readonly [SessionRequest["by"], string, string])[] = [
    ["feed", `demo-${mark}-feed`, "feed"],
    ["admin", `demo-${mark}-admin`, "admin"],
    ...numbers.map((number) => [number, `demo-${mark}-${number}`, "trader"] as const),
  ];
  return new Map(
    await Promise.all(people.map(async ([who, name, role]) => {
      return [who, new ApiClient(url, await mint(name, [role]))] as const;
    })),
  );
}

async function onlookerOf(mint: Mint, url: string, mark: string): Promise<ApiClient> {
  const names = Array.from({ length: onlookers }, (_, index) => `demo-${mark}-onlooker-${index}`);
  return new ApiClient(url, ...await Promise.all(names.map((name) => mint(name, []))));
}

/** Until no order is under way any more; those that are still, are faults. */
async function trade(
  run: TradingRun,
  { trading }: Session,
  shown: {
    readonly title: string;
    readonly symbols: readonly string[];
    readonly onlooker: ApiClient;
  },
): Promise<string[]> {
  await using _screen = new TradingScreen({ ...shown, run, requests: trading.length });
  await run.send(trading);
  const underWay = await run.watch.until(
    ({ status, replacement }) => status === "working" && replacement === undefined,
    stillMs,
  );
  return faultsIn(underWay);
}

async function proven(run: TradingRun): Promise<readonly string[]> {
  const faults = run.surprises.map(({ request, reply }) =>
    `${request.method} ${request.path} was answered ${reply.status} ${JSON.stringify(reply.body)}`
  );
  tellCheck("Answers: nothing was refused but what had to be", faults);
  const idle = faultsInFills(run);
  tellCheck("Markets: orders have been filled", idle);
  faults.push(...idle);
  console.log(`            ${counted(run.watch.open)} orders rest, and are cancelled`);
  await run.cancelOpen();
  faults.push(...faultsIn(await run.watch.until(() => false, stillMs)));
  const checks = await settledChecks(run);
  for (const { what, faults } of checks) tellCheck(what, faults);
  return [...faults, ...checks.flatMap(({ faults }) => faults)];
}

/** Where hardly anything is traded, books add up that prove nothing. */
function faultsInFills({ watch }: TradingRun): string[] {
  const placed = watch.orders.length;
  const filled = watch.counts().statuses.get("filled") ?? 0;
  return filled >= placed * filledShareLeast
    ? []
    : [`${counted(filled)} of ${counted(placed)} orders were filled`];
}

function faultsIn(stuck: readonly WatchedOrder[]): string[] {
  return stuck.map(({ view: { id, status } }) => `${id} stays ${status}`);
}

/** What orders have led to reaches accounts a little later: they are read until all adds up. */
async function settledChecks(run: TradingRun): Promise<readonly Check[]> {
  const until = performance.now() + settlingMs;
  for (;;) {
    const books = await run.books();
    const checks = [
      { what: "Orders: each is what was acknowledged", faults: run.differing() },
      { what: "Limits: those that were set are in force", faults: await run.differingLimits() },
      ...checksOf(books),
    ];
    if (checks.every(({ faults }) => faults.length === 0) || performance.now() > until) {
      return checks;
    }
    await delay(settlingLookMs);
  }
}

await concludeWith(() => demo(optionsFrom(Deno.args)));
