/** Reading is harmless, and nothing in a URL is secret: URLs end up in logs, histories and proxies. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import { z } from "zod";
import type { Operation } from "../../lib/http/operation.ts";
import { Api, assertProblem, eventuallyEqual } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import {
  mostPowerful,
  pathOf,
  requestFor,
  Scene,
  type ValidRequest,
} from "../support/valid_requests.ts";

const database = await databaseOfThisFile();

/** How far projectors have looked, which moves on with whatever is committed anywhere. */
const BOOKKEEPING = "checkpoint";

/** What each table holds, in a few characters. */
async function contents(): Promise<Readonly<Record<string, string>>> {
  const { rows: tables } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> ${BOOKKEEPING}
    order by 1`.execute(database.db);
  const found: Record<string, string> = {};
  for (const { name } of tables) {
    const { rows: [row] } = await sql<{ held: string }>`
      select count(*) || ' ' || md5(coalesce(string_agg(t::text, E'\n' order by t::text), '')) as held
      from ${sql.table(name)} t`.execute(database.db);
    found[name] = row!.held;
  }
  return found;
}

/** Looks as often as that, and finds the same, before it holds that nothing is under way. */
const QUIET_LOOKS = 10;
const LOOKS_MAX = 1_000;

/** What they hold once all has come that follows from what was written. */
async function settledContents(): Promise<Readonly<Record<string, string>>> {
  await eventuallyEqual(
    async () =>
      (await sql`select 1 from outbox where available_at <= now()`.execute(database.db))
        .rows.length,
    0,
  );
  let last = await contents();
  for (let looks = 0, quiet = 0; quiet < QUIET_LOOKS; looks++) {
    assert(looks < LOOKS_MAX, "it comes to rest");
    const next = await contents();
    quiet = isDeepStrictEqual(next, last) ? quiet + 1 : 0;
    last = next;
  }
  return last;
}

function isRead({ method, path }: Operation): boolean {
  return method === "get" && path.startsWith("/api/");
}

Deno.test("whoever reads, by GET or by HEAD, changes nothing", async () => {
  await using scene = new Scene(database);
  const reads = scene.api.operations.filter(isRead);
  assert(reads.length > 30, `${reads.length} routes`);
  const requests = new Map<Operation, ValidRequest>();
  for (const operation of reads) requests.set(operation, await requestFor(operation, scene));
  const before = await settledContents();
  assert(!before["event"]!.startsWith("0 "));
  for (const [operation, request] of requests) {
    const path = pathOf(operation, request);
    const { status, text } = await mostPowerful(scene, operation).get(path);
    assert.equal(status, 200, `${path}: ${text}`);
    assert.equal((await mostPowerful(scene, operation).send("HEAD", path)).status, 200, path);
  }
  assert.deepEqual(await settledContents(), before);
  // Whoever may not read it changes nothing but that this is kept.
  const stranger = scene.api.as("ben");
  for (const [operation, request] of requests) {
    for (const method of ["GET", "HEAD"]) {
      const { status } = await stranger.send(method, pathOf(operation, request));
      assert(status < 500, `${method} ${operation.path}`);
    }
  }
  const { audit: _, ...after } = await settledContents();
  const { audit: __, ...rest } = before;
  assert.deepEqual(after, rest);
});

const secret = /token|passw|secret|credential|signature|session|mail|authorization/i;
/** Named so, and nothing of the kind. */
const harmless = ["endSession: sessionId"];

Deno.test("nothing secret has its place in a path or a query", async () => {
  await using api = new Api(database);
  const found = api.operations.flatMap(({ id, path, query }) => {
    const fields = query instanceof z.ZodObject ? Object.keys(query.shape) : [];
    const parts = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
    return [...fields, ...parts].filter((name) => secret.test(name)).map((name) =>
      `${id}: ${name}`
    );
  });
  assert.deepEqual(found.filter((name) => !harmless.includes(name)), []);
});

Deno.test("a token in the URL, in a cookie or in a form lets nobody in", async () => {
  await using api = new Api(database);
  const token = await api.token({ roles: ["admin"] });
  const stranger = api.bearing(undefined);
  const type = "/problems/unauthenticated";
  for (const name of ["access_token", "token", "authorization", "api_key", "jwt"]) {
    assertProblem(await stranger.get(`/events?${name}=${token}`), 401, type);
    assertProblem(await stranger.get("/events", { cookie: `${name}=${token}` }), 401, type);
    const form = `${name}=${token}`;
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    assertProblem(await stranger.send("POST", "/events", form, headers), 401, type);
  }
  for (const name of ["x-api-key", "x-auth-token", "x-forwarded-user", "proxy-authorization"]) {
    assertProblem(await stranger.get("/events", { [name]: `Bearer ${token}` }), 401, type);
  }
});
