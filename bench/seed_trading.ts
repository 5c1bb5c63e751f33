/**
 * `deno task seed:trading`: fills an empty database with weeks of trading, so that queries can be
 * measured at that size.
 *
 *     seed_trading.ts [--orders=1000000] [--accounts=100000] [--symbols=50] [--resting=20000]
 *                     [--days=90] [--seed=1]
 *
 * The database is the one at `DATABASE_URL`, on a server. Into it goes what the service itself would
 * have written, decided by its own aggregates and spread over the days until now; `--resting` orders of
 * today still wait in their markets, and will expire at midnight UTC as orders of the day do. Accounts
 * are those of users who call themselves `trader-0` and so on, markets are `SYM0` and so on.
 * Interrupted, it leaves a database that is of no use.
 *
 * @module
 */
import { parseArgs } from "node:util";
import process from "node:process";
import { sql } from "kysely";
import { openDatabase } from "../lib/postgres/database.ts";
import { migrateToLatest } from "../lib/postgres/migrate.ts";
import { migrations } from "../migrations/all.ts";
import { HistoryWriter } from "./history_writer.ts";
import { type HistoryPlan, TradingHistory } from "./trading_history.ts";
import { CannotRun, counted, wholeNumberFrom } from "./verdicts.ts";

const dayMs = 24 * 3_600_000;
/** After so many commands Postgres gets its turn. */
const commandsPerTurn = 100;

/** Says how many commands were carried out, every so often. */
export type Tell = (commands: number, events: number) => void;

/** @throws {CannotRun} if the database is not empty. */
export async function seedTrading(url: string, plan: HistoryPlan, tell: Tell): Promise<void> {
  await using database = await openDatabase({ url, allowUnsafe: true });
  const db = database.maintenance;
  await migrateToLatest(db, migrations);
  const { rows: [found] } = await sql<{ readonly is_used: boolean }>`
    select exists (select from event) or exists (select from actor) as is_used`.execute(db);
  if (found!.is_used) {
    throw new CannotRun("The database at DATABASE_URL is in use already: give an empty one");
  }
  await write(new HistoryWriter(db), plan, tell);
  await sql`vacuum (analyze)`.execute(db);
}

/** While one batch is on its way, the next is made. */
async function write(writer: HistoryWriter, plan: HistoryPlan, tell: Tell): Promise<void> {
  let flushing = Promise.resolve();
  let commands = 0;
  for (const _ of new TradingHistory(plan, writer).run()) {
    if (++commands % commandsPerTurn === 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      tell(commands, writer.events);
    }
    if (!writer.isFull) continue;
    await flushing;
    flushing = writer.flush();
  }
  await flushing;
  await writer.flush();
}

function planFrom(args: string[]): HistoryPlan {
  const { values } = parseArgs({
    args,
    options: {
      orders: { type: "string", default: "1000000" },
      accounts: { type: "string", default: "100000" },
      symbols: { type: "string", default: "50" },
      resting: { type: "string", default: "20000" },
      days: { type: "string", default: "90" },
      seed: { type: "string", default: "1" },
    },
  });
  const until = Date.now();
  const number = (name: keyof typeof values, min?: number) =>
    wholeNumberFrom(name, values[name], min === undefined ? {} : { min });
  return {
    orders: number("orders"),
    accounts: number("accounts"),
    symbols: number("symbols"),
    resting: number("resting", 0),
    seed: number("seed", 0),
    from: until - number("days") * dayMs,
    until,
  };
}

const tellMs = 5_000;

async function main(args: string[]): Promise<void> {
  const url = Deno.env.get("DATABASE_URL");
  if (!url) throw new CannotRun("DATABASE_URL must lead to an empty database on a server");
  const plan = planFrom(args);
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1_000;
  let toldAt = startedAt;
  let last = { commands: 0, events: 0 };
  await seedTrading(url, plan, (commands, events) => {
    last = { commands, events };
    if (performance.now() - toldAt < tellMs) return;
    toldAt = performance.now();
    const perSecond = counted(events / elapsed());
    console.log(`${counted(events)} events in ${elapsed().toFixed(0)} s, ${perSecond} a second`);
  });
  console.log(
    `${counted(plan.orders)} orders of ${counted(plan.accounts)} accounts in ` +
      `${counted(plan.symbols)} markets: ${counted(last.events)} events in ` +
      `${elapsed().toFixed(0)} s`,
  );
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(error instanceof CannotRun ? error.message : error);
    process.exitCode = 2;
  }
}
