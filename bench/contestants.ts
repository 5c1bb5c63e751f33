/**
 * The servers that are compared, each with what it takes to start it and to give it events.
 *
 * @module
 */
import { systemEnv } from "../lib/env.ts";
import { openTokenKeys, type TokenKeys } from "../lib/http/token_keys.ts";
import { mintToken } from "../lib/http/tokens.ts";
import type { ContestantName } from "./figures.ts";
import type { LoadPlan } from "./load_generator.ts";
import { type LoadProcess, type Server, startServer } from "./processes.ts";

export const REGISTER_PATH = "/api/v1/events/{id}/registrations";
/** Only reads the body; only `bench/server.ts` has it. */
export const BARE_PATH = "/bench/bare";
/** Does all that registering does before the actor; only `bench/server.ts` has it. */
export const NOOP_PATH = "/api/v1/noop/{id}/registrations";

export interface Contestant {
  readonly name: ContestantName;
  readonly server: Server;
  /** Where it takes registrations. */
  readonly path: string;
  /** Published events, on a server that never saw them before. */
  createEvents(count: number, capacity: number): Promise<string[]>;
}

/** As long as a benchmark may take. */
const TOKEN_HOURS = 24;

/** The people of a benchmark: one key that all servers share, and tokens made with it. */
export class People {
  readonly #keys: TokenKeys;
  readonly secret: string;

  private constructor(keys: TokenKeys, secret: string) {
    this.#keys = keys;
    this.secret = secret;
  }

  static async create(): Promise<People> {
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const keys = await openTokenKeys({ secrets: [secret], dataDir: "" });
    return new People(keys, secret.toBase64({ alphabet: "base64url", omitPadding: true }));
  }

  token(sub: string, ...roles: readonly string[]): Promise<string> {
    const names = { issuer: "troupe", audience: "troupe" };
    const content = { sub, roles, ttlMs: TOKEN_HOURS * 3_600_000 };
    return mintToken({ keys: this.#keys, ...names, env: systemEnv }, content);
  }

  organizer(): Promise<string> {
    return this.token("organizer", "organizer");
  }
}

// Postgres, the embedded database's files and every server's own port are all on this host.
const netPermissions = ["--allow-net=127.0.0.1", "--allow-env"];

export interface RealOptions {
  readonly secret: string;
  /** Server Postgres if given, otherwise the embedded database in `dataDir`. */
  readonly databaseUrl?: string;
  readonly dataDir: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The folder of another checkout, to run the service as it is there. */
  readonly checkout?: string;
}

function toFileUrl(folder: string): URL {
  return new URL(folder.replace(/\/+$/, ""), `file://${Deno.cwd()}/`);
}

/** The service itself, with the no-op route beside it. */
export function startReal(
  { secret, databaseUrl, dataDir, env, checkout }: RealOptions,
): Promise<Server> {
  return startServer({
    script: checkout === undefined ? "server.ts" : `${toFileUrl(checkout)}/bench/server.ts`,
    permissions: [
      ...netPermissions,
      "--allow-sys=hostname",
      "--allow-read",
      `--allow-write=${dataDir}`,
    ],
    env: {
      DATA_DIR: dataDir,
      DATABASE_URL: databaseUrl ?? "",
      TOKEN_SECRET: secret,
      // Longer tokens than that are refused.
      TOKEN_TTL_HOURS: String(TOKEN_HOURS),
      LOG_LEVEL: "warn",
      // All the load comes from one address.
      CONNECTIONS_MAX: "10000",
      CONNECTIONS_PER_ADDRESS_MAX: "10000",
      // As are requests of one user: they are counted, and none is refused.
      RATE_LIMITS: "all=10000000/min/bucket",
      SHUTDOWN_GRACE_MS: "0",
      ...env,
    },
  });
}

export function startBaseline(
  name: "row_lock" | "single_statement",
  { secret, databaseUrl, poolMax }: {
    readonly secret: string;
    readonly databaseUrl: string;
    readonly poolMax: number;
  },
): Promise<Server> {
  return startServer({
    script: `baselines/${name}.ts`,
    permissions: netPermissions,
    env: { DATABASE_URL: databaseUrl, TOKEN_SECRET: secret, POOL_MAX: String(poolMax) },
  });
}

/** A server that does nothing, so that it shows what the load generator can do. */
export function startBare(): Promise<Server> {
  return startServer({ script: "bare_server.ts", permissions: netPermissions, env: {} });
}

/** Makes events the way its users do: scheduled, then published, by one organizer. */
export async function createRealEvents(
  url: string,
  { load, token, count, capacity }: {
    readonly load: LoadProcess;
    readonly token: string;
    readonly count: number;
    readonly capacity: number;
  },
): Promise<string[]> {
  const common = {
    targets: [url],
    connections: Math.min(count, 64),
    requests: count,
    method: "POST",
    tokens: [token],
    isCaptured: true,
  };
  const tomorrow = Date.now() + 24 * 3_600_000;
  const schedule: LoadPlan = {
    ...common,
    path: "/api/v1/events",
    body: JSON.stringify({
      title: "Event {i}",
      startsAt: new Date(tomorrow).toISOString(),
      endsAt: new Date(tomorrow + 3_600_000).toISOString(),
      capacity,
    }),
  };
  const ids = (await answersOf(load, schedule, 201)).map(({ id }) => id);
  await answersOf(load, { ...common, path: "/api/v1/events/{id}/publish", ids, body: "{}" }, 200);
  return ids;
}

async function answersOf(
  load: LoadProcess,
  plan: LoadPlan,
  status: number,
): Promise<{ readonly id: string }[]> {
  const { answers = [] } = await load.fire(plan);
  const other = answers.find((answer) => answer.status !== status);
  if (other) throw new Error(`Cannot prepare events: ${other.status} ${other.body}`);
  return answers.map(({ body }) => JSON.parse(body));
}

/** Makes events in a baseline, at once. */
export async function createBaselineEvents(
  url: string,
  { count, capacity }: { readonly count: number; readonly capacity: number },
): Promise<string[]> {
  const body = JSON.stringify({ count, capacity });
  const response = await fetch(`${url}/bench/events`, { method: "POST", body });
  const { ids } = await response.json() as { ids: string[] };
  return ids;
}
