/** What callers say is a value to every statement, whatever it says and wherever it stands. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { z } from "zod";
import type { Operation } from "../../lib/http/operation.ts";
import { Api, type Client, published, registered } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { injections } from "./injections.ts";

/** Far less than the injected sleep, far more than any query of these takes. */
const QUERY_TIMEOUT_MS = 30_000;

const database = await databaseOfThisFile({ queryTimeoutMs: QUERY_TIMEOUT_MS });

/** One way to ask for something, with `HERE` where a caller puts what it likes. */
interface Place {
  readonly path: string;
  readonly isCursor: boolean;
}

/** What anybody would like to sort by; there is no such thing. */
const wished = ["sort", "order", "fields", "filter", "tenant"];

/** Every query parameter and every part of a path of whatever can be read. */
function placesIn(operations: readonly Operation[], event: string): readonly Place[] {
  return operations.filter(({ method, path }) => method === "get" && path.startsWith("/api/"))
    .flatMap(({ path, query }) => {
      const known = path.replace("/events/{id}", event).replace("{symbol}", "NONE")
        .replaceAll(/\{\w+\}/g, crypto.randomUUID());
      const declared = query instanceof z.ZodObject ? Object.keys(query.shape) : [];
      const fields = declared.includes("cursor") ? [...declared, ...wished] : declared;
      const parts = [...path.matchAll(/\{\w+\}/g)].map(({ 0: part }) => part);
      return [
        ...fields.map((name) => ({
          path: `${known}?${name}=HERE`,
          isCursor: name === "cursor",
        })),
        ...parts.map((part) => ({
          path: path.replace(part, "HERE").replace("/events/{id}", event)
            .replaceAll(/\{\w+\}/g, crypto.randomUUID()),
          isCursor: false,
        })),
      ];
    });
}

/** Cursors are text with a key inside; these have the right form, and the payload at each place. */
function cursorsOf(payload: string): readonly string[] {
  const at = "2040-06-01T18:00:00.000Z";
  const keys = [[payload], [at, payload], [at, payload, "Confirmed"], [at, "a", payload, 1], [
    payload,
    payload,
  ]];
  return keys.map((key) =>
    new TextEncoder().encode(JSON.stringify(key)).toBase64({ alphabet: "base64url" })
  );
}

const REFUSALS = [400, 404];

/** Nothing of what is there is like any payload: whoever is shown something was shown too much. */
async function assertHarmless(client: Client, path: string): Promise<void> {
  const { status, body, text } = await client.get(path);
  if (REFUSALS.includes(status)) return;
  assert.equal(status, 200, `${path}: ${text}`);
  assert.deepEqual(body.items ?? [], [], path);
}

async function remains(): Promise<unknown> {
  const tables = await sql<{ name: string }>`
    select table_schema || '.' || table_name as name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema') order by 1`
    .execute(database.db);
  const counts = await sql`select
    (select count(*)::int from event) as events,
    (select count(*)::int from live_event) as listed,
    (select count(*)::int from pg_roles where rolsuper) as superusers`.execute(database.db);
  return [tables.rows, counts.rows];
}

Deno.test("of 200 ways to say something to the database in a query, a cursor or a path, none is heard", async () => {
  assert(injections.length >= 200);
  assert.equal(new Set(injections).size, injections.length);
  await using api = new Api(database);
  const organizer = api.as("otto", "organizer");
  const event = await published(organizer, { title: "Zyzzyva" });
  await registered(api.as("ben"), event);
  // Who may ask for everything, and has nothing of their own.
  const admin = api.as("ada", "admin");
  const shown = await admin.get("/events?q=zyzzyva");
  assert.equal(shown.body.items.length, 1, "there is something to be shown");
  const before = await remains();

  const places = placesIn(api.operations, event);
  const has = (path: string) => places.some((place) => place.path === path);
  for (const field of ["status", "from", "organizerId", "q", "limit", "cursor", "sort"]) {
    assert(has(`/api/v1/events?${field}=HERE`), `${field} of events is a place`);
  }
  assert(has("/api/v1/events/HERE") && has("/api/v1/jobs/HERE"), "and so is an id");

  for (const payload of injections) {
    const text = encodeURIComponent(payload);
    for (const { path, isCursor } of places) {
      const values = isCursor ? [text, ...cursorsOf(payload)] : [text];
      for (const value of values) await assertHarmless(admin, path.replace("HERE", value));
    }
  }

  assert.deepEqual(await remains(), before);
  assert.deepEqual(api.bugs, []);
});

Deno.test("what is stored with such text in it is stored to the letter, and found by nothing else", async () => {
  await using api = new Api(database);
  const organizer = api.as("oda", "organizer");
  for (const payload of injections.filter((text) => !/[\t\n\u202e]/.test(text))) {
    const answer = await organizer.post("/events", {
      title: payload,
      description: payload,
      startsAt: "2041-06-01T18:00:00.000Z",
      endsAt: "2041-06-01T20:00:00.000Z",
      capacity: 2,
    });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.body.title, payload);
  }
  assert.deepEqual(api.bugs, []);
});
