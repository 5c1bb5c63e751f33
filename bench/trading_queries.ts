/**
 * `deno task bench:queries`: how long the queries of trading take beside a million orders.
 *
 *     trading_queries.ts [--accounts=1000] [--rounds=3] [--seed=1]
 *
 * `DATABASE_URL` leads to a database that `deno task seed:trading` has filled. In each round a server
 * is started on it, and asked by so many of those who have placed orders, chosen at random: first each
 * about what no actor has in memory yet (cold), then about the same again (warm). Postgres keeps what it
 * has read; its files are as warm as the machine has memory.
 *
 * The service does not say how long it took itself. So one request is sent at a time, over one
 * connection that stays open, on the same machine, and its time is from the first byte sent to the
 * last one received: the way through the kernel and this program's share are in it.
 *
 * @module
 */
import { parseArgs } from "node:util";
import process from "node:process";
import postgres from "postgres";
import { mulberry32 } from "../tests/support/seeded.ts";
import { People, startReal } from "./contestants.ts";
import { medianOf } from "./figures.ts";
import { fire, type LoadPlan, type LoadReport } from "./load_generator.ts";
import { settle } from "./processes.ts";
import { rounded, table } from "./report.ts";
import { CannotRun, wholeNumberFrom } from "./verdicts.ts";

interface Query {
  readonly name: string;
  readonly path: string;
  readonly p99MsMost: number;
}

const queries: readonly Query[] = [
  // A user by the id in the token.
  { name: "GET /users/me", path: "/users/me", p99MsMost: 5 },
  { name: "GET /accounts/me", path: "/accounts/me", p99MsMost: 5 },
  { name: "GET /portfolio", path: "/portfolio", p99MsMost: 10 },
  { name: "GET /orders/:id", path: "/orders/{id}", p99MsMost: 50 },
  { name: "GET /orders, active", path: "/orders?status=working&limit=50", p99MsMost: 100 },
  { name: "GET /risk/analysis", path: "/risk/analysis", p99MsMost: 500 },
];

/** Somebody who has placed an order, and that order. */
interface Asker {
  readonly order: string;
  readonly account: string;
}

type Warmth = "cold" | "warm";

interface Measured {
  readonly query: Query;
  readonly warmth: Warmth;
  readonly report: LoadReport;
}

/** What a server has to catch up with first may be all that the database holds. */
const settleTimeoutMs = 3_600_000;
/** Asked of each query before anything is measured, so that all code has been run. */
const warmUps = 200;
/** How many more are drawn than are needed, as pages are drawn and not rows. */
const sampledTimes = 3;

interface Options {
  readonly databaseUrl: string;
  readonly accounts: number;
  readonly rounds: number;
  readonly seed: number;
}

function optionsFrom(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      accounts: { type: "string", default: "1000" },
      rounds: { type: "string", default: "3" },
      seed: { type: "string", default: "1" },
    },
  });
  const databaseUrl = Deno.env.get("DATABASE_URL");
  if (!databaseUrl) throw new CannotRun("DATABASE_URL must lead to a database with trading in it");
  return {
    databaseUrl,
    accounts: wholeNumberFrom("accounts", values.accounts),
    rounds: wholeNumberFrom("rounds", values.rounds),
    seed: wholeNumberFrom("seed", values.seed, { min: 0 }),
  };
}

/** Whoever trades more is chosen more often, as they would ask more often. */
async function askersIn(databaseUrl: string, count: number, seed: number): Promise<Asker[]> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  try {
    const [{ orders } = { orders: 0 }] = await sql<{ orders: number }[]>`
      select count(*)::int as orders from actor where kind = 'order'`;
    if (orders < count) {
      throw new CannotRun(`There are ${orders} orders in the database, and ${count} are needed`);
    }
    const share = Math.min(100, 100 * sampledTimes * count / orders);
    const found = await sql<Asker[]>`
      select key as order, data->>'accountId' as account
      from event tablesample system (${share}) repeatable (${seed})
      where kind = 'order' and type = 'OrderPlaced'`;
    if (found.length < count) {
      throw new CannotRun(`Only ${found.length} of ${orders} orders were drawn, not ${count}`);
    }
    return shuffled(found, mulberry32(seed)).slice(0, count);
  } finally {
    await sql.end();
  }
}

function shuffled<T>(all: readonly T[], random: () => number): T[] {
  return all.map((one) => [random(), one] as const).toSorted(([a], [b]) => a - b)
    .map(([, one]) => one);
}

/** Each query has askers of its own: what one has read is in memory for the next. */
async function measureRound(options: Options, round: number): Promise<Measured[]> {
  const { databaseUrl, accounts, seed } = options;
  const needed = warmUps + queries.length * accounts;
  const askers = await askersIn(databaseUrl, needed, seed + round);
  const dataDir = await Deno.makeTempDir({ prefix: "troupe_bench_queries_" });
  const people = await People.create();
  const server = await startReal({ secret: people.secret, databaseUrl, dataDir });
  try {
    await settle(server.pid, settleTimeoutMs);
    const ask = async ({ path }: Query, asking: readonly Asker[]) =>
      await fire(await planFor({ url: server.url, path, asking, people }));
    const known: Query[] = [];
    for (const query of queries) {
      if (isThere(query, await ask(query, askers.slice(0, warmUps)))) known.push(query);
    }
    const measured: Measured[] = [];
    for (const [n, query] of known.entries()) {
      const asking = askers.slice(warmUps + n * accounts, warmUps + (n + 1) * accounts);
      for (const warmth of ["cold", "warm"] as const) {
        measured.push({ query, warmth, report: refusing(query, await ask(query, asking)) });
      }
    }
    return measured;
  } finally {
    await server.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

async function planFor(
  { url, path, asking, people }: {
    readonly url: string;
    readonly path: string;
    readonly asking: readonly Asker[];
    readonly people: People;
  },
): Promise<LoadPlan> {
  return {
    targets: [url],
    connections: 1,
    requests: asking.length,
    method: "GET",
    path: `/api/v1${path}`,
    ids: asking.map(({ order }) => order),
    tokens: await Promise.all(asking.map(({ account }) => people.token(account, "trader"))),
  };
}

/** A server of a release without it has never heard of the path. */
function isThere({ name }: Query, { statuses }: LoadReport): boolean {
  const isKnown = statuses[404] === undefined && statuses[405] === undefined;
  if (!isKnown) console.log(`${name} is not there`);
  return isKnown;
}

function refusing({ name }: Query, report: LoadReport): LoadReport {
  const others = Object.keys(report.statuses).filter((status) => status !== "200");
  if (others.length === 0) return report;
  throw new Error(`${name} was answered ${JSON.stringify(report.statuses)}`);
}

async function main(args: string[]): Promise<number> {
  const options = optionsFrom(args);
  const all: Measured[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    const measured = await measureRound(options, round);
    all.push(...measured);
    for (const { query, warmth, report } of measured) {
      const { p50Ms, p99Ms, maxMs } = report;
      const shown = [p50Ms, p99Ms, maxMs].map(rounded).join(", ");
      console.log(`round ${round}  ${query.name}  ${warmth}: ${shown} ms p50, p99, max`);
    }
  }
  const rows = queries.flatMap((query) =>
    (["cold", "warm"] as const).map((warmth) => rowOf(all, query, warmth))
  );
  const head = ["", "query", "", "p50 ms", "p99 ms", "max ms", "p99 at most"];
  console.log(`\n${table(head, rows)}`);
  console.log("\nOne request at a time over one connection, seen from its other end.");
  return rows.every(([verdict]) => verdict === "ok") ? 0 : 1;
}

/** Medians over the rounds; of the maximum, the maximum. */
function rowOf(all: readonly Measured[], query: Query, warmth: Warmth): string[] {
  const reports = all.filter((one) => one.query === query && one.warmth === warmth)
    .map(({ report }) => report);
  const target = `${query.p99MsMost}`;
  if (reports.length === 0) return ["NOT THERE", query.name, warmth, "", "", "", target];
  const p99Ms = medianOf(reports.map((report) => report.p99Ms));
  return [
    p99Ms <= query.p99MsMost ? "ok" : "MISSED",
    query.name,
    warmth,
    rounded(medianOf(reports.map((report) => report.p50Ms))),
    rounded(p99Ms),
    rounded(Math.max(...reports.map((report) => report.maxMs))),
    target,
  ];
}

try {
  process.exitCode = await main(Deno.args);
} catch (error) {
  console.error(error instanceof CannotRun ? error.message : error);
  process.exitCode = 2;
}
