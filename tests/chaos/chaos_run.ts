/**
 * One run from its plan to its verdict: warm up, let things go wrong, heal, come to rest, look.
 *
 * @module
 */
import { sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import { OwnRedis } from "../support/own_redis.ts";
import { tokenFor } from "../support/server_process.ts";
import { VirtualEnv } from "../support/virtual_env.ts";
import { check, type Verdict } from "./checker.ts";
import { Clients } from "./client.ts";
import { hindrances } from "./hindrances.ts";
import { History, readHistory } from "./history.ts";
import { HttpClient } from "./http_client.ts";
import { Load } from "./load.ts";
import { Nemesis } from "./nemesis.ts";
import { NodePlace } from "./nodes.ts";
import { drawnPlan, type Edge, type Fault, type FaultKind, faultKinds, type Plan } from "./plan.ts";
import { Probes } from "./probes.ts";
import { isReached, remainsIn, type Rest, restOf } from "./remains.ts";
import { Watch } from "./watch.ts";
import { type Person, reading } from "./wishes.ts";

export interface ChaosOptions {
  readonly forMs: number;
  readonly seed: number;
  /** Operations a second. */
  readonly rate: number;
  /** Kinds of faults, if not all. */
  readonly only: readonly FaultKind[] | undefined;
  /** For the plan, the history and the clocks. */
  readonly directory: string;
  readonly say: (line: string) => void;
}

export interface Episode {
  readonly faults: readonly Fault[];
  readonly fired: readonly boolean[];
  /** Until all nodes were well again; undefined if they were not. */
  readonly recoveryMs: number | undefined;
}

export interface ChaosOutcome {
  readonly seed: number;
  readonly forMs: number;
  readonly nodes: number;
  /** Kinds of faults that this machine cannot do, and why. */
  readonly skipped: ReadonlyMap<FaultKind, string>;
  readonly kinds: readonly FaultKind[];
  readonly episodes: readonly Episode[];
  readonly counts: Nemesis["counts"];
  readonly verdict: Verdict;
  readonly withheld: number;
  readonly drainedMs: number;
  /** What was wrong with the processes, but for what was done to them. */
  readonly ailments: readonly string[];
  readonly errors: ReadonlyMap<string, number>;
  readonly tookMs: number;
  /** Processes that wanted to run, on average over the whole run, and how many may at a time. */
  readonly loadAverage: number;
  readonly cores: number;
}

const NODES = 3;
/** Few enough to meet again. */
const PEOPLE = 600;
const TRADERS = 36;
const CONNECTIONS_MAX = 40;
const VOLUME_MB = 1_500;
const WARM_MS = 3_000;
/** Longer than any recovery may take. */
const RECOVERY_MS_MAX = 60_000;
const DRAIN_MS_MAX = 60_000;
const REST_MS = 250;

const settings = {
  max_connections: CONNECTIONS_MAX,
  min_wal_size: "2MB",
  max_wal_size: "64MB",
  deadlock_timeout: "200ms",
  log_checkpoints: "off",
};

export class ChaosRun implements AsyncDisposable {
  readonly #options: ChaosOptions;
  readonly #resources: AsyncDisposableStack;
  readonly #startedAt = performance.now();
  readonly #skipped: ReadonlyMap<FaultKind, string>;
  readonly #server: OwnPostgres;
  readonly #database: Database;
  readonly #nodes: readonly NodePlace[];
  readonly #history: History;
  readonly #nemesis: Nemesis;

  private constructor(
    options: ChaosOptions,
    parts: {
      readonly skipped: ReadonlyMap<FaultKind, string>;
      readonly server: OwnPostgres;
      readonly redis: OwnRedis | undefined;
      readonly database: Database;
      readonly nodes: readonly NodePlace[];
      readonly history: History;
    },
    resources: AsyncDisposableStack,
  ) {
    this.#options = options;
    this.#skipped = parts.skipped;
    this.#server = parts.server;
    this.#database = parts.database;
    this.#nodes = parts.nodes;
    this.#history = parts.history;
    this.#nemesis = new Nemesis(parts);
    this.#resources = resources;
  }

  /** Starts everything, with what this machine has for it. */
  static async open(options: ChaosOptions): Promise<ChaosRun> {
    const { directory, say } = options;
    await using opening = new AsyncDisposableStack();
    const skipped = await hindrances();
    const withVolumes = !skipped.has("data-full");
    const server = opening.use(
      await OwnPostgres.start({ settings, ...(withVolumes && { volumeMb: VOLUME_MB }) }),
    );
    const redis = skipped.has("redis-kill") ? undefined : opening.use(await OwnRedis.start());
    const database = opening.use(await openDatabase({ url: server.url, poolMax: 2 }));
    const isClockSet = !skipped.has("clock");
    const nodes: NodePlace[] = [];
    for (let n = 0; n < NODES; n++) {
      const clock = isClockSet ? `${directory}/clock-${n}` : undefined;
      nodes.push(opening.use(
        await NodePlace.open({
          databaseUrl: server.url,
          redisUrl: redis?.url,
          clock,
          logFile: `${directory}/node-${n}.log`,
        }),
      ));
    }
    // The first finds nothing, and makes the tables.
    for (const node of nodes) await node.start();
    await sql`create table chaos_ballast (text text)`.execute(database.db);
    const history = opening.use(new History(`${directory}/history.jsonl`));
    say(
      `Three nodes, up after ${
        seconds(performance.now())
      }; Postgres ${database.durability.version}`,
    );
    return new ChaosRun(
      options,
      { skipped, server, redis, database, nodes, history },
      opening.move(),
    );
  }

  async run(): Promise<ChaosOutcome> {
    const { seed, forMs, rate, directory, say, only = faultKinds } = this.#options;
    const kinds = only.filter((kind) => !this.#skipped.has(kind));
    const plan = drawnPlan({ seed, forMs, nodes: NODES, edges: this.#edges, kinds });
    await Deno.writeTextFile(`${directory}/plan.json`, JSON.stringify(plan, undefined, 1));
    say(`Seed ${seed}: ${kinds.length} kinds of faults in ${seconds(forMs)}`);
    for (const [kind, why] of this.#skipped) say(`  cannot: ${kind}: ${why.trim()}`);

    await using watch = new Watch(this.#database.db, `${directory}/activity.jsonl`);
    using http = new HttpClient(this.#nodes.map(({ url }) => url));
    const given = new AbortController();
    const clients = new Clients(http, this.#history, given.signal);
    const organizer = { id: "olga", token: await tokenFor("olga", "organizer") };
    const chance = new VirtualEnv(seed + 1);
    const load = new Load({
      clients,
      chance,
      organizer,
      people: await people("person", PEOPLE),
      trading: {
        traders: await people("trader", TRADERS, "trader"),
        feed: { id: "feed", token: await tokenFor("feed", "feed") },
        admin: { id: "root", token: await tokenFor("root", "admin") },
      },
      rate,
    });
    await load.prepare();
    const probes = new Probes({ clients, organizer, keys: () => load.stages });
    const over = new AbortController();
    const loading = load.run(over.signal);
    // Whatever it ends with is heard of below.
    loading.catch(() => {});

    await systemEnv.sleep(WARM_MS);
    const episodes = await this.#storm(plan, probes);
    over.abort();
    this.#heal();
    const { rest, drainedMs } = await this.#rest(loading, given);
    say(`At rest ${seconds(drainedMs)} after the last fault`);
    await this.#finalReads(clients, organizer, load.keys);
    return await this.#outcome({
      kinds,
      episodes,
      withheld: load.withheld,
      drainedMs,
      loadAverage: watch.loadAverage,
    }, rest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  get #edges(): readonly Edge[] {
    return Object.keys(this.#nodes[0]!.edges) as Edge[];
  }

  async #storm({ episodes }: Plan, probes: Probes): Promise<Episode[]> {
    const { forMs } = this.#options;
    const endsAt = performance.now() + forMs;
    const done: Episode[] = [];
    for (const faults of episodes) {
      if (performance.now() >= endsAt) break;
      done.push(await this.#episode(faults, probes));
      await systemEnv.sleep(REST_MS);
    }
    return done;
  }

  async #episode(faults: readonly Fault[], probes: Probes): Promise<Episode> {
    const strikes = await Promise.all(faults.map(async (fault) => {
      this.#note(fault, "begun");
      const strike = await this.#nemesis.strike(fault);
      this.#note(fault, "ended", strike);
      return strike;
    }));
    const endedAt = Math.max(...strikes.map(({ endedAt }) => endedAt));
    const recoveryMs = await probes.recovery(endedAt, RECOVERY_MS_MAX);
    for (const fault of faults) this.#note(fault, "recovered");
    this.#say(faults, strikes, recoveryMs);
    return { faults, fired: strikes.map(({ fired }) => fired), recoveryMs };
  }

  #note(
    { kind }: Fault,
    stage: "begun" | "ended" | "recovered",
    { fired, note }: { readonly fired?: boolean; readonly note?: string } = {},
  ): void {
    this.#history.write({
      type: "fault",
      fault: kind,
      stage,
      ...(fired !== undefined && { fired }),
      ...(note !== undefined && { note }),
    });
  }

  #say(
    faults: readonly Fault[],
    strikes: readonly { readonly fired: boolean; readonly note?: string }[],
    recoveryMs: number | undefined,
  ): void {
    const told = faults.map(({ kind, nodes, ms }, n) => {
      const { fired, note } = strikes[n]!;
      const remark = note === undefined ? "" : ` (${note})`;
      return `${kind} ${nodes.join()} ${ms} ms${remark}${fired ? "" : ", NOT FIRED"}`;
    });
    const well = recoveryMs === undefined ? "NOT WELL" : `well after ${seconds(recoveryMs)}`;
    const at = seconds(performance.now() - this.#startedAt);
    this.#options.say(`  ${at.padStart(8)} ${told.join(" and ")}: ${well}`);
  }

  #heal(): void {
    for (const node of this.#nodes) node.heal();
  }

  /** Waits until everybody was answered and nothing is left to do, though not for ever. */
  async #rest(
    loading: Promise<void>,
    given: AbortController,
  ): Promise<{ readonly rest: Rest; readonly drainedMs: number }> {
    const { db } = this.#database;
    const healedAt = performance.now();
    const timer = setTimeout(() => given.abort(), DRAIN_MS_MAX);
    await loading;
    clearTimeout(timer);
    let rest = await restOf(db);
    while (!isReached(rest) && performance.now() - healedAt < DRAIN_MS_MAX) {
      await systemEnv.sleep(REST_MS);
      rest = await restOf(db, rest.until);
    }
    return { rest, drainedMs: performance.now() - healedAt };
  }

  async #finalReads(
    clients: Clients,
    organizer: Person,
    keys: readonly string[],
  ): Promise<void> {
    await Promise.all(this.#nodes.map(async (_, node) => {
      const insistence = { attemptMs: 10_000, attemptsMax: 3 };
      for (const key of keys) {
        const wish = reading(organizer, key, true);
        await clients.insist(`final-${node}`, wish, node, insistence);
      }
    }));
  }

  async #outcome(
    known: Pick<ChaosOutcome, "kinds" | "episodes" | "withheld" | "drainedMs" | "loadAverage">,
    rest: Rest,
  ): Promise<ChaosOutcome> {
    const { seed, forMs, directory } = this.#options;
    const ends = await Promise.all(this.#nodes.map((node) => node.end()));
    const ailments = this.#nodes.flatMap(({ deaths }, n) => [
      ...deaths.map((death) => `node ${n} died: ${death}`),
      ...(ends[n] === undefined ? [] : [`node ${n} did not end in order: ${ends[n]}`]),
    ]);
    await this.#server.check().catch((error: Error) => ailments.push(error.message));
    const errors = new Map<string, number>();
    for (const node of this.#nodes) {
      for (const [text, count] of node.errors) errors.set(text, (errors.get(text) ?? 0) + count);
    }
    const remains = remainsIn(this.#database.db, rest);
    const verdict = await check(readHistory(`${directory}/history.jsonl`), remains);
    const tookMs = performance.now() - this.#startedAt;
    const { counts } = this.#nemesis;
    const skipped = this.#skipped;
    return {
      ...known,
      seed,
      forMs,
      nodes: NODES,
      skipped,
      counts,
      verdict,
      ailments,
      errors,
      tookMs,
      cores: navigator.hardwareConcurrency,
    };
  }
}

async function people(
  name: string,
  count: number,
  ...roles: readonly string[]
): Promise<readonly Person[]> {
  return await Promise.all(Array.from({ length: count }, async (_, n) => {
    const id = `${name}-${n}`;
    return { id, token: await tokenFor(id, ...roles) };
  }));
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
