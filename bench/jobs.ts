/**
 * Jobs that do nothing, through our queue and through those of others.
 *
 * Each contestant is a program, started anew for every round, on a database that nobody else has.
 * It warms itself up, adds the jobs, works them off and prints what that took: see
 * `baselines/jobs/measured.ts`, which does all but the queue itself.
 *
 * @module
 */
import { type Bench, rotated } from "./arena.ts";
import type { JobsReport } from "./baselines/jobs/measured.ts";
import type { ContestantName } from "./figures.ts";
import { createDatabase } from "./processes.ts";

const timeoutMs = 180_000;
const redisUrlDefault = "redis://127.0.0.1:6379";

export interface JobContestant {
  readonly name: ContestantName;
  /** A program and its arguments; it prints one {@linkcode JobsReport} on standard output. */
  readonly command: readonly string[];
  /**
   * What it works on. A database comes as `DATABASE_URL`, empty, and is dropped afterwards; Redis
   * as `REDIS_URL`, and what lies under `REDIS_PREFIX` is deleted afterwards.
   */
  readonly store: "postgres" | "redis";
  readonly warmupJobs: number;
}

const baselines = new URL("baselines/jobs/", import.meta.url).pathname;
const node = `${baselines}node_modules/.bin/node`;
const warmupJobs = 5_000;

const contestants: readonly JobContestant[] = [
  {
    name: "real",
    command: [
      "deno",
      "run",
      "--quiet",
      "--allow-net=127.0.0.1",
      "--allow-env",
      new URL("job_queue.ts", import.meta.url).pathname,
    ],
    store: "postgres",
    warmupJobs,
  },
  {
    name: "graphile-worker",
    command: [node, `${baselines}graphile_worker.ts`],
    store: "postgres",
    warmupJobs,
  },
  {
    name: "graphile-worker defaults",
    command: [node, `${baselines}graphile_worker.ts`, "defaults"],
    store: "postgres",
    // At its rate, the number of the others would take as long as a measurement should.
    warmupJobs: 1_000,
  },
  { name: "pg-boss", command: [node, `${baselines}pg_boss.ts`], store: "postgres", warmupJobs },
  { name: "bullmq", command: [node, `${baselines}bull_mq.ts`], store: "redis", warmupJobs },
];

/** A batch of jobs added, then worked off, by everybody in turn. */
export async function jobs(bench: Bench): Promise<void> {
  await installBaselines();
  const redis = new Redis(Deno.env.get("REDIS_URL") || redisUrlDefault);
  const all = await redis.answers() ? contestants : withoutRedis(redis.url);
  for (let round = 1; round <= bench.sizes.rounds; round++) {
    for (const contestant of rotated(all, round)) {
      tellReport(bench, { contestant, round, report: await run(bench, contestant, redis) });
    }
  }
}

function withoutRedis(url: string): JobContestant[] {
  console.log(`Not measured: what needs Redis, as none answers at ${url}`);
  return contestants.filter(({ store }) => store !== "redis");
}

function tellReport(
  bench: Bench,
  { contestant: { name }, round, report }: {
    readonly contestant: JobContestant;
    readonly round: number;
    readonly report: JobsReport;
  },
): void {
  const { enqueuePerSecond, drainPerSecond, handled, repeated, left } = report;
  const tell = (workload: string, perSecond: number) =>
    bench.tell({ workload, contestant: name, round, values: { perSecond } });
  tell("jobs enqueued", enqueuePerSecond);
  tell("jobs drained", drainPerSecond);
  // At least once allows for repetitions, but only after a crash, and nothing crashes here.
  if (handled === bench.sizes.jobs && repeated === 0 && left === 0) return;
  bench.fault(
    `jobs, ${name}: of ${bench.sizes.jobs} ${handled} handled, ${repeated} again, ${left} left`,
  );
}

async function run(bench: Bench, contestant: JobContestant, redis: Redis): Promise<JobsReport> {
  const env = { JOBS: String(bench.sizes.jobs), WARMUP_JOBS: String(contestant.warmupJobs) };
  if (contestant.store === "redis") {
    const prefix = `troupe_bench_${crypto.randomUUID()}`;
    try {
      return await reportOf(contestant, { ...env, REDIS_URL: redis.url, REDIS_PREFIX: prefix });
    } finally {
      await redis.deleteUnder(prefix);
    }
  }
  const database = await createDatabase(bench.adminUrl);
  try {
    return await reportOf(contestant, { ...env, DATABASE_URL: database.url });
  } finally {
    await database.drop();
  }
}

async function reportOf(
  { name, command: [program, ...args] }: JobContestant,
  env: Readonly<Record<string, string>>,
): Promise<JobsReport> {
  const signal = AbortSignal.timeout(timeoutMs);
  const { success, stdout, stderr } = await new Deno.Command(program!, {
    args,
    // Its libraries look around in the working directory, for configuration and for tasks.
    cwd: baselines,
    env,
    signal,
  }).output();
  const text = new TextDecoder();
  const errors = text.decode(stderr).trim();
  if (signal.aborted) throw new Error(`Cannot measure ${name}: not done after ${timeoutMs} ms`);
  if (!success) throw new Error(`Cannot measure ${name}: ${errors}`);
  if (errors !== "") console.error(`${name}: ${errors}`);
  return JSON.parse(text.decode(stdout)) as JobsReport;
}

/** Has npm install what the lock file beside the baselines says, unless that was done. */
async function installBaselines(): Promise<void> {
  const installedAt = await modifiedAt("node_modules/.package-lock.json");
  if (installedAt > await modifiedAt("package-lock.json")) return;
  console.log("Installing the job queues to compare with");
  const { success, stderr } = await new Deno.Command("npm", {
    args: ["ci", "--loglevel=error", "--no-audit", "--no-fund"],
    cwd: baselines,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`Cannot install the job queues: ${new TextDecoder().decode(stderr).trim()}`);
  }
}

async function modifiedAt(name: string): Promise<number> {
  try {
    return (await Deno.stat(baselines + name)).mtime?.getTime() ?? 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** As much of Redis as it takes to leave nothing behind. */
class Redis {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async answers(): Promise<boolean> {
    try {
      return await this.#ask("PING") === "+PONG";
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return false;
      throw error;
    }
  }

  /** What a contestant that failed has left; the others tidy up themselves. */
  async deleteUnder(prefix: string): Promise<void> {
    const script =
      "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";
    const answer = await this.#ask("EVAL", script, "0", `${prefix}:*`);
    if (answer.startsWith("-")) throw new Error(`Cannot delete from Redis: ${answer}`);
  }

  /** The first line of the answer, without its end. */
  async #ask(...words: readonly string[]): Promise<string> {
    const { hostname, port } = new URL(this.url);
    using connection = await Deno.connect({ hostname, port: Number(port || 6379) });
    const command = words.map((word) => `$${word.length}\r\n${word}\r\n`).join("");
    await connection.write(new TextEncoder().encode(`*${words.length}\r\n${command}`));
    const buffer = new Uint8Array(512);
    const count = await connection.read(buffer) ?? 0;
    return new TextDecoder().decode(buffer.subarray(0, count)).split("\r\n")[0]!;
  }
}
