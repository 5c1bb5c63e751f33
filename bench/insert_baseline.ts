/**
 * The least that a durable command can cost: one row inserted through postgres.js, one at a time.
 *
 *     deno run --allow-net=127.0.0.1 --allow-env bench/insert_baseline.ts
 *
 * Reads `DATABASE_URL` and `REQUESTS`, prints JSON: p50 and p99 in milliseconds.
 *
 * @module
 */
import postgres from "postgres";

export interface InsertReport {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const warmupRequests = 200;

/** Inserts `requests` rows, each after the last, into a table of its own. */
export async function insertOneByOne(url: string, requests: number): Promise<InsertReport> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql`create table if not exists bare_insert
      (id bigint generated always as identity primary key, at timestamptz, body text)`;
    const insertOne = () => sql`insert into bare_insert (at, body) values (now(), ${"a row"})`;
    for (let i = 0; i < warmupRequests; i++) await insertOne();
    const latenciesMs = new Float64Array(requests);
    for (let i = 0; i < requests; i++) {
      const startedAt = performance.now();
      await insertOne();
      latenciesMs[i] = performance.now() - startedAt;
    }
    latenciesMs.sort();
    const percentile = (share: number) => latenciesMs[Math.floor(requests * share)] ?? 0;
    return { requests, p50Ms: percentile(0.5), p99Ms: percentile(0.99) };
  } finally {
    await sql.end();
  }
}

if (import.meta.main) {
  const url = Deno.env.get("DATABASE_URL") ?? "postgres://postgres@127.0.0.1:5432/postgres";
  const requests = Number(Deno.env.get("REQUESTS") ?? 1_000);
  console.log(JSON.stringify(await insertOneByOne(url, requests)));
}
