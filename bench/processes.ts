/**
 * The processes that a benchmark starts: servers with a database each, and the load generator.
 *
 * @module
 */
import postgres from "postgres";
import type { LoadPlan, LoadReport } from "./load_generator.ts";
import { TextLineStream } from "./text_lines.ts";

const startTimeoutMs = 30_000;
const startPollMs = 5;
const stopTimeoutMs = 15_000;
const databasePrefix = "troupe_bench_";

export interface ServerOptions {
  /** Relative to this folder. */
  readonly script: string;
  /** The exact flags of `deno run`. */
  readonly permissions: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Server {
  readonly url: string;
  readonly pid: number;
  /** From the start of the process to the first answered request. */
  readonly startMs: number;
  /** SIGTERM, and SIGKILL if that is not heard. */
  stop(): Promise<void>;
}

/** Starts a server on a free port and waits until it answers `GET /health/ready`, or anything else if it has none. */
export async function startServer({ script, permissions, env }: ServerOptions): Promise<Server> {
  const port = freePort();
  const startedAt = performance.now();
  const process = new Deno.Command("deno", {
    args: ["run", "--quiet", ...permissions, new URL(script, import.meta.url).pathname],
    env: { ...env, HOST: "127.0.0.1", PORT: String(port) },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let hasEnded = false;
  const errors = new Response(process.stderr).text();
  const ended = process.status.then(() => {
    hasEnded = true;
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await isReady(url))) {
    if (hasEnded) throw new Error(`Cannot start ${script}: ${(await errors).trim()}`);
    if (performance.now() - startedAt > startTimeoutMs) {
      process.kill("SIGKILL");
      throw new Error(`Cannot start ${script}: not ready after ${startTimeoutMs} ms`);
    }
    await delay(startPollMs);
  }
  const startMs = performance.now() - startedAt;
  return { url, pid: process.pid, startMs, stop: () => stop(process, ended) };
}

async function stop(process: Deno.ChildProcess, ended: Promise<void>): Promise<void> {
  process.kill("SIGTERM");
  const killing = setTimeout(() => process.kill("SIGKILL"), stopTimeoutMs);
  await ended;
  clearTimeout(killing);
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health/ready`);
    await response.body?.cancel();
    return response.ok || response.status === 404;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** One that the system has to spare. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** The server on which databases are made and dropped: the one at `DATABASE_URL`, or of this machine. */
export function databaseServer(): string {
  return Deno.env.get("DATABASE_URL") || "postgres://postgres@127.0.0.1:5432/postgres";
}

export interface Database {
  readonly url: string;
  drop(): Promise<void>;
}

/** A new, empty database on the server that `adminUrl` leads to. */
export async function createDatabase(adminUrl: string): Promise<Database> {
  const name = databasePrefix + crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  await asAdmin(adminUrl, (sql) => sql.unsafe(`create database ${name}`));
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => asAdmin(adminUrl, (sql) => sql.unsafe(`drop database ${name} with (force)`)),
  };
}

export async function asAdmin(
  adminUrl: string,
  task: (sql: postgres.Sql) => Promise<unknown>,
): Promise<void> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {} });
  try {
    await task(sql);
  } finally {
    await sql.end();
  }
}

/** A load generator in a process of its own, kept so that it is warm in every round. */
export class LineProcess<Plan, Report> {
  readonly #process: Deno.ChildProcess;
  readonly #plans: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reports: ReadableStreamDefaultReader<string>;

  /** `script` takes plans and gives reports, each a line of JSON. */
  constructor(script: string) {
    this.#process = new Deno.Command("deno", {
      args: [
        "run",
        "--quiet",
        "--allow-net=127.0.0.1",
        new URL(script, import.meta.url).pathname,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#plans = this.#process.stdin.getWriter();
    this.#reports = this.#process.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())
      .getReader();
  }

  /** One plan at a time. */
  async ask(plan: Plan): Promise<Report> {
    await this.#plans.write(new TextEncoder().encode(`${JSON.stringify(plan)}\n`));
    const { value } = await this.#reports.read();
    const report = JSON.parse(value ?? '{"error":"it ended"}') as Report | { error: string };
    if (isFailure(report)) throw new Error(`Cannot generate load: ${report.error}`);
    return report;
  }

  async close(): Promise<void> {
    await this.#plans.close();
    await this.#process.status;
  }
}

function isFailure(report: object | unknown): report is { error: string } {
  return typeof report === "object" && report !== null && "error" in report;
}

/** The closed loop. */
export class LoadProcess extends LineProcess<LoadPlan, LoadReport> {
  constructor() {
    super("load_generator.ts");
  }

  fire(plan: LoadPlan): Promise<LoadReport> {
    return this.ask(plan);
  }
}

export interface ProcessFigures {
  readonly cpuMs: number;
  readonly residentMb: number;
}

/** What a process has used so far. Linux only, and through `cat`: Deno itself reads /proc only with all permissions. */
export async function figuresOf(pid: number): Promise<ProcessFigures> {
  const { stdout } = await new Deno.Command("cat", {
    args: [`/proc/${pid}/stat`, `/proc/${pid}/status`],
  }).output();
  const text = new TextDecoder().decode(stdout);
  // Fields 14 and 15, in ticks of 10 ms; the name in field 2 may hold spaces.
  const fields = text.slice(text.indexOf(") ") + 2).split(" ");
  const residentKb = Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]);
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
    residentMb: residentKb / 1024,
  };
}

const settledShare = 0.03;
const settleStepMs = 200;

/** Waits until a process has next to nothing left to do, so that it does not disturb the next one. */
export async function settle(pid: number, timeoutMs = 20_000): Promise<void> {
  let before = (await figuresOf(pid)).cpuMs;
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += settleStepMs) {
    await delay(settleStepMs);
    const { cpuMs } = await figuresOf(pid);
    if (cpuMs - before <= settleStepMs * settledShare) return;
    before = cpuMs;
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
