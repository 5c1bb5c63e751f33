/**
 * What the two baselines share: the HTTP side, which is the real server's own, and the tables.
 *
 * A baseline serves one command, `POST /api/v1/events/:id/registrations`, from behind the same token
 * check, body parser and schema as the real server, and answers with the same fields. Like the real
 * one it refuses unknown, unpublished and started events, double registrations and a full waitlist,
 * registers others only for the organizer, hands out waitlist positions without gaps, and leaves one
 * row in a log of what happened for each registration.
 *
 * It does less than the real server: no cancellations, no `Idempotency-Key`, no `If-Match`, no feed
 * and no read tables beyond its own. All of that would only cost it more.
 *
 * @module
 */
import { Hono } from "hono";
import postgres from "postgres";
import { z } from "zod";
import { type Config, readConfig } from "../../lib/config.ts";
import { systemEnv } from "../../lib/env.ts";
import { answer } from "../../lib/http/answer.ts";
import { authenticated, type CallerEnv } from "../../lib/http/caller.ts";
import { etagOf } from "../../lib/http/cause.ts";
import { bodyParser, parsedParams } from "../../lib/http/parsed.ts";
import { problemForError, problemResponse } from "../../lib/http/problem.ts";
import { openTokenKeys } from "../../lib/http/token_keys.ts";
import { TokenVerifier } from "../../lib/http/tokens.ts";
import { EventPath, Registrant } from "../../routes/live_event_schemas.ts";

export interface Registration {
  readonly eventId: string;
  readonly userId: string;
  readonly callerId: string;
  readonly registrationId: string;
}

export type Registered =
  | { readonly status: "confirmed"; readonly version: number }
  | { readonly status: "waitlisted"; readonly position: number; readonly version: number };

export type Refusal =
  | "not-found"
  | "not-published"
  | "already-started"
  | "not-organizer"
  | "already-registered"
  | "sold-out";

/** Registers durably and exactly, or says why not. */
export type Register = (registration: Registration) => Promise<Registered | Refusal>;

/** The row that the rules are about, as both baselines read it. */
export interface EventRow {
  readonly organizer_id: string;
  readonly is_published: boolean;
  readonly has_started: boolean;
  readonly capacity: number;
  readonly waitlist_capacity: number | null;
  readonly confirmed: number;
  readonly waitlisted: number;
  readonly version: number;
}

export const uniqueViolation = "23505";

// One index per table is what the guarantees need; no lookup is served that would need another.
const schema = `
  create table live_event (
    id uuid primary key,
    organizer_id text not null,
    is_published boolean not null,
    starts_at timestamptz not null,
    capacity integer not null,
    waitlist_capacity integer,
    confirmed integer not null default 0,
    waitlisted integer not null default 0,
    version integer not null default 1
  ) with (fillfactor = 70);
  create table registration (
    event_id uuid not null,
    user_id text collate "C" not null,
    registration_id uuid not null,
    status text not null,
    position integer,
    primary key (event_id, user_id)
  );
  create table happening (
    event_id uuid not null,
    version integer not null,
    type text not null,
    data jsonb not null,
    principal text not null,
    at timestamptz not null default now(),
    primary key (event_id, version)
  )`;

const EventBatch = z.strictObject({ count: z.int().min(1), capacity: z.int().min(1) });

/** Makes the tables in the (empty) database and serves until killed; prints its URL once it listens. */
export async function serveBaseline(
  registerWith: (sql: postgres.Sql) => Register,
  { poolMax }: { readonly poolMax: number },
): Promise<void> {
  const config = readConfig(Deno.env.toObject());
  const url = config.database.url ?? "postgres://postgres@127.0.0.1:5432/postgres";
  const sql = postgres(url, { max: Number(Deno.env.get("POOL_MAX") ?? poolMax) });
  await sql.unsafe(schema);

  const { tokens: { secrets }, dataDir } = config;
  const keys = await openTokenKeys({ secrets, dataDir });
  const { issuer, audience } = config.tokens;
  const verifier = new TokenVerifier({ keys, issuer, audience, env: systemEnv });
  const app = new Hono<CallerEnv>();
  app.onError(problemForError({ report: console.error, uuid: systemEnv.uuid }));
  app.use(
    "/api/*",
    authenticated({ verifier, env: systemEnv, requestTimeoutMs: config.limits.requestTimeoutMs }),
  );
  app.route("/api/v1", registrationRoute(registerWith(sql), config.limits));
  app.post("/bench/events", async (c) => {
    const { count, capacity } = EventBatch.parse(await c.req.json());
    return c.json({ ids: await createEvents(sql, count, capacity) }, 201);
  });
  Deno.serve({
    hostname: config.host,
    port: config.port,
    onListen: ({ hostname, port }) => console.log(`http://${hostname}:${port}`),
  }, app.fetch);
}

function registrationRoute(register: Register, limits: Config["limits"]): Hono<CallerEnv> {
  const parseBody = bodyParser({
    bytesMax: limits.bodyBytesMax,
    bodyMs: limits.bodyMs,
    env: systemEnv,
  });
  return new Hono<CallerEnv>().post("/events/:id/registrations", async (c) => {
    const { id } = parsedParams(c, EventPath);
    const body = await parseBody(c, Registrant, { absent: {} });
    const callerId = c.get("caller").principal.id;
    const registrationId = systemEnv.uuid();
    const userId = body.userId ?? callerId;
    const outcome = await register({ eventId: id, userId, callerId, registrationId });
    if (typeof outcome === "string") {
      const problem = { status: outcome === "not-found" ? 404 : 409, title: outcome } as const;
      return problemResponse(c, `/problems/live-event/${outcome}`, problem);
    }
    const Location = `/api/v1/events/${id}/registrations/${registrationId}`;
    const headers = { Location, ETag: etagOf(outcome.version) };
    return answer(c, 201, { registrationId, ...outcome }, headers);
  });
}

/** Published events of the organizer that the benchmark posts as. */
async function createEvents(sql: postgres.Sql, count: number, capacity: number): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    insert into live_event (id, organizer_id, is_published, starts_at, capacity)
    select gen_random_uuid(), 'organizer', true, now() + interval '1 day', ${capacity}
    from generate_series(1, ${count}) returning id`;
  return rows.map(({ id }) => id);
}

/** Why `row` takes no registration by this caller, its duplicates aside; what is left is a seat or a wait. */
export function refusalOf(
  row: EventRow | undefined,
  { userId, callerId }: Registration,
): Refusal | undefined {
  if (!row) return "not-found";
  if (userId !== callerId && callerId !== row.organizer_id) return "not-organizer";
  if (!row.is_published) return "not-published";
  if (row.has_started) return "already-started";
  const waitlistCapacity = row.waitlist_capacity ?? Infinity;
  if (row.confirmed >= row.capacity && row.waitlisted >= waitlistCapacity) return "sold-out";
  return undefined;
}
