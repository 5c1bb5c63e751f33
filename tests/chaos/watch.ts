/** What machine and database were about, once a second: for whoever asks later why it was slow. */
import { type Kysely, sql } from "kysely";
import { TransientFault } from "../../lib/fault.ts";
import type { Tables } from "../../lib/postgres/tables.ts";

const INTERVAL_MS = 1_000;

export class Watch implements AsyncDisposable {
  readonly #file: Deno.FsFile;
  readonly #timer: ReturnType<typeof setInterval>;
  #look: Promise<void> = Promise.resolve();
  #loads = 0;
  #looks = 0;

  /** Writes a line to the file each second, as long as the server answers. */
  constructor(db: Kysely<Tables>, path: string) {
    this.#file = Deno.openSync(path, { create: true, truncate: true, write: true });
    this.#timer = setInterval(() => void (this.#look = this.#noted(db)), INTERVAL_MS);
  }

  /** How many processes of the machine wanted to run, on average since it began to look. */
  get loadAverage(): number {
    return this.#loads / this.#looks;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#look;
    this.#file.close();
  }

  async #noted(db: Kysely<Tables>): Promise<void> {
    this.#loads += Deno.loadavg()[0]!;
    this.#looks++;
    try {
      const { rows } = await activity.execute(db);
      const line = `${JSON.stringify({ t: Math.round(performance.now()), rows })}\n`;
      this.#file.writeSync(new TextEncoder().encode(line));
    } catch (fault) {
      if (!(fault instanceof TransientFault)) throw fault;
    }
  }
}

const activity = sql`
  select state, wait_event_type as "waitsFor", wait_event as "event", count(*)::int as sessions,
    max(extract(epoch from now() - xact_start))::float4 as "oldestSeconds",
    min(left(query, 60)) as "such as"
  from pg_stat_activity
  where backend_type = 'client backend' and pid <> pg_backend_pid()
  group by 1, 2, 3 order by 4 desc`;
