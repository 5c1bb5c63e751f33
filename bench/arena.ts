/**
 * Where a group of contestants meets: servers and databases of its own, all gone when it is over.
 *
 * @module
 */
import {
  type Contestant,
  createBaselineEvents,
  createRealEvents,
  NOOP_PATH,
  type People,
  REGISTER_PATH,
  startBare,
  startBaseline,
  startReal,
} from "./contestants.ts";
import type { ContestantName, Sample, Store } from "./figures.ts";
import type { LoadReport } from "./load_generator.ts";
import { createDatabase, type LoadProcess, type Server, settle } from "./processes.ts";

export interface Sizes {
  readonly rounds: number;
  readonly requests: number;
  /** Baselines get fewer requests: at their rate the full number would take half a minute a round. */
  readonly baselineRequests: number;
  readonly spreadEvents: number;
  readonly oneByOneRequests: number;
  readonly orders: number;
  /** One after the other: an order that rests, and one that meets it. */
  readonly fills: number;
  readonly activated: number;
  readonly touched: number;
  readonly startEvents: number;
  readonly hops: number;
  readonly delayed: number;
  readonly messagesFew: number;
  readonly messagesMany: number;
  readonly jobs: number;
}

export const fullSizes: Sizes = {
  rounds: 5,
  requests: 20_000,
  baselineRequests: 2_500,
  spreadEvents: 10_000,
  oneByOneRequests: 1_000,
  orders: 10_000,
  fills: 200,
  activated: 100_000,
  touched: 1_000_000,
  startEvents: 100_000,
  hops: 20_000,
  delayed: 1_000_000,
  messagesFew: 50_000,
  messagesMany: 1_000_000,
  jobs: 20_000,
};

export const quickSizes: Sizes = {
  rounds: 2,
  requests: 5_000,
  baselineRequests: 1_200,
  spreadEvents: 2_500,
  oneByOneRequests: 300,
  orders: 2_000,
  fills: 200,
  activated: 20_000,
  touched: 120_000,
  startEvents: 20_000,
  hops: 5_000,
  delayed: 100_000,
  messagesFew: 50_000,
  messagesMany: 100_000,
  jobs: 5_000,
};

export interface Bench {
  readonly store: Store;
  readonly adminUrl: string;
  readonly sizes: Sizes;
  readonly people: People;
  /** The tokens that registrations are posted with: the organizer's, or one per person. */
  readonly tokens: readonly string[];
  readonly organizer: string;
  readonly load: LoadProcess;
  /** Another checkout, whose service is the only one to take part beside the real one. */
  readonly against: string | undefined;
  /** Called as soon as anything is known. */
  readonly tell: (sample: Sample, report?: LoadReport) => void;
  readonly fault: (text: string) => void;
}

/** The servers and databases of one group, all gone when it is over. */
export class Arena implements AsyncDisposable {
  readonly #bench: Bench;
  readonly #closing = new AsyncDisposableStack();
  readonly #dataDir: string;
  #databaseUrl: string | undefined;

  private constructor(bench: Bench, dataDir: string) {
    this.#bench = bench;
    this.#dataDir = dataDir;
  }

  static async open(bench: Bench, group: string): Promise<Arena> {
    const dataDir = await Deno.makeTempDir({ prefix: `troupe_bench_${group}_` });
    const arena = new Arena(bench, dataDir);
    arena.#closing.defer(() => Deno.remove(dataDir, { recursive: true }));
    if (bench.store === "postgres") arena.#databaseUrl = await arena.database(bench.adminUrl);
    return arena;
  }

  async database(adminUrl: string): Promise<string> {
    const { url, drop } = await createDatabase(adminUrl);
    this.#closing.defer(drop);
    return url;
  }

  async real(env: Readonly<Record<string, string>> = {}): Promise<Server> {
    const server = await startReal({
      secret: this.#bench.people.secret,
      dataDir: this.#dataDir,
      ...(this.#databaseUrl === undefined ? {} : { databaseUrl: this.#databaseUrl }),
      env,
    });
    return this.#kept(server);
  }

  /** The service of another checkout, on a database of its own. */
  async #before(checkout: string): Promise<Contestant> {
    const { people, store, adminUrl, load, organizer: token } = this.#bench;
    const server = this.#kept(
      await startReal({
        secret: people.secret,
        dataDir: await Deno.makeTempDir({ dir: this.#dataDir }),
        ...(store === "postgres" && { databaseUrl: await this.database(adminUrl) }),
        checkout,
      }),
    );
    const createEvents = (count: number, capacity: number) =>
      createRealEvents(server.url, { load, token, count, capacity });
    return { name: "before", server, path: REGISTER_PATH, createEvents };
  }

  /** Published events that no running server has activated. */
  async createUnseen(count: number): Promise<string[]> {
    const { load, organizer: token } = this.#bench;
    const server = await this.real();
    const ids = await createRealEvents(server.url, { load, token, count, capacity: 1 });
    await settle(server.pid, 120_000);
    await server.stop();
    return ids;
  }

  async realAndNoop(): Promise<Contestant[]> {
    const server = await this.real();
    const { load, organizer: token } = this.#bench;
    const createEvents = (count: number, capacity: number) =>
      createRealEvents(server.url, { load, token, count, capacity });
    return [
      { name: "real", server, path: REGISTER_PATH, createEvents },
      { name: "no-op", server, path: NOOP_PATH, createEvents },
    ];
  }

  /** Everybody; baselines only beside server Postgres, which they are made for. */
  async all(
    pools: { readonly row_lock: number; readonly single_statement: number },
  ): Promise<Contestant[]> {
    const [real, noop] = await this.realAndNoop();
    const { against } = this.#bench;
    if (against !== undefined) return [real!, await this.#before(against)];
    const bare = this.#kept(await startBare());
    const { createEvents } = noop!;
    const some = [
      real!,
      noop!,
      { name: "bare", server: bare, path: NOOP_PATH, createEvents } as const,
    ];
    if (this.#bench.store !== "postgres") return some;
    return [
      ...some,
      await this.#baseline("row-lock", "row_lock", pools.row_lock),
      await this.#baseline("single-statement", "single_statement", pools.single_statement),
    ];
  }

  async #baseline(
    name: ContestantName,
    script: "row_lock" | "single_statement",
    poolMax: number,
  ): Promise<Contestant> {
    const databaseUrl = await this.database(this.#bench.adminUrl);
    const { secret } = this.#bench.people;
    const server = this.#kept(await startBaseline(script, { secret, databaseUrl, poolMax }));
    return {
      name,
      server,
      path: REGISTER_PATH,
      createEvents: (count, capacity) => createBaselineEvents(server.url, { count, capacity }),
    };
  }

  #kept(server: Server): Server {
    let stopping: Promise<void> | undefined;
    const once = { ...server, stop: () => stopping ??= server.stop() };
    this.#closing.defer(once.stop);
    return once;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing.disposeAsync();
  }
}

/** Nobody always goes first, or always after the same neighbour's leftovers. */
export function rotated<T>(all: readonly T[], round: number): T[] {
  const from = round % all.length;
  return [...all.slice(from), ...all.slice(0, from)];
}
